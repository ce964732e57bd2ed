// The headers of a list, one after the other.

#ifndef ATOLL_SRC_HEADER_CURSOR_H_
#define ATOLL_SRC_HEADER_CURSOR_H_

#include <cstddef>

#include "atoll/detail/header_word.h"
#include "atoll/detail/view.h"

namespace libatoll::detail {

// Goes from header to header. Has the numbers that it needs for itself: after a load that acquires, the
// compiler reads the View again, which others could have changed.
class HeaderCursor {
 public:
  explicit HeaderCursor(const View& view, std::size_t first = 0)
      : at_(reinterpret_cast<const std::byte*>(view.header(first))),
        stride_(std::size_t{1} << view.slot_shift) {}
  const Header& next() {
    const auto& header = *reinterpret_cast<const Header*>(at_);
    at_ += stride_;
    return header;
  }

 private:
  const std::byte* at_;
  std::size_t stride_;
};

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_HEADER_CURSOR_H_
