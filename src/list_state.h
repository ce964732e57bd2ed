// What a List holds on to. Private to the files that implement it: creation.cc, list.cc.

#ifndef ATOLL_SRC_LIST_STATE_H_
#define ATOLL_SRC_LIST_STATE_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "atoll/list.h"

#include "layout.h"
#include "participants.h"
#include "segment.h"

namespace libatoll {

struct List::State {
  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { close(); }
  void close();

  std::atomic<std::uint64_t>& participant_numbers() {
    return reinterpret_cast<detail::SegmentHeader*>(mapping.data())->mutable_line.participants;
  }
  bool has_place() const { return !place.path.empty(); }

  detail::View view;
  detail::Place place;  // of a list that has a name or a path
  detail::FileId file_id;
  detail::Mapping mapping;
  detail::File shared_file;  // of an unnamed list: what `fd` hands out
  detail::Participant participant;
  // The process that unlinks the list when it closes it; 0 for none.
  pid_t unlinker = 0;
};

}  // namespace libatoll

#endif  // ATOLL_SRC_LIST_STATE_H_
