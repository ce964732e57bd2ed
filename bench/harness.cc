#include "harness.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <new>

#include "absl/strings/str_format.h"

namespace bench {
namespace {

constexpr int kProcessesMax = 64;
constexpr int kAttemptsMax = 12;
constexpr unsigned kPatienceSeconds = 120;
// How long one call of a body should take: much longer than to read the clock, much shorter than the
// window.
constexpr std::int64_t kBatchNs = 5'000;
// From the last arrival to the start: time for the others to notice.
constexpr std::int64_t kLeadNs = 150'000;

std::int64_t now_ns() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{1'000'000'000} * now.tv_sec + now.tv_nsec;
}

// What the processes of one sample share.
struct Sheet {
  std::atomic<int> arrived;
  std::atomic<std::int64_t> start_ns;
  struct alignas(64) Line {
    std::uint64_t operations;
    std::int64_t elapsed_ns;
    bool disturbed;
  };
  std::array<Line, kProcessesMax> lines;
};

struct Sample {
  double ns = 0;  // per operation of all counted processes together
  std::uint64_t operations = 0;
  bool disturbed = false;
};

std::vector<int> usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  sched_getaffinity(0, sizeof(set), &set);
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) {
      cpus.push_back(cpu);
    }
  }
  return cpus;
}

void pin(int process, int processes) {
  static const std::vector<int> kCpus = usable_cpus();
  if (processes > static_cast<int>(kCpus.size())) {
    return;
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(kCpus[static_cast<std::size_t>(process)], &set);
  must(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

bool is_pinned(int processes) { return processes <= static_cast<int>(usable_cpus().size()); }

std::int64_t preemptions() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

// Waits asleep, which makes it unlikely to lose the CPU right after; then on the CPU for the start.
// False if it woke too late.
bool line_up(Sheet& sheet, int processes) {
  if (sheet.arrived.fetch_add(1) + 1 == processes) {
    sheet.start_ns = now_ns() + (processes == 1 ? 0 : kLeadNs);
  }
  while (sheet.start_ns.load() == 0) {
    const timespec pause = {.tv_sec = 0, .tv_nsec = 20'000};
    nanosleep(&pause, nullptr);
  }
  const std::int64_t start = sheet.start_ns;
  const bool in_time = processes == 1 || now_ns() < start;
  while (now_ns() < start) {
  }
  return in_time;
}

// One process of a sample.
void take_part(const Work& work, const Contestant& contestant, int process,
               std::chrono::nanoseconds window, Sheet& sheet) {
  pin(process, work.processes);
  const Body body = contestant.enter(process);
  std::uint64_t batch = work.operations;
  if (work.operations == 0) {
    batch = 1;
    for (std::int64_t warm_until = now_ns() + window.count() / 4;;) {
      const std::int64_t begin = now_ns();
      body(batch);
      const std::int64_t end = now_ns();
      if (end - begin < kBatchNs) {
        batch *= 2;
      } else if (end >= warm_until) {
        break;
      }
    }
  }

  Sheet::Line& line = sheet.lines[static_cast<std::size_t>(process)];
  const bool in_time = line_up(sheet, work.processes);
  const std::int64_t preemptions_before = preemptions();
  const std::int64_t begin = now_ns();
  std::int64_t end = begin;
  std::uint64_t operations = 0;
  do {
    body(batch);
    operations += batch;
    end = now_ns();
  } while (work.operations == 0 && end - begin < window.count());
  line = {.operations = operations,
          .elapsed_ns = end - begin,
          .disturbed = !in_time || preemptions() != preemptions_before};
}

Sample take_sample(const Work& work, const Contestant& contestant,
                   std::chrono::nanoseconds window) {
  static auto& sheet = make_shared_memory<Sheet>();
  new (&sheet) Sheet();
  must(work.processes <= kProcessesMax, "too many processes");
  std::fflush(nullptr);
  std::vector<pid_t> children;
  const pid_t parent = getpid();
  for (int process = 0; process < work.processes; ++process) {
    const pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) {
        _exit(EXIT_FAILURE);
      }
      alarm(kPatienceSeconds);
      take_part(work, contestant, process, window, sheet);
      _exit(EXIT_SUCCESS);
    }
    children.push_back(pid);
  }
  bool all_succeeded = true;
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    all_succeeded &= WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
  }
  if (!all_succeeded) {
    die(absl::StrFormat("a process of '%s' (%s) failed", work.name, contestant.name));
  }

  Sample sample;
  double operations_per_ns = 0;
  for (int process = 0; process < work.processes; ++process) {
    const Sheet::Line& line = sheet.lines[static_cast<std::size_t>(process)];
    sample.disturbed |= line.disturbed;
    if (process >= work.first_counted) {
      sample.operations += line.operations;
      operations_per_ns +=
          static_cast<double>(line.operations) / static_cast<double>(line.elapsed_ns);
    }
  }
  sample.ns = 1 / operations_per_ns;
  return sample;
}

constexpr std::array kInterruptions = {SIGINT, SIGTERM, SIGHUP};

// They wait until a sample is over.
void block_interruptions() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kInterruptions) {
    sigaddset(&set, signal);
  }
  sigprocmask(SIG_BLOCK, &set, nullptr);
}

std::string describe(const Work& work) {
  return absl::StrFormat("%s, %d process%s%s", work.name, work.processes,
                         work.processes == 1 ? "" : "es",
                         work.size == 0 ? "" : absl::StrFormat(", size %d", work.size));
}

}  // namespace

void die(const std::string& what) {
  std::fprintf(stderr, "bench: %s\n", what.c_str());
  std::exit(EXIT_FAILURE);
}

void* shared_memory(std::size_t bytes) {
  void* const memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  must(memory != MAP_FAILED, "mmap");
  return memory;
}

bool run(const std::vector<Work>& works, const Plan& plan) {
  block_interruptions();
  for (const Work& work : works) {
    std::fprintf(stderr, "%s\n", describe(work).c_str());
    const std::vector<Contestant> contestants = work.set_up();
    for (int round = 0; round < plan.rounds; ++round) {
      for (std::size_t i = 0; i < contestants.size(); ++i) {
        const Contestant& contestant =
            contestants[(i + static_cast<std::size_t>(round)) % contestants.size()];
        Sample sample;
        int attempts = 0;
        do {
          sample = take_sample(work, contestant, work.windows * plan.window);
          ++attempts;
        } while (sample.disturbed && is_pinned(work.processes) && attempts < kAttemptsMax);
        std::printf(
            R"({"work":"%s","processes":%d,"size":%llu,"contestant":"%s","round":%d,"ns":%.4f,)"
            R"("operations":%llu,"attempts":%d,"disturbed":%s})"
            "\n",
            work.name.c_str(), work.processes, static_cast<unsigned long long>(work.size),
            contestant.name.c_str(), round, sample.ns,
            static_cast<unsigned long long>(sample.operations), attempts,
            sample.disturbed ? "true" : "false");
        sigset_t pending;
        sigpending(&pending);
        for (const int signal : kInterruptions) {
          if (sigismember(&pending, signal) == 1) {
            return false;
          }
        }
      }
    }
  }
  return true;
}

}  // namespace bench
