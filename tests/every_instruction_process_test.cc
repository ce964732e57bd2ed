// A process killed, or paused, before every machine instruction of an operation.
//
//   Killed       readers see the old value or the new one, whole; K + 1 writers store at once, K - 1 of
//                them with a buffer in hand at the same time, so the claim of the dead is taken back; a
//                name stands for a whole list or for none.
//   Paused       other processes make 1, K - 1, K and K + 1 stores, or change the type of the slot to
//                and fro, while it stands still; then it completes, and the history is linearizable.
//   Pairs        two processes are paused in two operations at once.
//
// "Every instruction" is this. Of an operation on a slot: each one that it executes, also in Abseil and
// in the C library; of a loop the first and the last three rounds, and a sample of those between. Of
// operations that are system calls for the most part (create, attach, close, unlink, wait): each one of
// this program, where the library is, and in other libraries those before and after each system call
// and a sample of the rest. That is enough because others can see nothing of a process but its stores
// to the segment, which only the library makes, and its system calls: between two of these one place is
// as good as another. Loops and other libraries are paused in one way a place, in turn.
//
//   ATOLL_EVERY_INSTRUCTION=all   samples nothing, and pauses at each place in every way (hours)
//   ATOLL_EVERY_INSTRUCTION_SEED  of the samples; printed
//
// What this cannot see: memory accesses in another order than the program's, for a process that is
// stopped has none under way. And two buffers a slot with a writer of long text paused: there, as
// promised, other writers of long text wait for it.

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <span>

#include "linearizability.h"
#include "seed.h"
#include "single_step.h"
#include "slot_model.h"

namespace {

using libatoll::List;
using libatoll::Slot;
using libatoll::Stamp;
using libatoll::Type;
using libatoll::Value;
using libatoll::ValueView;
using process::Inspector;
using process::must;
using process::Shared;
using process::UniqueName;
using single_step::Place;
using single_step::stepped;
using single_step::Trace;
using single_step::Tracee;
using slot_model::Call;
using slot_model::Datum;
using slot_model::datum_of;
using slot_model::failed;
using slot_model::Kind;
using slot_model::mark_of;
using slot_model::Response;
using slot_model::response_of;
using slot_model::SlotModel;
using slot_model::SlotState;

using Operation = linearizability::Operation<SlotModel>;
using History = linearizability::History<SlotModel>;

// ---- The run ------------------------------------------------------------------------------------

bool everything() {
  const char* const wanted = std::getenv("ATOLL_EVERY_INSTRUCTION");
  return wanted != nullptr && std::string_view(wanted) == "all";
}

std::uint64_t random_number() {
  static std::uint64_t state = process::seed_from("ATOLL_EVERY_INSTRUCTION_SEED");
  return process::mix(state += 0x9e37'79b9'7f4a'7c15);
}
bool one_in(std::size_t count) { return everything() || random_number() % count == 0; }

// Which places of a trace to stop at.
struct Choice {
  bool around_system_calls = false;  // of other libraries, only these, and a sample
  std::size_t others_one_in = 24;
  std::uint32_t ends = 3;  // the first and the last rounds of a loop
  std::size_t rounds_one_in = 32;
};

std::vector<Place> choose(const Trace& trace, const Choice& choice) {
  std::unordered_map<std::uintptr_t, std::uint32_t> rounds;
  for (const Place& place : trace) {
    ++rounds[place.address];
  }
  std::vector<Place> chosen;
  bool after_system_call = false;
  for (const Place& place : trace) {
    const bool at_system_call = single_step::is_system_call(place.address);
    const bool matters = !choice.around_system_calls || single_step::is_ours(place.address) ||
                         at_system_call || after_system_call;
    const bool is_end = place.nth <= choice.ends || place.nth + choice.ends > rounds[place.address];
    if ((matters || one_in(choice.others_one_in)) && (is_end || one_in(choice.rounds_one_in))) {
      chosen.push_back(place);
    }
    after_system_call = at_system_call;
  }
  return chosen;
}

// What was really exercised.
struct Counts {
  std::size_t instructions = 0;  // of the operation, undisturbed
  std::size_t places = 0;        // where it was stopped
  std::size_t missed = 0;        // that did not come: memory or a clock took another path
  std::size_t missed_ours = 0;   // the same in this program, whose path is the same each time
  std::size_t kills = 0;
  std::size_t pauses = 0;
  std::size_t old_values = 0;  // after a kill
  std::size_t new_values = 0;
  std::size_t take_overs = 0;  // of claims of the dead
  std::size_t sleeps = 0;      // of a wait that was paused
  std::size_t stepped = 0;     // pauses after which the rest was stepped through, to see
  std::size_t other_way = 0;   // pauses of a pair's second, changed by what its first had done
  std::size_t retries = 0;     // whether it took more instructions than undisturbed

  void miss(const Place& place) {
    ++missed;
    missed_ours += single_step::is_ours(place.address) ? 1 : 0;
  }
};

// ---- Operations ---------------------------------------------------------------------------------

constexpr std::size_t kCapacity = 2304;
constexpr std::size_t kOldLength = 140;  // of the long text that an operation meets,
constexpr std::size_t kNewLength = 150;  // and writes: a block of 128 bytes, words, and a rest
constexpr std::size_t kLonger = 1920;    // makes it text that one string instruction copies

enum class Sort { kNumber, kShortText, kLongText };

enum Writer : std::uint32_t { kBefore = 1, kOperation, kOther, kSecond, kDead, kCrew = 16 };

Value value_of(Sort sort, Writer writer, std::uint32_t counter, std::size_t length = kNewLength) {
  switch (sort) {
    case Sort::kNumber:
      return std::int64_t{counter} * 100 + writer;
    case Sort::kShortText:
      return process::make_text(writer, counter, slot_model::kShort);
    case Sort::kLongText:
      break;
  }
  return process::make_text(writer, counter, length);
}

struct Spec {
  const char* name;
  Kind kind;
  Sort before;   // what the slot holds
  Sort desired;  // what is written, if anything is
  bool pinned = false;
  int dead = 0;          // writers that died with a claim in hand before
  std::size_t more = 0;  // bytes, of each long text

  bool writes() const {
    return kind != Kind::kLoad && kind != Kind::kLoadInto && kind != Kind::kLoadStamped &&
           kind != Kind::kWait;
  }
  SlotModel model() const {
    return pinned ? SlotModel{.pinned = true, .pinned_type = Type::kInt64, .capacity = 0}
                  : SlotModel{.capacity = kCapacity};
  }
  Value initial(std::uint32_t counter) const {
    return value_of(before, kBefore, counter, kOldLength + more);
  }
  Value operand(Writer writer, std::uint32_t counter) const {
    return value_of(desired, writer, counter, kNewLength + more);
  }
  // What the model is asked.
  Call call(Writer writer, std::uint32_t counter, const SlotState& state) const {
    return {.kind = kind,
            .room = kCapacity,
            .desired = datum_of(operand(writer, counter)),
            .expected = datum_of(initial(counter)),
            .mark = mark_of(state.version, state.value)};
  }
};

// Performs the operation, which the tracer steps through, and nothing else of it.
Response perform(const Spec& spec, const Slot& slot, Writer writer, std::uint32_t counter) {
  const Value desired = spec.operand(writer, counter);
  const Value expected = spec.initial(counter);
  const ValueView value(desired);
  Stamp stamp = slot.stamp();
  switch (spec.kind) {
    case Kind::kLoad:
      return response_of(stepped([&] { return slot.load(); }));
    case Kind::kLoadInto: {
      std::array<char, kCapacity> buffer;
      const auto length = stepped([&] { return slot.load_into(buffer); });
      return length.ok() ? response_of(absl::StatusOr<std::string_view>(
                               std::string_view(buffer.data(), *length)))
                         : failed(length.status());
    }
    case Kind::kLoadStamped: {
      const auto seen = stepped([&] { return slot.load_stamped(); });
      return seen.ok() ? Response{.value = datum_of(seen->value), .mark = mark_of(seen->stamp)}
                       : failed(seen.status());
    }
    case Kind::kWait: {
      const auto seen = stepped([&] { return slot.wait(stamp, absl::InfiniteDuration()); });
      return seen.ok() ? Response{.mark = mark_of(*seen)} : failed(seen.status());
    }
    case Kind::kStore:
      return response_of(stepped([&] { return slot.store(value); }));
    case Kind::kExchange:
      return response_of(stepped([&] { return slot.exchange(value); }));
    case Kind::kCompareExchange:
      return response_of(stepped([&] { return slot.compare_exchange(expected, value); }));
    case Kind::kCompareExchangeStamp: {
      const auto swapped = stepped([&] { return slot.compare_exchange(stamp, value); });
      Response response = response_of(swapped);
      if (swapped.ok()) {
        response.mark = mark_of(stamp);
      }
      return response;
    }
    case Kind::kFetchAdd:
      return response_of(stepped([&] { return slot.fetch_add(std::get<std::int64_t>(desired)); }));
    default:
      ATOLL_CHECK(false) << spec.name;
      return {};
  }
}

// ---- The slot, and who works on it --------------------------------------------------------------

class Scene {
 public:
  Scene(const Spec& spec, int buffers)
      : list_(must(List::create_anonymous(
            {libatoll::text(kCapacity), libatoll::pinned(0)},
            {.buffers_per_slot = buffers, .claim_timeout = absl::Seconds(20)}))),
        look_(list_),
        spec_(spec),
        buffers_(static_cast<std::uint32_t>(buffers)) {}

  const Spec& spec() const { return spec_; }
  Slot slot() const { return list_[spec_.pinned ? 1 : 0]; }
  const Inspector& look() const { return look_; }
  std::uint32_t buffers() const { return buffers_; }
  std::uint32_t claims() const { return spec_.pinned ? 0 : look_.claims(0); }

  SlotState read() const {
    const libatoll::StampedValue seen = must(slot().load_stamped());
    return {.value = datum_of(seen.value), .version = seen.stamp.version()};
  }

  // The same state each time, but for the version and the text: so that operations take the same path.
  SlotState reset(std::uint32_t counter) const {
    must(slot().store(value_of(Sort::kNumber, kBefore, counter)));  // no buffer is current
    if (!spec_.pinned) {
      const Value initial = spec_.initial(counter);
      do {
        must(slot().store(initial));
      } while (slot().version() % buffers_ != 0);
    }
    return read();
  }

 private:
  List list_;
  Inspector look_;
  Spec spec_;
  std::uint32_t buffers_;
};

// A process that performs the operation, again and again.
class Performer {
 public:
  Performer(const Scene& scene, Writer writer, const Spec& spec)
      : writer_(writer), tracee_([this, &scene, &spec]() -> int {
          for (;;) {
            single_step::single_step_ready();
            board_->response = perform(spec, scene.slot(), writer_, board_->counter);
          }
        }) {
    tracee_.run_to_ready();
  }
  Performer(const Scene& scene, Writer writer) : Performer(scene, writer, scene.spec()) {}

  Tracee& tracee() { return tracee_; }
  // Takes the process to the beginning of its next operation.
  void begin(std::uint32_t counter) {
    board_->counter = counter;
    tracee_.run_to_begin();
  }
  // Takes it to the end, if it is not there, and tells what came of it.
  Response end() {
    tracee_.run_to_end();
    tracee_.run_to_ready();
    return board_->response;
  }

 private:
  struct Board {
    std::uint32_t counter;
    Response response;
  };
  const Shared<Board> board_;
  Writer writer_;
  Tracee tracee_;
};

// Its instructions in this program.
Trace ours(Trace trace) {
  std::erase_if(trace, [](const Place& place) { return !single_step::is_ours(place.address); });
  for (Place& place : trace) {
    place.after = place.nth_after = 0;  // that may be in another library
  }
  return trace;
}

// The operation's instructions when nothing disturbs it, once they are the same two times: at first
// memory is not as it will be, and a sleep may end by the clock. A sleeper is woken by a store.
Trace record(const Scene& scene) {
  Performer performer(scene, kOperation);
  const bool waits = scene.spec().kind == Kind::kWait;
  Trace trace;
  for (int time = 0; time < 20; ++time) {
    scene.reset(1);
    int wakes = 0;
    if (waits) {
      performer.tracee().on_sleep([&] {
        if (++wakes > 1) {
          throw single_step::Error("asleep, though the slot has changed");
        }
        must(scene.slot().store(value_of(scene.spec().before, kOther, 1)));
      });
    }
    performer.begin(1);
    const Trace before = std::exchange(trace, performer.tracee().record());
    performer.end();
    EXPECT_EQ(wakes, waits ? 1 : 0);
    if (ours(before) == ours(trace)) {
      return trace;
    }
  }
  ADD_FAILURE() << scene.spec().name << " takes another path each time";
  return trace;
}

constexpr Spec kStoreLongText = {"store of long text", Kind::kStore, Sort::kLongText,
                                 Sort::kLongText};

// Where a store of long text makes its text current: it has a buffer in hand, and the text in it.
Place swap_of_store() {
  static const Place kPlace = [] {
    const Scene scene(kStoreLongText, 3);
    const Trace trace = record(scene);
    const auto swap = std::find_if(trace.begin(), trace.end(), [](const Place& each) {
      return single_step::is_swap(each.address);
    });
    ATOLL_CHECK(swap != trace.end()) << "no store without a swap";
    return *swap;
  }();
  return kPlace;
}

// K + 1 writers of long text.
class Crew {
 public:
  explicit Crew(const Scene& scene) : scene_(scene) {
    for (std::uint32_t i = 0; i < scene.buffers() + 1; ++i) {
      members_.emplace_back(scene, static_cast<Writer>(kCrew + i), kStoreLongText);
    }
  }

  // All store at once: K - 1 stand with a buffer in hand, which is as many as there can be; two more
  // come to that; then all complete. Returns how many claims of the dead that took over.
  std::size_t store_at_once(std::uint32_t counter) {
    const std::vector<std::uint64_t> before = owners();
    const SlotState initial = scene_.read();
    const std::size_t holders = scene_.buffers() - 1;
    History history;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      members_[i].begin(counter);
      history.push_back({.process = static_cast<int>(i),
                         .call = {.kind = Kind::kStore, .desired = datum_of(text(i, counter))},
                         .called = 1,
                         .returned = 2});
      if (i >= holders) {
        members_[i].tracee().start();
      } else if (!members_[i].tracee().run_to(swap_of_store())) {
        ADD_FAILURE() << "writer " << i << " of " << holders
                      << " found no buffer: " << scene_.claims() << " claims";
        return 0;
      }
    }
    std::size_t taken_over = 0;
    const std::vector<std::uint64_t> now = owners();
    for (std::size_t i = 0; i < before.size(); ++i) {
      taken_over += before[i] != 0 && now[i] != before[i] ? 1 : 0;
    }
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (i >= holders) {
        members_[i].tracee().arrive_at_end();
      }
      history[i].response = members_[i].end();
    }
    const SlotState final = scene_.read();
    history.push_back(
        {.call = {.kind = Kind::kLoadStamped},
         .called = 3,
         .returned = 4,
         .response = {.value = final.value, .mark = mark_of(final.version, final.value)}});
    const SlotModel model = {.capacity = kCapacity};
    EXPECT_TRUE(linearizability::check(model, initial, history).linearizable)
        << linearizability::explain(model, initial, history);
    return taken_over;
  }

  // Until no claim is left: that of a dead writer on the buffer that it made current comes back only
  // when another text has become current.
  std::size_t recover(std::uint32_t counter) {
    std::size_t taken_over = store_at_once(counter);
    if (scene_.claims() != 0 && !::testing::Test::HasFailure()) {
      taken_over += store_at_once(counter);
    }
    EXPECT_EQ(scene_.claims(), 0U) << "a claim is lost";
    EXPECT_FALSE(scene_.look().word(0).has_waiters());
    return taken_over;
  }

 private:
  static Value text(std::size_t i, std::uint32_t counter) {
    return kStoreLongText.operand(static_cast<Writer>(kCrew + i), counter);
  }
  std::vector<std::uint64_t> owners() const {
    std::vector<std::uint64_t> found;
    for (std::uint32_t i = 0; i < scene_.buffers(); ++i) {
      found.push_back(scene_.look().owner(0, i));
    }
    return found;
  }

  const Scene& scene_;
  std::deque<Performer> members_;
};

// Writers die, all at once, each with a buffer in hand.
void leave_dead_claims(const Scene& scene, int count) {
  std::deque<Performer> victims;
  for (int i = 0; i < count; ++i) {
    victims.emplace_back(scene, kDead, kStoreLongText);
    victims.back().begin(static_cast<std::uint32_t>(i));
    ATOLL_CHECK(victims.back().tracee().run_to(swap_of_store())) << "no buffer";
  }
  for (Performer& each : victims) {
    each.tracee().kill();
  }
  ATOLL_CHECK(scene.claims() == static_cast<std::uint32_t>(count));
}

// The same where writers have died before.
Trace record_after_deaths(const Scene& scene) {
  if (scene.spec().dead == 0) {
    return record(scene);
  }
  scene.reset(1);
  Performer performer(scene, kOperation);
  leave_dead_claims(scene, scene.spec().dead);
  performer.begin(1);
  Trace trace = performer.tracee().record();
  performer.end();
  return trace;
}

Choice choice_of(const Spec& spec) {
  if (spec.dead > 0) {
    // Before it asks who is dead a writer looks for a buffer a hundred times, and changes nothing.
    return {.ends = 1, .rounds_one_in = 256};
  }
  return {.around_system_calls = spec.kind == Kind::kWait,
          .rounds_one_in = spec.more > 0 ? 256U : 32U};
}

// ---- (a) Killed ---------------------------------------------------------------------------------

Counts kill_everywhere(const Spec& spec, int buffers) {
  const Scene scene(spec, buffers);
  Counts counts;
  const Trace trace = record_after_deaths(scene);
  counts.instructions = trace.size();
  std::optional<Crew> crew;
  if (!spec.pinned) {
    crew.emplace(scene);
    crew->recover(0);
  }
  std::uint32_t counter = 1;
  for (const Place& place : choose(trace, choice_of(spec))) {
    ++counter;
    ++counts.places;
    SlotState before = scene.reset(counter);
    leave_dead_claims(scene, spec.dead);
    Performer victim(scene, kOperation);
    if (spec.kind == Kind::kWait) {
      victim.tracee().on_sleep([&] {
        must(scene.slot().store(value_of(spec.before, kOther, counter)));
        before = scene.read();
      });
    }
    victim.begin(counter);
    if (!victim.tracee().run_to(place)) {
      counts.miss(place);
    }
    victim.tracee().kill();
    ++counts.kills;

    // Old or new, and whole, in whatever way it is read.
    SlotState after = before;
    if (spec.writes()) {
      spec.model().apply(after, spec.call(kOperation, counter, before));
    }
    const SlotState found = scene.read();
    EXPECT_TRUE(found == before || found == after)
        << "found " << found << ", expected " << before << " or " << after;
    EXPECT_EQ(datum_of(must(scene.slot().load())), found.value);
    if (found.value.type == Type::kText) {
      std::array<char, kCapacity> buffer;
      const std::size_t length = must(scene.slot().load_into(buffer));
      EXPECT_EQ(datum_of(std::string_view(buffer.data(), length)), found.value);
    }
    counts.old_values += found == before ? 1 : 0;
    counts.new_values += found == after && spec.writes() ? 1 : 0;

    if (spec.pinned) {
      for (std::uint32_t i = 0; i < scene.buffers() + 1; ++i) {
        EXPECT_EQ(must(scene.slot().fetch_add(1)), found.value.int64() + std::int64_t{i});
      }
    } else {
      counts.take_overs += crew->recover(counter);
    }
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << spec.name << ", killed before instruction " << counts.places;
      break;
    }
  }
  return counts;
}

// ---- (b) Paused ---------------------------------------------------------------------------------

enum class Meanwhile { kOne, kFewer, kAll, kMore, kTypes };
constexpr std::array<Meanwhile, 5> kMeanwhiles = {
    Meanwhile::kOne, Meanwhile::kFewer, Meanwhile::kAll, Meanwhile::kMore, Meanwhile::kTypes};

// What this process does, for a history.
class Recorder {
 public:
  explicit Recorder(const Scene& scene) : scene_(scene) {}

  std::int64_t now() { return ++now_; }
  void add(const Operation& operation) { history_.push_back(operation); }

  void store(const Value& value) {
    Operation operation = {
        .process = 1, .call = {.kind = Kind::kStore, .desired = datum_of(value)}, .called = now()};
    operation.response = response_of(scene_.slot().store(value));
    operation.returned = now();
    add(operation);
  }
  void store(Meanwhile meanwhile, std::uint32_t counter) {
    const auto count = static_cast<int>(scene_.buffers());
    const auto next = [&](Sort sort) {
      // As long as before where instructions are counted.
      const std::size_t length =
          meanwhile == Meanwhile::kAll ? kOldLength : 100 + random_number() % 100;
      store(value_of(sort, kOther, counter * 8 + ++stores_, length + scene_.spec().more));
    };
    if (meanwhile == Meanwhile::kTypes) {
      for (const Sort sort : {Sort::kNumber, Sort::kLongText, Sort::kNumber}) {
        next(sort);
      }
      return;
    }
    const int stores = meanwhile == Meanwhile::kOne     ? 1
                       : meanwhile == Meanwhile::kFewer ? count - 1
                       : meanwhile == Meanwhile::kAll   ? count
                                                        : count + 1;
    for (int i = 0; i < stores; ++i) {
      next(scene_.spec().before);
    }
  }
  // Reads how it ended, and checks all.
  void check(const SlotState& initial) {
    const std::int64_t called = now();
    const SlotState final = scene_.read();
    add({.process = 1,
         .call = {.kind = Kind::kLoadStamped},
         .called = called,
         .returned = now(),
         .response = {.value = final.value, .mark = mark_of(final.version, final.value)}});
    const SlotModel model = scene_.spec().model();
    EXPECT_TRUE(linearizability::check(model, initial, history_).linearizable)
        << linearizability::explain(model, initial, history_);
  }

 private:
  const Scene& scene_;
  History history_;
  std::int64_t now_ = 0;
  std::uint32_t stores_ = 0;
};

Counts pause_everywhere(const Spec& spec, int buffers) {
  const Scene scene(spec, buffers);
  Counts counts;
  const Trace trace = record_after_deaths(scene);
  counts.instructions = trace.size();
  std::optional<Crew> crew;
  if (spec.dead > 0) {
    crew.emplace(scene);
    crew->recover(0);
  }
  Performer performer(scene, kOperation);
  std::uint32_t counter = 1;
  for (const Place& place : choose(trace, choice_of(spec))) {
    // In one way at each place, in turn, where that is in other libraries, or takes long to come to:
    // where dead writers have to be made first, and in the middle of a string instruction.
    const bool in_turn = !everything() && (spec.dead > 0 || place.nth_after > 100 ||
                                           !single_step::is_ours(place.address));
    const std::size_t turn = ++counts.places % kMeanwhiles.size();
    for (const Meanwhile meanwhile : kMeanwhiles) {
      if (in_turn && static_cast<std::size_t>(meanwhile) != turn) {
        continue;
      }
      ++counter;
      const SlotState initial = scene.reset(counter);
      leave_dead_claims(scene, spec.dead);
      Recorder recorder(scene);
      bool slept = false;
      bool stored = false;
      if (spec.kind == Kind::kWait) {
        performer.tracee().on_sleep([&] {
          if (slept || stored) {
            throw single_step::Error("asleep, though the slot has changed");
          }
          slept = true;
          ++counts.sleeps;
          recorder.store(value_of(spec.before, kSecond, counter));
        });
      }
      performer.begin(counter);
      Operation operation = {.call = spec.call(kOperation, counter, initial),
                             .called = recorder.now()};
      const bool reached = performer.tracee().run_to(place);
      if (!reached) {
        counts.miss(place);
      }
      recorder.store(meanwhile, counter);
      stored = true;
      ++counts.pauses;
      if (reached && meanwhile == Meanwhile::kAll) {
        const auto done =
            static_cast<std::size_t>(std::find(trace.begin(), trace.end(), place) - trace.begin());
        const std::size_t left = trace.size() - done;
        // Where little is left, always: that is where writes come between a look and a swap.
        if (left <= 100 || (left < 1500 && one_in(10))) {
          ++counts.stepped;
          counts.retries += performer.tracee().step_to_end() > left ? 1 : 0;
        }
      }
      operation.response = performer.end();
      operation.returned = recorder.now();
      recorder.add(operation);
      recorder.check(initial);
      if (spec.dead == 0) {
        EXPECT_EQ(scene.claims(), 0U);
      } else {
        counts.take_overs += static_cast<std::size_t>(spec.dead) - scene.claims();
        counts.take_overs += crew->recover(counter);
      }
      if (::testing::Test::HasFailure()) {
        ADD_FAILURE() << spec.name << ", paused before instruction " << counts.places
                      << ", meanwhile " << static_cast<int>(meanwhile);
        return counts;
      }
    }
  }
  return counts;
}

// ---- (c) Pairs ----------------------------------------------------------------------------------

struct Pair {
  Spec first;
  Spec second;
  // For each place of the first, so many places of the second, at random; 0: all.
  std::size_t places = 0;
  // So many stores of a third process come between: after them a writer takes the buffer that was
  // current as the first began.
  int between = 0;
};

// Pauses one process before an instruction of `first` and another before one of `second`, in the same
// slot; then the one completes, then the other.
Counts pause_pairs(const Pair& pair) {
  const auto& [first, second, places, between] = pair;
  const Scene scene(first, 3);
  const Scene other(second, 3);
  Counts counts;
  const Trace trace = record(scene);
  const Trace other_trace = record(other);
  counts.instructions = trace.size() + other_trace.size();
  Performer one(scene, kOperation, first);
  Performer two(scene, kSecond, second);
  const bool all = places == 0 || everything();
  const std::size_t pairs_each = all ? other_trace.size() : places;
  std::uint32_t counter = 1;
  for (std::size_t i = 0; i < trace.size() * pairs_each; ++i) {
    const Place& place = trace[i / pairs_each];
    const Place& other_place =
        other_trace[all ? i % pairs_each : random_number() % other_trace.size()];
    ++counter;
    const SlotState initial = scene.reset(counter);
    Recorder recorder(scene);
    Operation operation = {.call = first.call(kOperation, counter, initial),
                           .called = recorder.now()};
    one.begin(counter);
    two.begin(counter);
    if (!one.tracee().run_to(place)) {
      counts.miss(place);
    }
    for (int store = 0; store < between; ++store) {
      recorder.store(Meanwhile::kOne, counter * 4 + static_cast<std::uint32_t>(store));
    }
    Operation other_operation = {
        .process = 2, .call = second.call(kSecond, counter, initial), .called = recorder.now()};
    // The other one is on its way of its own: what the first has done by now may have changed it.
    counts.other_way += two.tracee().run_to(other_place) ? 0 : 1;
    counts.pauses += 2;
    operation.response = one.end();
    operation.returned = recorder.now();
    other_operation.response = two.end();
    other_operation.returned = recorder.now();
    recorder.add(operation);
    recorder.add(other_operation);
    recorder.check(initial);
    EXPECT_EQ(scene.claims(), 0U);
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << first.name << " paused before instruction " << i / pairs_each << ", "
                    << second.name << " before "
                    << std::find(other_trace.begin(), other_trace.end(), other_place) -
                           other_trace.begin();
      break;
    }
  }
  return counts;
}

// ---- The operations on a slot -------------------------------------------------------------------

struct Case {
  Spec spec;
  int buffers = 3;
};

std::string name_of_case(const ::testing::TestParamInfo<Case>& info) {
  const Case& each = info.param;
  std::string name;
  for (const char* c = each.spec.name; *c != '\0'; ++c) {
    if (std::isalnum(static_cast<unsigned char>(*c)) != 0) {
      const bool begins =
          c == each.spec.name || std::isalnum(static_cast<unsigned char>(c[-1])) == 0;
      name += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(*c))) : *c;
    }
  }
  return name + std::to_string(each.buffers);
}
void report(const Case& each, const Counts& counts) {
  ATOLL_SUMMARY(
      "%s, K = %d: %zu instructions, %zu places (%zu missed), %zu kills (%zu times the "
      "old value, %zu the new), %zu pauses (retries in %zu of %zu), %zu take-overs",
      each.spec.name, each.buffers, counts.instructions, counts.places, counts.missed, counts.kills,
      counts.old_values, counts.new_values, counts.pauses, counts.retries, counts.stepped,
      counts.take_overs);
}

// Of a wait some may be missed: the clock may end a sleep before the store does.
void expect_few_missed(const Case& each, const Counts& counts) {
  EXPECT_LE(counts.missed_ours, each.spec.kind == Kind::kWait ? counts.places / 20 : 0);
}

class KilledInSlot : public ::testing::TestWithParam<Case> {};
class PausedInSlot : public ::testing::TestWithParam<Case> {};

TEST_P(KilledInSlot, AtEveryInstruction) {
  const auto& [spec, buffers] = GetParam();
  const Counts counts = kill_everywhere(spec, buffers);
  report(GetParam(), counts);
  expect_few_missed(GetParam(), counts);
  EXPECT_GT(counts.kills, 20U);
  EXPECT_EQ(counts.kills, counts.places);
  EXPECT_GT(counts.old_values, 0U);
  if (spec.writes()) {
    EXPECT_GT(counts.new_values, 0U);
  }
  const bool claims = spec.writes() && spec.desired == Sort::kLongText;
  EXPECT_EQ(counts.take_overs > 0, claims) << "who claims no buffer leaves no claim";
}

TEST_P(PausedInSlot, AtEveryInstruction) {
  const auto& [spec, buffers] = GetParam();
  const Counts counts = pause_everywhere(spec, buffers);
  report(GetParam(), counts);
  expect_few_missed(GetParam(), counts);
  EXPECT_GT(counts.pauses, 20U);
  EXPECT_GE(counts.pauses, counts.places);
  EXPECT_GT(counts.stepped, 0U);
  if (spec.kind == Kind::kWait) {
    EXPECT_GT(counts.sleeps, 0U) << "paused never after its sleep";
    EXPECT_GT(counts.pauses, counts.sleeps) << "paused never before its sleep";
  } else if (!spec.pinned) {
    EXPECT_GT(counts.retries, 0U) << "nothing ever came between";
  }
  EXPECT_EQ(counts.take_overs > 0, spec.dead > 0);
}

constexpr Spec kStoreLongerText = {.name = "store of longer text",
                                   .kind = Kind::kStore,
                                   .before = Sort::kLongText,
                                   .desired = Sort::kLongText,
                                   .more = kLonger};
constexpr Spec kStoreNumber = {"store of a number", Kind::kStore, Sort::kLongText, Sort::kNumber};
constexpr Spec kExchange = {"exchange", Kind::kExchange, Sort::kLongText, Sort::kLongText};
constexpr Spec kCompareExchange = {"compare_exchange", Kind::kCompareExchange, Sort::kLongText,
                                   Sort::kLongText};
constexpr Spec kFetchAdd = {"fetch_add", Kind::kFetchAdd, Sort::kNumber, Sort::kNumber};
constexpr Spec kFetchAddPinned = {"fetch_add, pinned", Kind::kFetchAdd, Sort::kNumber,
                                  Sort::kNumber, true};
constexpr Spec kLoad = {"load", Kind::kLoad, Sort::kLongText, Sort::kLongText};
constexpr Spec kLoadInto = {"load_into", Kind::kLoadInto, Sort::kLongText, Sort::kLongText};
constexpr Spec kLoadNumber = {"load of a number", Kind::kLoad, Sort::kNumber, Sort::kNumber};

const std::vector<Case> kWrites = {
    {kStoreLongText},
    {kStoreLongerText},
    {{"store of short text", Kind::kStore, Sort::kLongText, Sort::kShortText}},
    {kStoreNumber},
    {kExchange},
    {kCompareExchange},
    {{"compare_exchange, stamp", Kind::kCompareExchangeStamp, Sort::kLongText, Sort::kLongText}},
    {kFetchAdd},
    {{"exchange of a number", Kind::kExchange, Sort::kNumber, Sort::kNumber}},
    {{"compare_exchange of a number", Kind::kCompareExchange, Sort::kNumber, Sort::kNumber}},
    {kFetchAddPinned},
    {{"exchange, pinned", Kind::kExchange, Sort::kNumber, Sort::kNumber, true}},
    {{"compare_exchange, pinned", Kind::kCompareExchange, Sort::kNumber, Sort::kNumber, true}},
    {{"wait", Kind::kWait, Sort::kLongText, Sort::kLongText}},
    {{"wait, pinned", Kind::kWait, Sort::kNumber, Sort::kNumber, true}},
    {{"take-over of dead claims", Kind::kStore, Sort::kLongText, Sort::kLongText, false, 2}},
};
// With two buffers a stopped writer of long text keeps all others of them waiting, as promised; so
// there writers are killed alone, and readers and short writers paused.
const std::vector<Case> kWritesOfTwoBuffers = {
    {kStoreLongText, 2},
    {{"take-over of a dead claim", Kind::kStore, Sort::kLongText, Sort::kLongText, false, 1}, 2},
};
const std::vector<Case> kReads = {
    {kLoad, 3},
    {kLoad, 2},
    {kLoadInto, 3},
    {kLoadInto, 2},
    {{.name = "load_into of longer text",
      .kind = Kind::kLoadInto,
      .before = Sort::kLongText,
      .desired = Sort::kLongText,
      .more = kLonger},
     3},
    {{"load_stamped", Kind::kLoadStamped, Sort::kLongText, Sort::kLongText}, 3},
    {kLoadNumber, 3},
    {{"load, pinned", Kind::kLoad, Sort::kNumber, Sort::kNumber, true}, 3},
    {kStoreNumber, 2},
};

INSTANTIATE_TEST_SUITE_P(Writes, KilledInSlot, ::testing::ValuesIn(kWrites), name_of_case);
INSTANTIATE_TEST_SUITE_P(TwoBuffers, KilledInSlot, ::testing::ValuesIn(kWritesOfTwoBuffers),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(Writes, PausedInSlot, ::testing::ValuesIn(kWrites), name_of_case);
INSTANTIATE_TEST_SUITE_P(Reads, PausedInSlot, ::testing::ValuesIn(kReads), name_of_case);

const std::vector<Pair> kPairs = {
    {kFetchAdd, kFetchAdd},
    {kFetchAddPinned, kFetchAddPinned},
    {kFetchAdd, kLoadNumber},
    {kStoreLongText, kStoreLongText, 4},
    {kStoreLongText, kLoadInto, 2},
    {kLoadInto, kStoreLongText, 3},
    {kLoadInto, kStoreLongText, 6, 2},
    {kExchange, kCompareExchange, 1},
    {kCompareExchange, kStoreLongText, 1},
    {kStoreNumber, kStoreLongText, 6},
};

class PausedPair : public ::testing::TestWithParam<Pair> {};

TEST_P(PausedPair, InOneSlot) {
  const auto& [first, second, places, between] = GetParam();
  const Counts counts = pause_pairs(GetParam());
  ATOLL_SUMMARY("%s and %s, %d stores between: %zu pairs (%zu missed, %zu by another way)",
                first.name, second.name, between, counts.pauses / 2, counts.missed,
                counts.other_way);
  EXPECT_GT(counts.pauses, 500U);
  EXPECT_EQ(counts.missed_ours, 0U);
  EXPECT_LT(counts.other_way, counts.pauses / 4);
}

INSTANTIATE_TEST_SUITE_P(Slots, PausedPair, ::testing::ValuesIn(kPairs));

// ---- Names and handles --------------------------------------------------------------------------

std::vector<libatoll::Init> values_by(std::int64_t creator) {
  std::vector<libatoll::Init> values = {creator};
  for (std::uint32_t i = 0; i < 3; ++i) {
    values.push_back(libatoll::text(process::make_text(kBefore, i, kOldLength), kCapacity));
  }
  return values;
}

enum class Name { kAbsent, kWhole };

// Finds a whole list of that name, or none; and tells who created it.
Name look_up(const std::string& name, std::int64_t* creator = nullptr) {
  const bool exists = process::name_exists(name);
  const absl::StatusOr<List> list = List::attach(name);
  EXPECT_EQ(list.ok(), exists);
  if (!list.ok()) {
    EXPECT_EQ(list.status().code(), absl::StatusCode::kNotFound) << list.status();
    return Name::kAbsent;
  }
  const std::vector<Value> values = must(list->snapshot());
  EXPECT_EQ(values.size(), 4U);
  for (std::uint32_t i = 1; i < values.size(); ++i) {
    EXPECT_EQ(values[i], Value(process::make_text(kBefore, i - 1, kOldLength))) << "half made";
  }
  if (creator != nullptr) {
    *creator = std::get<std::int64_t>(values.at(0));
  }
  return Name::kWhole;
}

List create_by(const std::string& name, std::int64_t creator) {
  return must(List::create(name, values_by(creator), {.report_leak = false}));
}

// A list serves whoever comes: every slot takes long text, more often than there are buffers.
void expect_usable(const List& list) {
  for (std::uint32_t i = 0; i < 4; ++i) {
    const Value text = value_of(Sort::kLongText, kOther, i);
    must(list[1].store(text));
    EXPECT_EQ(must(list[1].load()), text);
  }
  must(list[1].store(process::make_text(kBefore, 0, kOldLength)));
}

// What a process tells that runs an operation on a name.
struct NameBoard {
  absl::StatusCode code;
  std::int64_t creator;
  bool holds;
};

// Runs `operation`, which calls `stepped`, in a new process for each place, and there `at_place`.
struct NamedOperation {
  std::function<void()> prepare;
  std::function<void(NameBoard&)> operation;
  std::function<void(Tracee&, NameBoard&)> at_place;
};

Counts run_everywhere(const NamedOperation& each) {
  Counts counts;
  const Shared<NameBoard> board;
  const auto make = [&] {
    each.prepare();
    auto tracee = std::make_unique<Tracee>([&]() -> int {
      each.operation(*board);
      single_step::single_step_ready();
      return 0;
    });
    tracee->run_to_begin();
    return tracee;
  };
  Trace trace;
  {
    const auto tracee = make();
    trace = tracee->record();
    each.at_place(*tracee, *board);
  }
  counts.instructions = trace.size();
  for (const Place& place : choose(trace, {.around_system_calls = true, .others_one_in = 48})) {
    const auto tracee = make();
    ++counts.places;
    if (!tracee->run_to(place)) {
      counts.miss(place);
    }
    each.at_place(*tracee, *board);
    if (::testing::Test::HasFailure()) {
      ADD_FAILURE() << "at place " << counts.places;
      break;
    }
  }
  return counts;
}

void report(const char* what, const Counts& counts, const std::string& seen) {
  ATOLL_SUMMARY("%s: %zu instructions, %zu places (%zu missed): %s", what, counts.instructions,
                counts.places, counts.missed, seen.c_str());
  EXPECT_GT(counts.places, 100U);
}

void finish(Tracee& tracee) {
  tracee.run_to_end();
  tracee.run_to_ready();
  tracee.kill();
}

TEST(KilledAtEveryInstruction, OfCreate) {
  const UniqueName name;
  std::map<Name, int> seen;
  const Counts counts = run_everywhere({
      .prepare = [] {},
      .operation =
          [&](NameBoard&) {
            const auto values = values_by(1);
            const auto list = stepped(
                [&] { return List::create(name.string(), values, {.report_leak = false}); });
            static_cast<void>(list.ok());
            single_step::single_step_ready();
          },
      .at_place =
          [&](Tracee& tracee, NameBoard&) {
            const Name before = look_up(name.string());
            tracee.kill();
            const Name after = look_up(name.string());
            EXPECT_EQ(after, before) << "a death changes no name";
            ++seen[after];
            List list = after == Name::kWhole ? must(List::attach(name.string()))
                                              : create_by(name.string(), 2);
            EXPECT_EQ(list.participants(), 1U);
            expect_usable(list);
            must(list.unlink());
          },
  });
  report("create, killed", counts,
         std::to_string(seen[Name::kAbsent]) + " times no name, " +
             std::to_string(seen[Name::kWhole]) + " times a whole list");
  EXPECT_GT(seen[Name::kAbsent], 0);
  EXPECT_GT(seen[Name::kWhole], 0);
}

TEST(PausedAtEveryInstruction, OfCreate) {
  const UniqueName name;
  std::map<std::int64_t, int> winners;
  const Counts counts = run_everywhere({
      .prepare = [] {},
      .operation =
          [&](NameBoard& board) {
            const auto values = values_by(1);
            const auto list = stepped(
                [&] { return List::create(name.string(), values, {.report_leak = false}); });
            board.code = list.status().code();
            single_step::single_step_ready();
          },
      .at_place =
          [&](Tracee& tracee, NameBoard& board) {
            const auto ours = List::create(name.string(), values_by(2), {.report_leak = false});
            finish(tracee);
            std::int64_t winner = 0;
            EXPECT_EQ(look_up(name.string(), &winner), Name::kWhole);
            ++winners[winner];
            using Code = absl::StatusCode;
            EXPECT_EQ(ours.status().code(), winner == 2 ? Code::kOk : Code::kAlreadyExists);
            EXPECT_EQ(board.code, winner == 1 ? Code::kOk : Code::kAlreadyExists);
            must(List::unlink(name.string()));
          },
  });
  report("create, paused", counts,
         "it won " + std::to_string(winners[1]) + " times, another " + std::to_string(winners[2]));
  EXPECT_GT(winners[1], 0);
  EXPECT_GT(winners[2], 0);
}

TEST(KilledAtEveryInstruction, OfAttach) {
  const UniqueName name;
  const List list = create_by(name.string(), 2);
  std::map<std::size_t, int> seen;
  const Counts counts = run_everywhere({
      .prepare = [] {},
      .operation =
          [&](NameBoard&) {
            const auto same = stepped([&] { return List::attach(name.string()); });
            static_cast<void>(same.ok());
            single_step::single_step_ready();
          },
      .at_place =
          [&](Tracee& tracee, NameBoard&) {
            // The child of fork has our list open too.
            const std::size_t participants = list.participants();
            EXPECT_TRUE(participants == 2 || participants == 3) << participants;
            ++seen[participants - 2];
            tracee.kill();
            EXPECT_EQ(list.participants(), 1U) << "a death is seen at once";
            expect_usable(list);
            EXPECT_EQ(look_up(name.string()), Name::kWhole);
          },
  });
  report("attach, killed", counts,
         std::to_string(seen[0]) + " times not yet a participant, " + std::to_string(seen[1]) +
             " times one");
  EXPECT_GT(seen[0], 0);
  EXPECT_GT(seen[1], 0);
}

TEST(PausedAtEveryInstruction, OfAttach) {
  const UniqueName name;
  std::optional<List> list;
  std::map<std::int64_t, int> found;
  const Counts counts = run_everywhere({
      .prepare =
          [&] {
            List::unlink(name.string()).IgnoreError();
            list.emplace(create_by(name.string(), 1));
          },
      .operation =
          [&](NameBoard& board) {
            const auto same = stepped([&] { return List::attach(name.string()); });
            board.code = same.status().code();
            if (same.ok()) {
              board.creator = must((*same)[0].load<std::int64_t>());
              board.holds = must((*same)[1].load()) == value_of(Sort::kLongText, kOther, 7);
            }
            single_step::single_step_ready();
          },
      .at_place =
          [&](Tracee& tracee, NameBoard& board) {
            // Another list takes the name; both are written to.
            must(list->unlink());
            const List other = create_by(name.string(), 2);
            must((*list)[1].store(value_of(Sort::kLongText, kOther, 7)));
            must(other[1].store(value_of(Sort::kLongText, kOther, 7)));
            finish(tracee);
            EXPECT_EQ(board.code, absl::StatusCode::kOk);
            EXPECT_TRUE(board.creator == 1 || board.creator == 2) << board.creator;
            EXPECT_TRUE(board.holds) << "it missed what was stored before it completed";
            ++found[board.creator];
          },
  });
  report("attach, paused", counts,
         std::to_string(found[1]) + " times the list of before, " + std::to_string(found[2]) +
             " times the one of after");
  EXPECT_GT(found[1], 0);
  EXPECT_GT(found[2], 0);
  List::unlink(name.string()).IgnoreError();
}

TEST(KilledAtEveryInstruction, OfCloseAndUnlinkOnClose) {
  const UniqueName name;
  std::optional<List> same;
  std::map<Name, int> seen;
  std::map<std::size_t, int> participants;
  const Counts counts = run_everywhere({
      .prepare = [&] { List::unlink(name.string()).IgnoreError(); },
      .operation =
          [&](NameBoard&) {
            List list = must(List::create(name.string(), values_by(1),
                                          {.unlink_on_close = true, .report_leak = false}));
            single_step::single_step_ready();
            stepped([&] {
              list.close();
              return 0;
            });
            single_step::single_step_ready();
          },
      .at_place =
          [&](Tracee& tracee, NameBoard&) {
            const Name before = look_up(name.string());
            if (before == Name::kWhole) {
              const List list = must(List::attach(name.string()));
              ++participants[list.participants()];
              tracee.kill();
              EXPECT_EQ(look_up(name.string()), Name::kWhole);
              EXPECT_EQ(list.participants(), 1U);
              expect_usable(list);
            } else {
              tracee.kill();
              EXPECT_EQ(look_up(name.string()), Name::kAbsent);
            }
            ++seen[before];
          },
  });
  report("close, killed", counts,
         std::to_string(seen[Name::kWhole]) + " times the name was there, " +
             std::to_string(seen[Name::kAbsent]) + " times gone");
  EXPECT_GT(seen[Name::kAbsent], 0);
  EXPECT_GT(seen[Name::kWhole], 0);
  EXPECT_EQ(participants[2], seen[Name::kWhole]) << "it took part as long as its name was there";
}

TEST(PausedAtEveryInstruction, OfClose) {
  const UniqueName name;
  const List list = create_by(name.string(), 2);
  std::map<std::size_t, int> seen;
  const Counts counts = run_everywhere({
      .prepare = [] {},
      .operation =
          [&](NameBoard&) {
            List same = must(List::attach(name.string()));
            stepped([&] {
              same.close();
              return 0;
            });
            single_step::single_step_ready();
          },
      .at_place =
          [&](Tracee& tracee, NameBoard&) {
            ++seen[list.participants() - 2];
            expect_usable(list);
            tracee.run_to_end();
            EXPECT_EQ(list.participants(), 2U) << "we, and what the child has from us";
            tracee.kill();
            EXPECT_EQ(look_up(name.string()), Name::kWhole);
          },
  });
  report("close, paused", counts,
         std::to_string(seen[1]) + " times still a participant, " + std::to_string(seen[0]) +
             " times no more");
  EXPECT_GT(seen[0], 0);
  EXPECT_GT(seen[1], 0);
}

TEST(KilledAtEveryInstruction, OfUnlink) {
  const UniqueName name;
  std::optional<List> list;
  std::map<Name, int> seen;
  const Counts counts = run_everywhere({
      .prepare =
          [&] {
            List::unlink(name.string()).IgnoreError();
            list.emplace(create_by(name.string(), 1));
          },
      .operation =
          [&](NameBoard&) {
            stepped([&] { return List::unlink(name.string()); }).IgnoreError();
            single_step::single_step_ready();
          },
      .at_place =
          [&](Tracee& tracee, NameBoard&) {
            const Name before = look_up(name.string());
            tracee.kill();
            EXPECT_EQ(look_up(name.string()), before);
            expect_usable(*list);
            ++seen[before];
          },
  });
  report("unlink, killed", counts,
         std::to_string(seen[Name::kWhole]) + " times the name was there, " +
             std::to_string(seen[Name::kAbsent]) + " times gone");
  EXPECT_GT(seen[Name::kAbsent], 0);
  EXPECT_GT(seen[Name::kWhole], 0);
}

TEST(PausedAtEveryInstruction, OfUnlink) {
  const UniqueName name;
  std::map<bool, int> seen;
  const Counts counts = run_everywhere({
      .prepare =
          [&] {
            List::unlink(name.string()).IgnoreError();
            create_by(name.string(), 1);
          },
      .operation =
          [&](NameBoard& board) {
            board.code = stepped([&] { return List::unlink(name.string()); }).code();
            single_step::single_step_ready();
          },
      .at_place =
          [&](Tracee& tracee, NameBoard& board) {
            const absl::Status ours = List::unlink(name.string());
            finish(tracee);
            EXPECT_EQ(look_up(name.string()), Name::kAbsent);
            const bool won = board.code == absl::StatusCode::kOk;
            EXPECT_EQ(ours.ok(), !won) << "the name goes once";
            EXPECT_EQ(won ? ours.code() : board.code, absl::StatusCode::kNotFound);
            ++seen[won];
          },
  });
  report("unlink, paused", counts,
         "it won " + std::to_string(seen[true]) + " times, another " + std::to_string(seen[false]));
  EXPECT_GT(seen[false], 0);
  EXPECT_GT(seen[true], 0);
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (const std::string refusal = single_step::refusal(); !refusal.empty()) {
    std::printf("SKIPPED: %s\n", refusal.c_str());
    return 77;
  }
  return RUN_ALL_TESTS();
}
