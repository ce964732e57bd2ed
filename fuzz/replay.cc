// Runs a harness on files, with any compiler: replay FILE_OR_FOLDER... Fails if there was no file, or
// if something that the harness counts never happened.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "input.h"

namespace {

std::vector<std::filesystem::path> files_in(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) {
    return {path};
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

void replay(const std::filesystem::path& path) {
  std::printf("%s\n", path.c_str());
  std::fflush(stdout);  // the last line names the input that ends us
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file),
                                std::istreambuf_iterator<char>()};
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t files = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::filesystem::path& path : files_in(argv[i])) {
      replay(path);
      ++files;
    }
  }
  std::printf("%zu inputs replayed\n", files);
  bool empty = files == 0;
  for (const fuzz::Tally* tally : fuzz::Tally::all()) {
    std::printf("%10llu %s\n", static_cast<unsigned long long>(tally->count()), tally->what());
    empty |= tally->count() == 0;
  }
  if (empty) {
    std::printf("FAILED: something never happened, so this replay shows nothing\n");
  }
  return empty ? 1 : 0;
}
