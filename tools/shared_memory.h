// All that has a name in shared memory.

#ifndef ATOLL_TOOLS_SHARED_MEMORY_H_
#define ATOLL_TOOLS_SHARED_MEMORY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "atoll/atoll.h"

namespace tool {

struct FileInSharedMemory {
  std::string name;                           // with its slash
  absl::StatusOr<libatoll::List::Info> info;  // or why it is no list
};

// Sorted by name. An error if the directory itself cannot be read.
absl::StatusOr<std::vector<FileInSharedMemory>> files_in_shared_memory();

}  // namespace tool

#endif  // ATOLL_TOOLS_SHARED_MEMORY_H_
