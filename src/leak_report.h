// The leak report: a process that created a named list and ends normally while the name still stands
// says so on stderr, one line a list, as a reminder that shared memory outlives processes.

#ifndef ATOLL_SRC_LEAK_REPORT_H_
#define ATOLL_SRC_LEAK_REPORT_H_

#include "segment.h"

namespace libatoll::detail {

// From now on, the end of this process (not of its children) reports that name, if it still refers to
// that file then and ATOLL_LEAK_REPORT is not 0.
void report_leak_at_exit(const Place& place, const FileId& id);

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_LEAK_REPORT_H_
