// Runs the works. See --help; script/bench runs this, and shows the results.

#include <sched.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "works.h"

namespace {

constexpr const char* kUsage =
    R"(usage: atoll_bench [--quick] [--rounds N] [--window-us N] [--only REGEX] [--list]

Writes a line of JSON for each sample to stdout, and progress to stderr.
  --quick        fewer sizes and processes, shorter and fewer samples
  --rounds N     samples of each contestant
  --window-us N  how long a sample counts
  --only REGEX   works whose name matches
  --list         names of the works, nothing else
)";

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): ends the program
  bench::Extent extent;
  cpu_set_t set;
  sched_getaffinity(0, sizeof(set), &set);
  extent.cpus = CPU_COUNT(&set);
  int rounds = 0;
  int window_us = 0;
  bool list_only = false;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const auto value = [&]() -> const char* {
      if (++i == argc) {
        std::fputs(kUsage, stderr);
        std::exit(2);
      }
      return argv[i];
    };
    if (argument == "--quick") {
      extent.quick = true;
    } else if (argument == "--rounds") {
      rounds = std::atoi(value());
    } else if (argument == "--window-us") {
      window_us = std::atoi(value());
    } else if (argument == "--only") {
      only = value();
    } else if (argument == "--list") {
      list_only = true;
    } else {
      const bool asked = argument == "--help" || argument == "-h";
      std::fputs(kUsage, asked ? stdout : stderr);
      return asked ? 0 : 2;
    }
  }

  const std::regex wanted(only);
  const bench::Plan plan = {
      .window = std::chrono::microseconds(window_us > 0 ? window_us : (extent.quick ? 1000 : 3000)),
      .rounds = rounds > 0 ? rounds : (extent.quick ? 5 : 15),
  };
  std::vector<bench::Work> works;
  for (const auto make : {bench::number_works, bench::text_works, bench::list_works}) {
    for (bench::Work& work : make(extent)) {
      if (std::regex_search(work.name, wanted)) {
        works.push_back(std::move(work));
      }
    }
  }
  if (list_only) {
    for (const bench::Work& work : works) {
      std::printf("%s, %d, %llu\n", work.name.c_str(), work.processes,
                  static_cast<unsigned long long>(work.size));
    }
    return 0;
  }
  return bench::run(works, plan) ? EXIT_SUCCESS : EXIT_FAILURE;
}
