// What a List holds on to. Private to the files that implement it: creation.cc, list.cc.

#ifndef ATOLL_SRC_LIST_STATE_H_
#define ATOLL_SRC_LIST_STATE_H_

#include <atomic>
#include <cstdint>

#include "atoll/list.h"

#include "layout.h"
#include "participants.h"
#include "segment.h"

namespace libatoll {

// Destroyed from the last member to the first: the participant leaves before its counter is unmapped.
struct List::State {
  detail::View view;
  detail::FileId file_id;
  detail::Mapping mapping;
  detail::File shared_file;  // of an unnamed list: what `fd` hands out
  detail::Participant participant;

  std::atomic<std::uint64_t>& participant_numbers() {
    return reinterpret_cast<detail::SegmentHeader*>(mapping.data())->mutable_line.participants;
  }
};

}  // namespace libatoll

#endif  // ATOLL_SRC_LIST_STATE_H_
