// How often a load of 1 MB begins anew beside writers at full speed: readers are lock-free, not
// wait-free, so there is no bound to quote, only what was seen. Uses the variant of the library that
// tells when a reader begins to copy.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <atoll/atoll.h>

#include "../src/seam.h"

namespace {

constexpr std::size_t kBytes = 1 << 20;

int looks = 0;
void count_looks(libatoll::detail::Seam seam) {
  looks += seam == libatoll::detail::Seam::kReading ? 1 : 0;
}

[[noreturn]] void store_for_ever(const atoll::List& list, char letter) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::string text(kBytes, letter);
  for (;;) {
    if (!list[0].store(text).ok()) {
      _exit(EXIT_FAILURE);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int loads = argc > 1 ? std::atoi(argv[1]) : 2000;
  const auto list = atoll::List::create_anonymous({libatoll::text(kBytes)});
  for (const int writers : {1, 2}) {
    pid_t children[2];
    for (int i = 0; i < writers; ++i) {
      children[i] = fork();
      if (children[i] == 0) {
        store_for_ever(*list, static_cast<char>('a' + i));
      }
    }
    std::string room(kBytes, '\0');
    int worst = 0;
    int again = 0;
    int loaded = 0;
    libatoll::detail::seam_hook = count_looks;
    const std::uint64_t version_before = (*list)[0].version();
    while (loaded < loads) {
      looks = 0;
      const auto length = (*list)[0].load_into(room);
      if (!length.ok()) {
        return EXIT_FAILURE;
      }
      if (*length != kBytes) {
        continue;  // nobody has stored yet
      }
      if (room.front() != room.back()) {
        std::fprintf(stderr, "retries: a torn text\n");
        return EXIT_FAILURE;
      }
      ++loaded;
      worst = looks - 1 > worst ? looks - 1 : worst;
      again += looks > 1 ? 1 : 0;
    }
    libatoll::detail::seam_hook = nullptr;
    const std::uint64_t stores = (*list)[0].version() - version_before;
    for (int i = 0; i < writers; ++i) {
      kill(children[i], SIGKILL);
      waitpid(children[i], nullptr, 0);
    }
    std::printf(
        R"({"retries":{"writers":%d,"loads":%d,"stores":%llu,"loads_with_retries":%d,"worst":%d}})"
        "\n",
        writers, loaded, static_cast<unsigned long long>(stores), again, worst);
    std::fflush(stdout);
  }
  return EXIT_SUCCESS;
}
