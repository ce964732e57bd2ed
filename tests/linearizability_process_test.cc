// Every operation is linearizable: histories of real processes that work on the same slots at once,
// recorded with the moments of each call and return, and checked one by one (linearizability.h)
// against the model of a slot (slot_model.h).
//
// Two to four processes of a crew of four run a short program of random operations each; a barrier
// before and after makes it one history, whose initial and final state are read when nobody runs.
// An operation takes some 50 ns and the processors are few, so left alone the processes would hardly
// meet. Therefore they are disturbed in two ways: at seams of the library they let others run, and a
// timer signal does the same to them at whatever instruction they are. In some histories the same
// two places kill a process instead: its last operation stays pending, and a new process takes its
// place.
//
// The programs follow from a seed, which is printed, and which ATOLL_LINEARIZABILITY_SEED sets; who
// meets whom does not.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "linearizability.h"
#include "process.h"
#include "seed.h"
#include "slot_model.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using libatoll::Stamp;
using libatoll::Type;
using libatoll::Value;
using libatoll::detail::Seam;
using linearizability::History;
using process::Child;
using process::Shared;
using slot_model::Call;
using slot_model::Code;
using slot_model::datum_of;
using slot_model::failed;
using slot_model::fetch_double;
using slot_model::fetch_int64;
using slot_model::Kind;
using slot_model::kKinds;
using slot_model::kSlotsMax;
using slot_model::ListModel;
using slot_model::mark_of;
using slot_model::Response;
using slot_model::response_of;
using slot_model::SlotModel;
using slot_model::SlotState;

constexpr int kSeats = 4;
constexpr int kStepsMax = 24;  // operations of one process in one history
constexpr int kBatch = 32;     // histories between two looks of the parent

// ---- Time ---------------------------------------------------------------------------------------

// Moments such that, if a reading after one operation is less than a reading before another, then the
// one was over before the other began, whatever their processes and processors.
//
// On x86-64, CLOCK_MONOTONIC: the kernel reads it from a counter only if that is the same on all
// processors, so readings are in the order of the instants at which they are taken. The first fence
// lets the reading happen only when every earlier instruction is complete (a locked one: visible to
// all); the second lets no later instruction, such as a load, begin before the reading is done.
// Elsewhere, a counter that all processes advance, sequentially consistent: what is less was read
// before. It disturbs more, as everybody writes to the same line.
std::int64_t moment([[maybe_unused]] std::atomic<std::int64_t>& counter) {
#if defined(__x86_64__)
  timespec now;
  _mm_lfence();
  clock_gettime(CLOCK_MONOTONIC, &now);
  _mm_lfence();
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
#else
  return counter.fetch_add(1, std::memory_order_seq_cst);
#endif
}

// ---- Random numbers -----------------------------------------------------------------------------

// The same for the same seed, in every process (absl::BitGen is salted for each program run).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(process::mix(seed)) {}
  std::uint64_t next() {
    state_ += 0x9e37'79b9'7f4a'7c15;
    return process::mix(state_);
  }
  int below(int bound) { return static_cast<int>(next() % static_cast<std::uint64_t>(bound)); }
  bool one_in(int bound) { return below(bound) == 0; }
  template <typename T, std::size_t kCount>
  const T& of(const std::array<T, kCount>& choices) {
    return choices[next() % kCount];
  }

 private:
  std::uint64_t state_;
};

std::uint64_t seed_of_run() {
  static const std::uint64_t kSeed = process::seed_from("ATOLL_LINEARIZABILITY_SEED");
  return kSeed;
}

// ---- What a history is about --------------------------------------------------------------------

// The lists: both layouts, two and three buffers a slot.
struct Shape {
  Layout layout;
  int buffers;
};
constexpr std::array<Shape, 4> kShapes = {
    {{Layout::kPadded, 2}, {Layout::kPadded, 3}, {Layout::kDense, 2}, {Layout::kDense, 3}}};

// The slots of each.
constexpr std::array<std::size_t, 6> kCapacities = {8, 16, 24, 200, 1000, 4096};
constexpr int kPinnedInt64 = 6;
constexpr int kPinnedDouble = 7;

SlotModel model_of(int slot) {
  if (slot == kPinnedInt64 || slot == kPinnedDouble) {
    return {.pinned = true,
            .pinned_type = slot == kPinnedInt64 ? Type::kInt64 : Type::kDouble,
            .capacity = 0};
  }
  return {.capacity = kCapacities[static_cast<std::size_t>(slot)]};
}

List create(const Shape& shape, bool integers_only) {
  std::vector<libatoll::Init> values;
  if (integers_only) {
    return process::must(List::create_anonymous(
        libatoll::fill(kSlotsMax, 0), {.layout = shape.layout, .buffers_per_slot = shape.buffers}));
  }
  for (const std::size_t capacity : kCapacities) {
    values.push_back(libatoll::text(capacity));
  }
  values.push_back(libatoll::pinned(0));
  values.push_back(libatoll::pinned(0.0));
  return process::must(List::create_anonymous(values, {.layout = shape.layout,
                                                       .buffers_per_slot = shape.buffers,
                                                       .claim_timeout = absl::Seconds(20)}));
}

enum class Mix { kIntegers, kNumbers, kText, kAll };

// One kind of histories.
struct Workload {
  Mix mix;
  std::vector<int> slots;  // one of them, or as many as `slots_at_once`
  int slots_at_once = 1;
  bool snapshots = false;  // of the mix kIntegers: those of int64
  int kill_one_in = 0;     // histories; 0: nobody is killed
  int rounds = 0;
  // Its fetch_add is a load and a store, to see whether that is noticed.
  bool broken = false;
  // At least so many per cent of the histories have operations that overlapped, and so many per mille
  // cannot be explained by the order of the calls.
  int overlapping_percent_min = 0;
  int reordered_per_mille_min = 0;
};

// One history to be: follows from the seed and its number, in every process alike.
struct Plan {
  int list = 0;
  std::array<int, kSlotsMax> slots = {};
  int processes = 0;
  int steps = 0;
  bool yields_at_seams = false;
  bool yields_at_timer = false;
  int victim = -1;             // the seat of who is to be killed,
  int kill_at_seam = 0;        // at the so-manieth seam that it passes, if not 0,
  bool kill_at_timer = false;  // or when its timer rings

  Plan(const Workload& workload, std::uint64_t seed, int round) {
    Random random(seed * 1'000'003 + static_cast<std::uint64_t>(round));
    list = random.below(static_cast<int>(kShapes.size()));
    for (std::size_t i = 0; i < static_cast<std::size_t>(workload.slots_at_once); ++i) {
      do {
        slots[i] = workload.slots[random.next() % workload.slots.size()];
      } while (std::find(slots.begin(), slots.begin() + i, slots[i]) != slots.begin() + i);
    }
    processes = 2 + random.below(3);
    steps = processes == 2 ? 24 : processes == 3 ? 16 : 12;
    if (workload.slots_at_once > 1) {
      steps = workload.snapshots ? 6 : kStepsMax;
    }
    // The rest runs undisturbed, as fast as it can.
    yields_at_seams = random.below(4) != 0;
    yields_at_timer = random.below(4) != 0;
    first_seat_ = round % kSeats;
    if (workload.kill_one_in > 0 && random.one_in(workload.kill_one_in)) {
      victim = (first_seat_ + random.below(processes)) % kSeats;
      kill_at_timer = random.one_in(2);
      kill_at_seam = kill_at_timer ? 0 : 1 + random.below(12);
    }
  }
  bool takes_part(int seat) const { return (seat + kSeats - first_seat_) % kSeats < processes; }

 private:
  int first_seat_;
};

// ---- Memory that the crew shares ----------------------------------------------------------------

struct Record {
  Call call;
  Response response;
  std::int64_t called;
  std::int64_t returned;
};

// Of one process in one history. Whoever is killed leaves begun == ended + 1.
struct Log {
  std::atomic<int> begun;
  std::atomic<int> ended;
  std::array<Record, kStepsMax> records;
};

struct HistoryLog {
  std::atomic<int> ready;
  std::array<SlotState, kSlotsMax> initial;
  std::array<SlotState, kSlotsMax> final;
  std::int64_t read_finally;
  std::array<Log, kSeats> logs;
};

struct Board {
  std::atomic<std::int64_t> counter;  // see moment()
  alignas(64) std::atomic<int> arrived;
  alignas(64) std::atomic<std::uint32_t> round;  // the one that runs, or is over but not left
  alignas(64) std::atomic<int> finished;         // rounds that are over
  std::atomic<int> checked;                      // rounds that the parent is done with
  std::atomic<int> stop;
  std::array<HistoryLog, kBatch> histories;

  HistoryLog& history(int round_number) {
    return histories[static_cast<std::size_t>(round_number % kBatch)];
  }
};

// Sleeps while the word is `value`. (Who only yields instead gets his turn last on a busy machine; a
// sleeper who is woken gets it first.)
void wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t value) {
  const bool changed = process::wait_until([&] {
    const timespec pause = {.tv_sec = 0, .tv_nsec = 50'000'000};
    syscall(SYS_futex, &word, FUTEX_WAIT, value, &pause, nullptr, 0);
    return word.load() != value;
  });
  ATOLL_CHECK(changed) << "the others never came";
}

void wake_all(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, kSeats, nullptr, nullptr, 0);
}

// ---- Disturbance --------------------------------------------------------------------------------

// Of this process, in this history.
struct Disturbance {
  volatile sig_atomic_t in_operation = 0;
  volatile sig_atomic_t timer_rings = 0;
  volatile sig_atomic_t timer_yields_left = 0;
  volatile sig_atomic_t kill_at_timer = 0;
  bool yields_at_seams = false;
  int kill_at_seam = 0;
  std::uint64_t random = 0;
  timer_t timer = {};
} disturbance;

void set_timer(long nanoseconds) {
  itimerspec once = {};
  once.it_value.tv_nsec = nanoseconds;
  timer_settime(disturbance.timer, 0, &once, nullptr);
}

// How often a timer may ring in one history, wherever the process is then.
constexpr int kRingsMax = 40;

// A signal may take longer than the shortest of these, and then rings again before anything else has
// run; so the longest grow with each ring.
long random_delay() {
  disturbance.random = process::mix(disturbance.random + 1);
  return 300 + static_cast<long>(disturbance.random % (4000ULL << disturbance.timer_rings / 8));
}

// Lets others run: who is next, or whoever comes while we sleep. Async-signal-safe.
void give_way() {
  if (disturbance.random % 2 == 0) {
    sched_yield();
  } else {
    const timespec pause = {.tv_sec = 0, .tv_nsec = 1};
    nanosleep(&pause, nullptr);
  }
}

[[noreturn]] void die() {
  for (;;) {
    ::kill(getpid(), SIGKILL);
  }
}

// Async-signal-safe.
void on_timer(int) {
  const int error = errno;
  disturbance.timer_rings = disturbance.timer_rings + 1;
  if (disturbance.in_operation != 0) {
    if (disturbance.kill_at_timer != 0) {
      die();
    }
    disturbance.timer_yields_left = disturbance.timer_yields_left - 1;
    give_way();
  }
  if (disturbance.timer_yields_left > 0 && disturbance.timer_rings < kRingsMax) {
    set_timer(random_delay());
  }
  errno = error;
}

void on_seam(Seam) {
  if (disturbance.in_operation == 0) {
    return;
  }
  if (disturbance.kill_at_seam > 0 && --disturbance.kill_at_seam == 0) {
    die();
  }
  disturbance.random = process::mix(disturbance.random + 1);
  if (disturbance.yields_at_seams && disturbance.random % 3 == 0) {
    sched_yield();
  }
}

void prepare_disturbance() {
  struct sigaction action = {};
  action.sa_handler = on_timer;
  action.sa_flags = SA_RESTART;
  sigaction(SIGALRM, &action, nullptr);
  sigevent event = {};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  ATOLL_CHECK(timer_create(CLOCK_MONOTONIC, &event, &disturbance.timer) == 0);
  libatoll::detail::seam_hook = on_seam;
  prctl(PR_SET_TIMERSLACK, 1);
}

void begin_disturbance(const Plan& plan, int seat, std::uint64_t random) {
  disturbance.random = random;
  disturbance.yields_at_seams = plan.yields_at_seams;
  const bool is_victim = plan.victim == seat;
  disturbance.kill_at_seam = is_victim ? plan.kill_at_seam : 0;
  disturbance.kill_at_timer = is_victim && plan.kill_at_timer ? 1 : 0;
  disturbance.timer_yields_left = disturbance.kill_at_timer != 0 || plan.yields_at_timer ? 3 : 0;
  disturbance.timer_rings = 0;
  if (disturbance.timer_yields_left > 0) {
    set_timer(random_delay());
  }
}

void end_disturbance() {
  disturbance.timer_yields_left = 0;
  set_timer(0);
}

// ---- A program ----------------------------------------------------------------------------------

// An operation to come. What depends on what the process has seen is filled in when it comes.
struct Step {
  Call call;
  Value desired;
  bool other_way = false;  // by Counter, Gauge, load_range or store_range, where there is one
};

constexpr std::array<Kind, 14> kOfNumbers = {
    Kind::kFetchAdd, Kind::kFetchAdd, Kind::kFetchSub,        Kind::kFetchAnd,
    Kind::kFetchOr,  Kind::kFetchXor, Kind::kFetchMin,        Kind::kFetchMax,
    Kind::kLoad,     Kind::kLoadAs,   Kind::kCompareExchange, Kind::kCompareExchangeStamp,
    Kind::kExchange, Kind::kStore};
constexpr std::array<Kind, 14> kOfText = {Kind::kStore,
                                          Kind::kStore,
                                          Kind::kStore,
                                          Kind::kExchange,
                                          Kind::kCompareExchange,
                                          Kind::kCompareExchangeStamp,
                                          Kind::kUpdate,
                                          Kind::kLoad,
                                          Kind::kLoad,
                                          Kind::kLoadAs,
                                          Kind::kLoadInto,
                                          Kind::kLoadStamped,
                                          Kind::kLoad,
                                          Kind::kStore};
constexpr std::array<Kind, kKinds - 1> kOfAll = [] {
  std::array<Kind, kKinds - 1> kinds = {};
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    kinds[i] = static_cast<Kind>(i);
  }
  return kinds;
}();

// Values of one process; no two of its longer texts are the same.
class Values {
 public:
  explicit Values(int seat) : seat_(static_cast<std::uint32_t>(seat)) {}

  Value number(Random& random, Type type) {
    ++counter_;
    if (type == Type::kDouble) {
      return 1.0 + random.below(8) / 4.0;
    }
    // Few values, so that they come again; or all different.
    return random.one_in(2)
               ? std::int64_t{random.below(4)}
               : static_cast<std::int64_t>(counter_) * 16 + static_cast<std::int64_t>(seat_);
  }
  Value text(Random& random, std::size_t capacity) {
    constexpr std::array<std::size_t, 10> kLengths = {0, 1, 7, 8, 9, 9, 15, 16, 17, 24};
    // Now and then too long. Of longer slots, most lengths are near the capacity: copying takes time.
    const std::size_t length = random.one_in(24)  ? capacity + 1
                               : random.one_in(2) ? std::min(random.of(kLengths), capacity)
                                                  : capacity - random.next() % (capacity / 4 + 1);
    ++counter_;
    std::string contents = process::make_text(seat_, counter_, length);
    return random.one_in(4) ? Value(libatoll::Bytes(std::move(contents)))
                            : Value(std::move(contents));
  }
  Value any(Random& random, const SlotModel& model, Mix mix) {
    const int type = random.below(12);
    if (model.pinned && type != 0) {
      return number(random, model.pinned_type);
    }
    if (mix == Mix::kIntegers) {
      return number(random, Type::kInt64);
    }
    if (mix == Mix::kNumbers || (mix == Mix::kAll && type >= 6)) {
      return type == 0   ? Value(1.5)
             : type == 6 ? Value()
             : type == 7 ? Value(type % 2 == 0)
             : type == 8 ? number(random, Type::kDouble)
                         : number(random, Type::kInt64);
    }
    return text(random, std::max(model.capacity, slot_model::kShort));
  }

 private:
  std::uint32_t seat_;
  std::uint32_t counter_ = 0;
};

Step next_step(Random& random, Values& values, const Workload& workload, const Plan& plan) {
  Step step;
  Call& call = step.call;
  call.slot = static_cast<std::uint8_t>(random.below(workload.slots_at_once));
  const SlotModel model = model_of(plan.slots[call.slot]);
  const bool numbers = workload.mix == Mix::kIntegers || workload.mix == Mix::kNumbers;
  call.kind = numbers                      ? random.of(kOfNumbers)
              : workload.mix == Mix::kText ? random.of(kOfText)
                                           : random.of(kOfAll);
  step.other_way = random.one_in(2);
  if (workload.snapshots && random.one_in(3)) {
    call = {.kind = Kind::kSnapshot};
    return step;
  }
  switch (call.kind) {
    case Kind::kLoadAs:
      call.type = model.pinned ? model.pinned_type
                  : numbers    ? Type::kInt64
                               : static_cast<Type>(1 + random.below(5));
      break;
    case Kind::kLoadInto:
      call.room = static_cast<std::uint32_t>(
          random.one_in(4) ? 8 : std::max(model.capacity, slot_model::kShort));
      break;
    case Kind::kStore:
    case Kind::kExchange:
    case Kind::kCompareExchange:
    case Kind::kCompareExchangeStamp:
      step.desired = values.any(random, model, workload.mix);
      break;
    case Kind::kFetchAdd:
    case Kind::kFetchSub:
    case Kind::kFetchMin:
    case Kind::kFetchMax:
      step.desired = values.number(random, random.one_in(8) || model.pinned_type == Type::kDouble
                                               ? Type::kDouble
                                               : Type::kInt64);
      break;
    case Kind::kFetchAnd:
    case Kind::kFetchOr:
    case Kind::kFetchXor:
      step.desired = std::int64_t{1} << random.below(6);
      if (call.kind == Kind::kFetchAnd) {
        step.desired = ~std::get<std::int64_t>(step.desired);
      }
      break;
    default:
      break;
  }
  call.desired = datum_of(step.desired);
  return step;
}

// What a fetch_add is not.
absl::StatusOr<std::int64_t> add_in_two_steps(const Slot& slot, std::int64_t operand) {
  const absl::StatusOr<std::int64_t> seen = slot.load<std::int64_t>();
  if (!seen.ok()) {
    return slot.fetch_add(operand);
  }
  process::must(slot.store(static_cast<std::int64_t>(static_cast<std::uint64_t>(*seen) +
                                                     static_cast<std::uint64_t>(operand))));
  return seen;
}

// ---- A process of the crew ----------------------------------------------------------------------

class Worker {
 public:
  Worker(const std::vector<List>& lists, Board& board, const Workload& workload, int seat)
      : lists_(lists), board_(board), workload_(workload), seat_(seat), values_(seat) {
    buffer_.resize(kCapacities.back());
  }

  // From `round` on; it is over for us if `successor`: somebody in our place was killed in it.
  int run(int round, bool successor) {
    prepare_disturbance();
    for (bool skip = successor; round < workload_.rounds; ++round, skip = false) {
      const Plan plan(workload_, seed_of_run(), round);
      if (!skip && plan.takes_part(seat_)) {
        take_part(plan, round);
      }
      arrive(round);
      if (board_.stop != 0) {
        break;
      }
    }
    return 0;
  }

  // Who knows that nobody else runs: reads how `round` ended, and prepares the next one.
  void tend(int round) {
    if (round >= 0) {
      const Plan plan(workload_, seed_of_run(), round);
      HistoryLog& log = board_.history(round);
      log.read_finally = moment(board_.counter);
      for (std::size_t i = 0; i < static_cast<std::size_t>(workload_.slots_at_once); ++i) {
        log.final[i] = read(plan, i);
      }
      board_.finished = round + 1;
    }
    if (round + 1 < workload_.rounds) {
      const Plan plan(workload_, seed_of_run(), round + 1);
      if ((round + 1) % kBatch == 0) {
        const bool checked = process::wait_until(
            [&] { return board_.checked.load() == round + 1 || board_.stop != 0; });
        ATOLL_CHECK(checked) << "the parent never came";
      }
      Random random(seed_of_run() + static_cast<std::uint64_t>(round));
      HistoryLog& log = board_.history(round + 1);
      log.ready = 0;
      for (Log& each : log.logs) {
        each.begun = each.ended = 0;
      }
      for (std::size_t i = 0; i < static_cast<std::size_t>(workload_.slots_at_once); ++i) {
        const Slot slot = slot_of(plan, i);
        const Value initial = values_.any(random, model_of(plan.slots[i]), workload_.mix);
        if (SlotState ignored;
            model_of(plan.slots[i])
                .apply(ignored, {.kind = Kind::kStore, .desired = datum_of(initial)})
                .code == Code::kOk) {
          process::must(slot.store(initial));
        }
        log.initial[i] = read(plan, i);
      }
    }
  }

 private:
  // What the process knows of a slot, for comparisons that have a chance.
  struct Known {
    Value value;
    std::optional<Stamp> stamp;
  };

  Slot slot_of(const Plan& plan, std::size_t i) const {
    return lists_[static_cast<std::size_t>(plan.list)][static_cast<std::size_t>(plan.slots[i])];
  }
  SlotState read(const Plan& plan, std::size_t i) const {
    const libatoll::StampedValue seen = process::must(slot_of(plan, i).load_stamped());
    return {.value = datum_of(seen.value), .version = seen.stamp.version()};
  }

  void arrive(int round) {
    const auto now = static_cast<std::uint32_t>(round);
    if (board_.arrived.fetch_add(1) + 1 < kSeats) {
      wait_while(board_.round, now);
      return;
    }
    board_.arrived = 0;
    tend(round);
    board_.round = now + 1;
    wake_all(board_.round);
  }

  void take_part(const Plan& plan, int round) {
    Random random(seed_of_run() ^
                  process::mix(static_cast<std::uint64_t>(round * kSeats + seat_) + 1));
    steps_.clear();
    for (int i = 0; i < plan.steps; ++i) {
      steps_.push_back(next_step(random, values_, workload_, plan));
    }
    plan_ = &plan;
    known_ = {};
    HistoryLog& history = board_.history(round);
    log_ = &history.logs[static_cast<std::size_t>(seat_)];
    // The start line: all at once, if there are processors enough.
    ++history.ready;
    for (int i = 0; i < 500 && history.ready.load() < plan.processes; ++i) {
      if (i % 100 == 99) {
        sched_yield();
      }
    }
    begin_disturbance(plan, seat_, random.next());
    for (Step& step : steps_) {
      perform(step);
    }
    end_disturbance();
  }

  // Runs `operation` as the operation that is recorded.
  template <typename Operation>
  auto timed(const Call& call, Operation operation) {
    const int index = log_->ended.load();
    record_ = &log_->records[static_cast<std::size_t>(index)];
    record_->call = call;
    record_->called = moment(board_.counter);
    log_->begun = index + 1;
    disturbance.in_operation = 1;
    auto result = operation();
    disturbance.in_operation = 0;
    record_->returned = moment(board_.counter);
    return result;
  }

  void perform(Step& step) {
    Call& call = step.call;
    const List& list = lists_[static_cast<std::size_t>(plan_->list)];
    const Slot slot = slot_of(*plan_, call.slot);
    Known& known = known_[call.slot];
    if (call.kind == Kind::kCompareExchange) {
      call.expected = datum_of(known.value);
    } else if (call.kind == Kind::kCompareExchangeStamp || call.kind == Kind::kWait) {
      if (known.stamp.has_value()) {
        call.mark = mark_of(*known.stamp);
      } else {
        call = {.kind = Kind::kLoadStamped, .slot = call.slot};
      }
    }
    const Response response = answer(step, list, slot, known);
    record_->response = response;
    log_->ended = log_->ended.load() + 1;
  }

  Response answer(const Step& step, const List& list, const Slot& slot, Known& known) {
    const Call& call = step.call;
    const auto remember = [&known](const absl::StatusOr<Value>& value) {
      if (value.ok()) {
        known.value = *value;
      }
      return response_of(value);
    };
    switch (call.kind) {
      case Kind::kLoad:
        return remember(timed(call, [&] { return slot.load(); }));
      case Kind::kLoadAs:
        return load_as(step, list, slot);
      case Kind::kLoadInto: {
        const auto length =
            timed(call, [&] { return slot.load_into(std::span<char>(buffer_.data(), call.room)); });
        return length.ok() ? response_of(absl::StatusOr<std::string_view>(
                                 std::string_view(buffer_.data(), *length)))
                           : failed(length.status());
      }
      case Kind::kLoadStamped: {
        const auto seen = timed(call, [&] { return slot.load_stamped(); });
        if (!seen.ok()) {
          return failed(seen.status());
        }
        known = {seen->value, seen->stamp};
        return {.value = datum_of(seen->value), .mark = mark_of(seen->stamp)};
      }
      case Kind::kStamp:
        known.stamp = timed(call, [&] { return slot.stamp(); });
        return {.mark = mark_of(*known.stamp)};
      case Kind::kType: {
        const auto type = timed(call, [&] { return slot.type(); });
        return type.ok() ? Response{.value = {.type = *type}} : failed(type.status());
      }
      case Kind::kVersion:
        return {.mark = {.version = timed(call, [&] { return slot.version(); })}};
      case Kind::kWait: {
        const absl::Duration timeout =
            step.other_way ? absl::ZeroDuration() : absl::Microseconds(20);
        const auto stamp = timed(call, [&] { return slot.wait(*known.stamp, timeout); });
        if (!stamp.ok()) {
          return failed(stamp.status());
        }
        known.stamp = *stamp;
        return {.mark = mark_of(*stamp)};
      }
      case Kind::kStore:
        if (slot.is_pinned() && step.other_way) {
          if (const auto response = by_pinned(step, list, slot, known)) {
            return *response;
          }
        }
        if (const auto* number = std::get_if<std::int64_t>(&step.desired);
            number != nullptr && step.other_way) {
          return response_of(timed(call, [&] {
            return list.store_range(slot.index(), std::span<const std::int64_t>(number, 1));
          }));
        }
        return response_of(timed(call, [&] { return slot.store(step.desired); }));
      case Kind::kExchange:
        if (slot.is_pinned() && step.other_way) {
          if (const auto response = by_pinned(step, list, slot, known)) {
            return *response;
          }
        }
        return remember(timed(call, [&] { return slot.exchange(step.desired); }));
      case Kind::kCompareExchange: {
        if (slot.is_pinned() && step.other_way) {
          if (const auto response = by_pinned(step, list, slot, known)) {
            return *response;
          }
        }
        const auto swapped =
            timed(call, [&] { return slot.compare_exchange(known.value, step.desired); });
        if (swapped.ok() && *swapped) {
          known.value = step.desired;
        }
        return response_of(swapped);
      }
      case Kind::kCompareExchangeStamp: {
        const auto swapped =
            timed(call, [&] { return slot.compare_exchange(*known.stamp, step.desired); });
        Response response = response_of(swapped);
        if (swapped.ok()) {
          response.mark = mark_of(*known.stamp);
        }
        return response;
      }
      case Kind::kUpdate:
        return remember(timed(call, [&] {
          return slot.update([](const Value& seen) { return slot_model::updated(datum_of(seen)); });
        }));
      case Kind::kSnapshot: {
        if (workload_.mix == Mix::kIntegers) {
          const auto integers = timed(call, [&] { return list.snapshot<std::int64_t>(); });
          if (!integers.ok()) {
            return failed(integers.status());
          }
          Response response;
          for (std::size_t i = 0; i < static_cast<std::size_t>(workload_.slots_at_once); ++i) {
            response.all[i] = datum_of((*integers)[slot_of(*plan_, i).index()]);
          }
          return response;
        }
        const auto values = timed(call, [&] { return list.snapshot(); });
        if (!values.ok()) {
          return failed(values.status());
        }
        Response response;
        for (std::size_t i = 0; i < static_cast<std::size_t>(workload_.slots_at_once); ++i) {
          response.all[i] = datum_of((*values)[slot_of(*plan_, i).index()]);
        }
        return response;
      }
      default:
        return fetch(step, list, slot);
    }
  }

  // A store, exchange or compare-exchange by a Counter or a Gauge; nothing if the values are of
  // another type.
  std::optional<Response> by_pinned(const Step& step, const List& list, const Slot& slot,
                                    Known& known) {
    const auto index = static_cast<std::ptrdiff_t>(slot.index());
    return slot.index() == kPinnedInt64
               ? by_pinned<std::int64_t>(step, process::must(list.counter(index)), known)
               : by_pinned<double>(step, process::must(list.gauge(index)), known);
  }
  template <typename T, typename Pinned>
  std::optional<Response> by_pinned(const Step& step, const Pinned& pinned, Known& known) {
    const Call& call = step.call;
    const T* const desired = std::get_if<T>(&step.desired);
    const T* const expected = std::get_if<T>(&known.value);
    if (desired == nullptr || (call.kind == Kind::kCompareExchange && expected == nullptr)) {
      return std::nullopt;
    }
    if (call.kind == Kind::kStore) {
      timed(call, [&] { return pinned.store(*desired), true; });
      return Response();
    }
    if (call.kind == Kind::kExchange) {
      known.value = timed(call, [&] { return pinned.exchange(*desired); });
      return Response{.value = datum_of(libatoll::ValueView(known.value))};
    }
    T seen = *expected;
    const bool swapped = timed(call, [&] { return pinned.compare_exchange(seen, *desired); });
    known.value = swapped ? *desired : seen;
    return Response{.swapped = swapped};
  }

  Response load_as(const Step& step, const List& list, const Slot& slot) {
    const Call& call = step.call;
    switch (call.type) {
      case Type::kBool: {
        const auto value = timed(call, [&] { return slot.load<bool>(); });
        return value.ok() ? Response{.value = datum_of(libatoll::ValueView(*value))}
                          : failed(value.status());
      }
      case Type::kInt64:
        return load_number<std::int64_t>(step, list, slot);
      case Type::kDouble:
        return load_number<double>(step, list, slot);
      case Type::kText:
        return response_of(timed(call, [&] { return slot.load<std::string>(); }));
      default:
        return response_of(timed(call, [&] { return slot.load<libatoll::Bytes>(); }));
    }
  }
  template <typename T>
  Response load_number(const Step& step, const List& list, const Slot& slot) {
    if (!step.other_way) {
      return response_of(timed(step.call, [&] { return slot.load<T>(); }));
    }
    T number = {};
    const absl::Status status =
        timed(step.call, [&] { return list.load_range(slot.index(), std::span<T>(&number, 1)); });
    return status.ok() ? Response{.value = datum_of(number)} : failed(status);
  }

  Response fetch(const Step& step, const List& list, const Slot& slot) {
    if (const auto* number = std::get_if<std::int64_t>(&step.desired)) {
      if (workload_.broken && step.call.kind == Kind::kFetchAdd) {
        return response_of(timed(step.call, [&] { return add_in_two_steps(slot, *number); }));
      }
      if (step.other_way && slot.index() == kPinnedInt64) {
        const libatoll::Counter counter =
            process::must(list.counter(static_cast<std::ptrdiff_t>(slot.index())));
        return response_of(
            timed(step.call, [&] { return fetch_int64(counter, step.call.kind, *number); }));
      }
      return response_of(
          timed(step.call, [&] { return fetch_int64(slot, step.call.kind, *number); }));
    }
    const double number = std::get<double>(step.desired);
    if (step.other_way && slot.index() == kPinnedDouble) {
      const libatoll::Gauge gauge =
          process::must(list.gauge(static_cast<std::ptrdiff_t>(slot.index())));
      return response_of(
          timed(step.call, [&] { return fetch_double(gauge, step.call.kind, number); }));
    }
    return response_of(
        timed(step.call, [&] { return fetch_double(slot, step.call.kind, number); }));
  }
  const std::vector<List>& lists_;
  Board& board_;
  const Workload& workload_;
  int seat_;
  Values values_;
  std::vector<Step> steps_;
  std::array<Known, kSlotsMax> known_;
  std::vector<char> buffer_;
  Log* log_ = nullptr;
  Record* record_ = nullptr;
  const Plan* plan_ = nullptr;
};

// ---- The crew, and what becomes of its histories ------------------------------------------------

struct Counts {
  int histories = 0;
  int operations = 0;
  int overlapping = 0;             // histories with operations that overlapped
  int reordered = 0;               // histories that the order of the calls does not explain
  std::set<std::uint64_t> orders;  // of processes, that explained a history
  std::array<int, kKinds> kinds = {};
  std::map<Code, int> codes;
  int swapped = 0;
  int not_swapped = 0;
  int killed = 0;
  int happened = 0;      // operations of killed processes that must have happened,
  int not_happened = 0;  // and those that need not have
  std::size_t configurations = 0;
};

class Crew {
 public:
  explicit Crew(const Workload& workload) : workload_(workload) {
    for (const Shape& shape : kShapes) {
      lists_.push_back(create(shape, workload.mix == Mix::kIntegers));
    }
  }

  // False if a history is wrong; also, with failures, if a process fails.
  bool run() {
    Worker(lists_, *board_, workload_, 0).tend(-1);
    for (int seat = 0; seat < kSeats; ++seat) {
      children_.push_back(start(seat, 0, false));
    }
    for (int checked = 0; checked < workload_.rounds;) {
      const int end = std::min(checked + kBatch, workload_.rounds);
      bool failed = false;
      // Patience begins anew with each round: a busy machine is slow, not stuck.
      while (!failed && board_->finished < end) {
        const int before = board_->finished;
        const bool moves = process::wait_until([&] {
          failed = !replace_the_killed();
          return failed || board_->finished > before;
        });
        failed |= !moves;
      }
      if (failed) {
        ADD_FAILURE() << "the crew came to round " << board_->finished << " of "
                      << workload_.rounds;
        return false;
      }
      for (; checked < end; ++checked) {
        check_round(checked);
      }
      if (!wrong_.empty()) {
        return false;
      }
      board_->checked = checked;
    }
    return process::all_succeed(children_);
  }

  const Counts& counts() const { return counts_; }
  // The first histories that are not linearizable, for people.
  const std::vector<std::string>& wrong() const { return wrong_; }

 private:
  Child start(int seat, int round, bool successor) {
    return Child([this, seat, round, successor] {
      return Worker(lists_, *board_, workload_, seat).run(round, successor);
    });
  }

  // False if a process has ended otherwise.
  bool replace_the_killed() {
    for (int seat = 0; seat < kSeats; ++seat) {
      Child& child = children_[static_cast<std::size_t>(seat)];
      siginfo_t info = {};
      if (waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
          info.si_pid == 0 || (info.si_code == CLD_EXITED && info.si_status == 0)) {
        continue;
      }
      if (workload_.kill_one_in == 0 || child.wait_for_signal() != SIGKILL) {
        return false;
      }
      // The others wait for it at the end of this round; so does its successor.
      ++counts_.killed;
      child = start(seat, static_cast<int>(board_->round), true);
    }
    return true;
  }

  void check_round(int round) {
    const Plan plan(workload_, seed_of_run(), round);
    if (!workload_.snapshots) {
      for (int i = 0; i < workload_.slots_at_once; ++i) {
        const auto slot = static_cast<std::size_t>(i);
        const SlotModel model = model_of(plan.slots[slot]);
        check_history(plan, round, model, board_->history(round).initial[slot],
                      history_of<SlotModel>(round, i));
      }
      return;
    }
    ListModel model;
    ListModel::State initial;
    for (std::size_t i = 0; i < kSlotsMax; ++i) {
      model.slots[i] = model_of(plan.slots[i]);
      initial.slots[i] = board_->history(round).initial[i];
    }
    check_history(plan, round, model, initial, history_of<ListModel>(round, -1));
  }

  // Of one slot, or of all; with what was read when all was over.
  template <typename Model>
  History<Model> history_of(int round, int slot) {
    const HistoryLog& log = board_->history(round);
    History<Model> history;
    for (int seat = 0; seat < kSeats; ++seat) {
      const Log& of_seat = log.logs[static_cast<std::size_t>(seat)];
      for (int i = 0; i < of_seat.begun; ++i) {
        const Record& record = of_seat.records[static_cast<std::size_t>(i)];
        if (slot >= 0 && record.call.slot != slot) {
          continue;
        }
        const bool pending = i >= of_seat.ended;
        history.push_back({.process = seat,
                           .call = record.call,
                           .called = record.called,
                           .returned = pending ? linearizability::kNever : record.returned,
                           .response = pending ? Response() : record.response});
      }
    }
    for (int i = 0; i < workload_.slots_at_once; ++i) {
      if (slot < 0 || i == slot) {
        const SlotState& state = log.final[static_cast<std::size_t>(i)];
        history.push_back(
            {.process = kSeats,
             .call = {.kind = Kind::kLoadStamped, .slot = static_cast<std::uint8_t>(i)},
             .called = log.read_finally,
             .returned = log.read_finally + 1,
             .response = {.value = state.value, .mark = mark_of(state.version, state.value)}});
      }
    }
    return history;
  }

  template <typename Model>
  void check_history(const Plan& plan, int round, const Model& model,
                     const typename Model::State& initial, const History<Model>& history) {
    const linearizability::Verdict verdict = linearizability::check(model, initial, history);
    count(history, verdict);
    if (!verdict.linearizable) {
      if (wrong_.size() < 3) {
        const Shape& shape = kShapes[static_cast<std::size_t>(plan.list)];
        std::ostringstream text;
        text << "history " << counts_.histories << ", round " << round << ", "
             << process::layout_name(shape.layout) << " layout, " << shape.buffers
             << " buffers, slots " << plan.slots[0] << ' ' << plan.slots[1] << ' ' << plan.slots[2]
             << ": " << linearizability::explain(model, initial, history);
        wrong_.push_back(text.str());
      }
      return;
    }
    for (std::size_t i = 0; i < history.size(); ++i) {
      if (history[i].is_pending()) {
        History<Model> without = history;
        without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
        ++(linearizability::check(model, initial, without).linearizable ? counts_.not_happened
                                                                        : counts_.happened);
      }
    }
  }

  template <typename Model>
  void count(const History<Model>& history, const linearizability::Verdict& verdict) {
    ++counts_.histories;
    counts_.configurations += verdict.configurations;
    counts_.overlapping += linearizability::overlaps(history) > 0 ? 1 : 0;
    for (const auto& operation : history) {
      if (operation.process == kSeats || operation.is_pending()) {
        continue;
      }
      ++counts_.operations;
      ++counts_.kinds[static_cast<std::size_t>(operation.call.kind)];
      ++counts_.codes[operation.response.code];
      if (operation.response.code == Code::kOk &&
          (operation.call.kind == Kind::kCompareExchange ||
           operation.call.kind == Kind::kCompareExchangeStamp)) {
        ++(operation.response.swapped ? counts_.swapped : counts_.not_swapped);
      }
    }
    // The search tries the order of the calls first, so an order that goes back in time was needed.
    std::uint64_t order = 0;
    bool reordered = false;
    for (std::size_t i = 0; i < verdict.order.size(); ++i) {
      const auto& operation = history[verdict.order[i]];
      order = order * 5 + static_cast<std::uint64_t>(operation.process);
      reordered |= i > 0 && operation.called < history[verdict.order[i - 1]].called;
    }
    counts_.orders.insert(order);
    counts_.reordered += reordered ? 1 : 0;
  }

  const Workload& workload_;
  std::vector<List> lists_;
  Shared<Board> board_;
  std::vector<Child> children_;
  Counts counts_;
  std::vector<std::string> wrong_;
};

// ---- Tests --------------------------------------------------------------------------------------

int histories_in_all = 0;

void expect_linearizable(const char* what, const Workload& workload) {
  const auto begin = std::chrono::steady_clock::now();
  Crew crew(workload);
  const bool right = crew.run();
  for (const std::string& each : crew.wrong()) {
    ADD_FAILURE() << each;
  }
  ASSERT_TRUE(right);
  const Counts& counts = crew.counts();
  histories_in_all += counts.histories;
  EXPECT_GE(counts.overlapping * 100, counts.histories * workload.overlapping_percent_min);
  EXPECT_GE(counts.reordered * 1000, counts.histories * workload.reordered_per_mille_min);
  EXPECT_GE(counts.orders.size(), 100U);
  EXPECT_GT(counts.swapped, 0);
  EXPECT_GT(counts.not_swapped, 0);
  std::string kinds;
  for (std::size_t i = 0; i < kKinds; ++i) {
    if (counts.kinds[i] > 0) {
      kinds += ' ' + std::string(slot_model::name_of(static_cast<Kind>(i))) + ' ' +
               std::to_string(counts.kinds[i]);
    }
  }
  std::string codes;
  for (const auto& [code, count] : counts.codes) {
    codes += ' ' + absl::StatusCodeToString(code) + ' ' + std::to_string(count);
  }
  ATOLL_SUMMARY(
      "%s: %d histories of %d operations in %.1f s, all linearizable; %d with overlap, %d that the "
      "order of the calls does not explain, %zu orders of processes, %zu configurations",
      what, counts.histories, counts.operations,
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
      counts.overlapping, counts.reordered, counts.orders.size(), counts.configurations);
  ATOLL_SUMMARY("  operations:%s; exchanges that compare: %d true, %d false; answers:%s",
                kinds.c_str(), counts.swapped, counts.not_swapped, codes.c_str());
  if (workload.kill_one_in > 0) {
    EXPECT_GT(counts.killed, workload.rounds / workload.kill_one_in / 10);
    EXPECT_GT(counts.happened, 0);
    EXPECT_GT(counts.not_happened, 0);
    ATOLL_SUMMARY("  %d processes killed in an operation; %d of these must have happened, %d not",
                  counts.killed, counts.happened, counts.not_happened);
  }
}

TEST(LinearizabilityProcess, OfNumbers) {
  expect_linearizable("numbers", {.mix = Mix::kNumbers,
                                  .slots = {0, 3},
                                  .rounds = 8000,
                                  .overlapping_percent_min = 10,
                                  .reordered_per_mille_min = 10});
}

TEST(LinearizabilityProcess, OfPinnedNumbers) {
  expect_linearizable("pinned numbers", {.mix = Mix::kAll,
                                         .slots = {kPinnedInt64, kPinnedInt64, kPinnedDouble},
                                         .rounds = 6000,
                                         .overlapping_percent_min = 10,
                                         .reordered_per_mille_min = 20});
}

TEST(LinearizabilityProcess, OfText) {
  expect_linearizable("text", {.mix = Mix::kText,
                               .slots = {1, 2, 3, 4, 5},
                               .rounds = 5000,
                               .overlapping_percent_min = 40,
                               .reordered_per_mille_min = 200});
}

TEST(LinearizabilityProcess, OfChangesOfType) {
  expect_linearizable("changes of type", {.mix = Mix::kAll,
                                          .slots = {0, 1, 2, 3, 4, 5},
                                          .rounds = 5000,
                                          .overlapping_percent_min = 30,
                                          .reordered_per_mille_min = 100});
}

TEST(LinearizabilityProcess, OfSeveralSlots) {
  expect_linearizable("several slots", {.mix = Mix::kAll,
                                        .slots = {0, 1, 2, 3, 4, 5, kPinnedInt64, kPinnedDouble},
                                        .slots_at_once = 3,
                                        .rounds = 2000,
                                        .overlapping_percent_min = 20,
                                        .reordered_per_mille_min = 50});
}

TEST(LinearizabilityProcess, OfSnapshots) {
  expect_linearizable("snapshots", {.mix = Mix::kAll,
                                    .slots = {0, 1, 2, 3, 4, 5},
                                    .slots_at_once = 3,
                                    .snapshots = true,
                                    .rounds = 3000,
                                    .overlapping_percent_min = 30,
                                    .reordered_per_mille_min = 100});
}

// Another algorithm: a sum of versions instead of stamps.
TEST(LinearizabilityProcess, OfSnapshotsOfNumbers) {
  expect_linearizable("snapshots of numbers", {.mix = Mix::kIntegers,
                                               .slots = {0, 1, 2},
                                               .slots_at_once = 3,
                                               .snapshots = true,
                                               .rounds = 3000,
                                               .overlapping_percent_min = 5,
                                               .reordered_per_mille_min = 20});
}

TEST(LinearizabilityProcess, OfTheKilled) {
  expect_linearizable("the killed", {.mix = Mix::kAll,
                                     .slots = {0, 1, 2, 3, 4, 5, kPinnedInt64},
                                     .kill_one_in = 2,
                                     .rounds = 2000,
                                     .overlapping_percent_min = 30,
                                     .reordered_per_mille_min = 100});
}

// Were they all to pass, whatever happens, this one would not.
TEST(LinearizabilityProcess, NoticesABrokenIncrement) {
  const Workload workload = {
      .mix = Mix::kNumbers, .slots = {0, kPinnedInt64}, .rounds = 20'000, .broken = true};
  Crew crew(workload);
  ASSERT_FALSE(crew.run());
  ASSERT_FALSE(crew.wrong().empty());
  EXPECT_NE(crew.wrong()[0].find("fetch_add"), std::string::npos) << crew.wrong()[0];
  ATOLL_SUMMARY("an increment in two steps was noticed among the first %d histories:",
                crew.counts().histories);
  std::printf("%s", crew.wrong()[0].c_str());
}

// Last: that all of it was enough.
TEST(LinearizabilityProcess, TenThousandHistories) {
  if (::testing::UnitTest::GetInstance()->test_to_run_count() < 10) {
    GTEST_SKIP() << "only some of the tests run";
  }
  EXPECT_GE(histories_in_all, 10'000);
  ATOLL_SUMMARY("%d histories in all", histories_in_all);
}

}  // namespace
