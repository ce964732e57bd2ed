// Storm: workers on a list of everything, killed by SIGKILL, stopped and restarted at random, for as
// long as one likes. Afterwards nothing is torn, nothing lost that was acknowledged, nothing counted
// that was not done, nothing stuck, and nothing has grown.
//
//   ATOLL_STORM_SECONDS=3600 storm_process_test    an hour of it, with a line of progress now and then
//   ATOLL_STORM_SEED=7 storm_process_test          the same dice as another time
//
// Text, and every number in a slot that changes its type, carries its own check. A worker bumps an
// acknowledgement of its own after each increment, so each counter lies between what was acknowledged
// and that plus one for every worker killed.

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <variant>

#include "process.h"
#include "sanitizers.h"
#include "seed.h"

namespace {

using libatoll::Bytes;
using libatoll::List;
using libatoll::Slot;
using libatoll::StampedValue;
using libatoll::Value;
using process::Child;
using process::Inspector;
using process::Seam;
using process::Shared;
using process::TextOrigin;

constexpr int kWorkers = 6;
constexpr int kBuffers = 3;
constexpr double kSecondsByDefault = 15;

// ---- The list -----------------------------------------------------------------------------------

constexpr std::size_t kCounters = 6;  // slots 0 to 5: how they are incremented
constexpr std::array<std::size_t, 6> kTextCapacities = {8, 24, 100, 1000, 8000, 60'000};
constexpr std::array<std::size_t, 2> kMixedCapacities = {40, 300};
constexpr std::size_t kFirstText = kCounters;
constexpr std::size_t kFirstMixed = kFirstText + kTextCapacities.size();
constexpr std::size_t kSlots = kFirstMixed + kMixedCapacities.size();

bool is_double(std::size_t counter) { return counter == 2 || counter == 5; }

List create(const std::string& name) {
  std::vector<libatoll::Init> values = {
      libatoll::pinned(0), libatoll::pinned(0), libatoll::pinned(0.0), 0, 0, 0.0};
  for (const std::size_t capacity : kTextCapacities) {
    values.push_back(libatoll::text(process::make_text(0, 0, process::kTextMin), capacity));
  }
  for (const std::size_t capacity : kMixedCapacities) {
    values.push_back(libatoll::text(process::make_text(0, 0, capacity), capacity));
  }
  return process::must(List::create(
      name, values, {.buffers_per_slot = kBuffers, .claim_timeout = absl::Seconds(50)}));
}

// ---- What the processes share -------------------------------------------------------------------

enum class Act {
  kIncrement,
  kStoreText,
  kLoadText,
  kExchangeText,
  kCompareExchangeText,
  kStoreMixed,
  kLoadMixed,
  kFetchMixed,
  kWait,
  kSnapshot,
  kAttach,
};
constexpr std::array<const char*, 11> kActs = {"increments",
                                               "stores of text",
                                               "loads of text",
                                               "exchanges of text",
                                               "compare-exchanges",
                                               "stores of others",
                                               "loads of others",
                                               "increments of what may be text",
                                               "waits",
                                               "snapshots",
                                               "attachments"};

struct Page {
  std::array<std::array<std::atomic<std::int64_t>, kCounters>, kWorkers> acknowledged;
  std::array<std::atomic<std::int64_t>, kActs.size()> acts;
  std::atomic<std::int64_t> found_dead;  // claims of the dead that writers came upon
  std::atomic<std::int64_t> overtaken;   // compare-exchanges that lost
  std::atomic<int> parked;
  std::atomic<bool> park;
  std::atomic<bool> stop;
  process::StartLine start;

  std::int64_t acknowledged_of(std::size_t counter) const {
    std::int64_t sum = 0;
    for (const auto& worker : acknowledged) {
      sum += worker[counter];
    }
    return sum;
  }
  std::int64_t all_acts() const {
    std::int64_t sum = 0;
    for (const auto& count : acts) {
      sum += count;
    }
    return sum;
  }
};

// ---- Dice ---------------------------------------------------------------------------------------

// The same for the same seed in every process (absl::BitGen is salted for each program run).
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(process::mix(seed)) {}
  std::uint64_t next() {
    state_ += 0x9e37'79b9'7f4a'7c15;
    return process::mix(state_);
  }
  std::size_t below(std::size_t bound) { return next() % bound; }
  bool one_in(std::size_t bound) { return below(bound) == 0; }

 private:
  std::uint64_t state_;
};

std::uint64_t seed_of_run() {
  static const std::uint64_t kSeed = process::seed_from("ATOLL_STORM_SEED");
  return kSeed;
}

// ---- A worker -----------------------------------------------------------------------------------

// Numbers in a slot that changes its type.
constexpr std::int64_t kFactor = 1'000'003;

Page* page_of_hook = nullptr;

void on_seam(Seam seam) {
  static unsigned passed = 0;
  if (seam == Seam::kTakingOver) {
    ++page_of_hook->found_dead;
  } else if ((seam == Seam::kClaimed || seam == Seam::kOverwriting || seam == Seam::kCopied ||
              seam == Seam::kPublished) &&
             ++passed % 16 == 0) {
    sched_yield();  // killed here, perhaps: with a claim in hand
  }
}

class Worker {
 public:
  Worker(const List& list, Page& page, int seat, std::uint64_t incarnation)
      : list_(list),
        page_(page),
        seat_(static_cast<std::size_t>(seat)),
        dice_(seed_of_run() + incarnation * kWorkers + static_cast<std::uint64_t>(seat)) {}

  void run() {
    while (!page_.stop) {
      if (page_.park) {
        ++page_.parked;
        ATOLL_CHECK(process::wait_until([this] { return page_.stop.load(); }));
        return;
      }
      const Act act = choose();
      perform(act);
      // relaxed would do: counts for people.
      ++page_.acts[static_cast<std::size_t>(act)];
    }
  }

 private:
  Act choose() {
    static constexpr std::array<Act, 20> kChoices = {Act::kIncrement,
                                                     Act::kIncrement,
                                                     Act::kIncrement,
                                                     Act::kIncrement,
                                                     Act::kStoreText,
                                                     Act::kStoreText,
                                                     Act::kStoreText,
                                                     Act::kStoreText,
                                                     Act::kLoadText,
                                                     Act::kLoadText,
                                                     Act::kLoadText,
                                                     Act::kExchangeText,
                                                     Act::kExchangeText,
                                                     Act::kStoreMixed,
                                                     Act::kStoreMixed,
                                                     Act::kLoadMixed,
                                                     Act::kFetchMixed,
                                                     Act::kCompareExchangeText,
                                                     Act::kCompareExchangeText,
                                                     Act::kWait};
    if (dice_.one_in(400)) {
      return dice_.one_in(2) ? Act::kSnapshot : Act::kAttach;
    }
    return kChoices[dice_.below(kChoices.size())];
  }

  void perform(Act act) {
    switch (act) {
      case Act::kIncrement: {
        const std::size_t counter = dice_.below(kCounters);
        increment(counter);
        ++page_.acknowledged[seat_][counter];
        return;
      }
      case Act::kStoreText: {
        const std::size_t slot = a_text();
        process::must(list_[slot].store(new_text(kTextCapacities[slot - kFirstText])));
        return;
      }
      case Act::kLoadText:
        return load_text(a_text());
      case Act::kExchangeText: {
        const std::size_t slot = a_text();
        expect_whole(
            process::must(list_[slot].exchange(new_text(kTextCapacities[slot - kFirstText]))));
        return;
      }
      case Act::kCompareExchangeText: {
        const std::size_t slot = a_text();
        StampedValue seen = process::must(list_[slot].load_stamped());
        expect_whole(seen.value);
        const std::string& text = new_text(kTextCapacities[slot - kFirstText]);
        const bool swapped = dice_.one_in(2)
                                 ? process::must(list_[slot].compare_exchange(seen.stamp, text))
                                 : process::must(list_[slot].compare_exchange(seen.value, text));
        page_.overtaken += swapped ? 0 : 1;
        return;
      }
      case Act::kStoreMixed:
        return store_mixed(a_mixed());
      case Act::kLoadMixed:
        return expect_sound(process::must(list_[a_mixed()].load()));
      case Act::kFetchMixed: {
        const auto previous = list_[a_mixed()].fetch_add(kFactor);
        if (previous.ok()) {
          expect_sound(*previous);
        } else {
          ATOLL_CHECK(absl::IsFailedPrecondition(previous.status())) << previous.status();
        }
        return;
      }
      case Act::kWait: {
        const Slot slot = list_[dice_.below(kSlots)];
        const auto stamp = slot.wait(slot.stamp(), absl::Microseconds(dice_.below(500)));
        ATOLL_CHECK(stamp.ok() || absl::IsDeadlineExceeded(stamp.status())) << stamp.status();
        return;
      }
      case Act::kSnapshot: {
        const auto values = list_.snapshot(absl::Milliseconds(20));
        if (!values.ok()) {
          ATOLL_CHECK(absl::IsDeadlineExceeded(values.status())) << values.status();
          return;
        }
        for (std::size_t i = kFirstText; i < kSlots; ++i) {
          i < kFirstMixed ? expect_whole((*values)[i]) : expect_sound((*values)[i]);
        }
        return;
      }
      case Act::kAttach: {
        const List other =
            process::must(List::attach(list_.name(), {.read_only = dice_.one_in(2)}));
        const std::size_t slot = a_text();
        if (!other.is_read_only()) {
          process::must(other[slot].store(new_text(kTextCapacities[slot - kFirstText])));
        }
        expect_whole(process::must(other[slot].load()));
        return;
      }
    }
  }

  // Exactly once, in one of many ways.
  void increment(std::size_t which) {
    const Slot slot = list_[which];
    const auto index = static_cast<std::ptrdiff_t>(which);
    const bool pinned = slot.is_pinned();
    if (is_double(which)) {
      if (pinned && dice_.one_in(2)) {
        process::must(list_.gauge(index)).fetch_add(1.0);
        return;
      }
      process::must(slot.fetch_add(1.0));
      return;
    }
    switch (dice_.below(4)) {
      case 0:
        process::must(
            slot.update([](const Value& seen) { return std::get<std::int64_t>(seen) + 1; }));
        return;
      case 1:
        for (StampedValue seen = process::must(slot.load_stamped());;
             seen = process::must(slot.load_stamped())) {
          if (process::must(
                  slot.compare_exchange(seen.stamp, std::get<std::int64_t>(seen.value) + 1))) {
            return;
          }
          ++page_.overtaken;
        }
      case 2:
        if (pinned) {
          process::must(list_.counter(index)).fetch_add(1);
          return;
        }
        for (;;) {
          const auto seen = process::must(slot.load<std::int64_t>());
          if (process::must(slot.compare_exchange(seen, seen + 1))) {
            return;
          }
          ++page_.overtaken;
        }
      default:
        process::must(slot.fetch_add(1));
        return;
    }
  }

  std::size_t a_text() { return kFirstText + dice_.below(kTextCapacities.size()); }
  std::size_t a_mixed() { return kFirstMixed + dice_.below(kMixedCapacities.size()); }

  const std::string& new_text(std::size_t capacity) {
    const std::size_t length =
        process::kTextMin + (dice_.one_in(2) ? dice_.below(capacity - process::kTextMin + 1)
                                             : capacity - process::kTextMin);
    process::make_text(static_cast<std::uint32_t>(seat_),
                       static_cast<std::uint32_t>(dice_.next()) & 0xff'ffff, length, text_);
    return text_;
  }

  void load_text(std::size_t index) {
    const Slot slot = list_[index];
    const std::uint64_t version = slot.version();
    ATOLL_CHECK(version >= versions_[index])
        << "version " << version << " after " << versions_[index];
    versions_[index] = version;
    switch (dice_.below(3)) {
      case 0:
        return expect_whole(process::must(slot.load()));
      case 1:
        return expect_whole(std::string_view(process::must(slot.load<std::string>())));
      default: {
        buffer_.resize(kTextCapacities.back());
        const std::size_t length = process::must(slot.load_into(buffer_));
        return expect_whole(std::string_view(buffer_.data(), length));
      }
    }
  }

  void store_mixed(std::size_t index) {
    const Slot slot = list_[index];
    const std::string& text = new_text(kMixedCapacities[index - kFirstMixed]);
    switch (dice_.below(8)) {
      case 0:
        return process::must(slot.store(nullptr));
      case 1:
        return process::must(slot.store(true));
      case 2:
        return process::must(slot.store(static_cast<double>(dice_.below(1000)) + 0.5));
      case 3:
      case 4:
        return process::must(slot.store(static_cast<std::int64_t>(dice_.below(1000)) * kFactor));
      case 5:
        return process::must(slot.store(libatoll::BytesView(text)));
      default:
        return process::must(slot.store(text));
    }
  }

  static void expect_whole(std::string_view text) {
    TextOrigin origin;
    ATOLL_CHECK(process::is_whole(text, origin))
        << "torn: " << text.size() << " bytes, worker " << origin.writer;
  }
  static void expect_whole(const Value& value) {
    ATOLL_CHECK(std::holds_alternative<std::string>(value)) << libatoll::to_string(value);
    expect_whole(std::string_view(std::get<std::string>(value)));
  }
  static void expect_sound(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) {
      expect_whole(std::string_view(*text));
    } else if (const auto* bytes = std::get_if<Bytes>(&value)) {
      expect_whole(std::string_view(bytes->as_string()));
    } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      ATOLL_CHECK(*integer % kFactor == 0) << *integer;
    } else if (const auto* real = std::get_if<double>(&value)) {
      ATOLL_CHECK(*real - static_cast<double>(static_cast<int>(*real)) == 0.5) << *real;
    } else if (const auto* truth = std::get_if<bool>(&value)) {
      ATOLL_CHECK(*truth);
    }
  }

  const List& list_;
  Page& page_;
  std::size_t seat_;
  Dice dice_;
  std::string text_;
  std::vector<char> buffer_;
  std::array<std::uint64_t, kSlots> versions_ = {};
};

// ---- The weather --------------------------------------------------------------------------------

// What must not grow.
struct Size {
  std::int64_t resident_bytes = 0;
  std::ptrdiff_t descriptors = 0;
  off_t segment_bytes = 0;
  blkcnt_t segment_blocks = 0;

  explicit Size(const List& list) {
    std::ifstream statm("/proc/self/statm");
    std::int64_t pages = 0;
    statm >> pages >> pages;
    resident_bytes = pages * sysconf(_SC_PAGESIZE);
    descriptors = std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
    struct stat found = {};
    ATOLL_CHECK(stat(process::path_of(list.name()).c_str(), &found) == 0);
    segment_bytes = found.st_size;
    segment_blocks = found.st_blocks;
  }
};
constexpr std::int64_t kResidentSlack = std::int64_t{1} << 20;

class Storm {
 public:
  Storm() : dice_(seed_of_run()), list_(create(name_.string())), inspector_(list_) {
    page_of_hook = &*page_;
    libatoll::detail::seam_hook = on_seam;
    for (int seat = 0; seat < kWorkers; ++seat) {
      workers_.push_back(start(seat));
    }
  }

  void rage(double seconds, bool shows_progress) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    const auto elapsed = [&] {
      return std::chrono::duration<double>(Clock::now() - begin).count();
    };
    double next_look = 1;
    double next_line = 5;
    std::int64_t acts = 0;
    double acts_at = 0;
    while (elapsed() < seconds && !::testing::Test::HasFailure()) {
      pause(dice_.below(2'500'000));
      strike();
      if (elapsed() < next_look) {
        continue;
      }
      next_look = elapsed() + 1;
      expect_counts();
      if (!settled_.has_value() && kills_ >= 50) {
        settled_.emplace(list_);
      } else if (settled_.has_value()) {
        expect_no_growth();
      }
      if (page_->all_acts() != acts) {
        acts = page_->all_acts();
        acts_at = elapsed();
      }
      ASSERT_LT(elapsed() - acts_at, 60) << "nothing moves any more";
      if (shows_progress && elapsed() >= next_line) {
        next_line += 5;
        std::fprintf(stderr,
                     "storm: %.0f of %.0f s, %lld operations, %lld kills, %lld claims left, %lld "
                     "of them taken over\n",
                     elapsed(), seconds, static_cast<long long>(page_->all_acts()),
                     static_cast<long long>(kills_), static_cast<long long>(claims_left_),
                     static_cast<long long>(claims_taken_over_));
      }
    }
    if (settled_.has_value()) {
      expect_no_growth();
    }
  }

  // Everybody finishes what he does: now all is exact.
  void calm() {
    page_->park = true;
    ASSERT_TRUE(process::wait_until([&] { return page_->parked == kWorkers; }));
    EXPECT_EQ(list_.participants(), 1U + kWorkers);
    EXPECT_EQ(inspector_.live_numbers().size(), 1U + kWorkers);
    EXPECT_EQ(inspector_.live_readers(), 0U);
    page_->stop = true;
    ASSERT_TRUE(process::all_succeed(workers_));
    EXPECT_EQ(list_.participants(), 1U);

    std::int64_t unacknowledged = 0;
    for (std::size_t i = 0; i < kCounters; ++i) {
      const std::int64_t more = counted(i) - page_->acknowledged_of(i);
      EXPECT_GE(more, 0) << "counter " << i << " lost what was acknowledged";
      unacknowledged += more;
    }
    EXPECT_LE(unacknowledged, kills_);
    unacknowledged_ = unacknowledged;
    note_the_claims();
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      EXPECT_EQ(has_buffers(slot) ? inspector_.claims(slot) : 0, claims_of_the_dead(slot))
          << "the living hold a claim";
    }
  }

  // More handles than buffers, all at the same slot at once.
  void expect_writable() {
    constexpr int kWriters = kBuffers + 1;
    constexpr int kStores = 20;
    std::array<std::uint64_t, kSlots> versions;
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      versions[slot] = list_[slot].version();
    }
    std::vector<Child> writers;
    for (int i = 0; i < kWriters; ++i) {
      writers.emplace_back([this, i] {
        list_.close();
        const List list = process::must(List::attach(name_.string()));
        for (std::size_t slot = 0; slot < kSlots; ++slot) {
          page_->start.wait(kWriters);
          for (int n = 0; n < kStores; ++n) {
            store_anything(list[slot], i, n);
          }
        }
        return 0;
      });
    }
    ASSERT_TRUE(process::all_succeed(writers));
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      EXPECT_EQ(list_[slot].version(),
                list_[slot].is_pinned() ? 0 : versions[slot] + kWriters * kStores);
    }
    EXPECT_EQ(list_.participants(), 1U);
  }

  void tell() const {
    std::string acts;
    for (std::size_t i = 0; i < kActs.size(); ++i) {
      EXPECT_GT(page_->acts[i], 0) << kActs[i];
      acts += (i == 0 ? "" : ", ") + std::to_string(page_->acts[i]) + ' ' + kActs[i];
    }
    EXPECT_TRUE(settled_.has_value()) << "too short a storm: nothing was measured";
    EXPECT_GT(kills_, 0);
    EXPECT_GT(stops_, 0);
    EXPECT_GT(claims_left_, 0);
    EXPECT_GT(claims_taken_over_, 0);
    EXPECT_GT(page_->found_dead, 0);
    EXPECT_GT(page_->overtaken, 0);
    ATOLL_SUMMARY(
        "%lld kills, %lld pauses; %lld claims left by the dead, %lld of them taken over "
        "(come upon %lld times)",
        static_cast<long long>(kills_), static_cast<long long>(stops_),
        static_cast<long long>(claims_left_), static_cast<long long>(claims_taken_over_),
        static_cast<long long>(page_->found_dead));
    ATOLL_SUMMARY("%s; %lld compare-exchanges lost; %lld increments not acknowledged", acts.c_str(),
                  static_cast<long long>(page_->overtaken),
                  static_cast<long long>(unacknowledged_));
  }

 private:
  Child start(int seat) {
    ++incarnations_;
    return Child([this, seat] {
      // Either the handle that fork gave us, or one of our own.
      if (incarnations_ % 2 == 0) {
        Worker(list_, *page_, seat, incarnations_).run();
        return 0;
      }
      list_.close();
      const List list =
          process::must(List::attach(name_.string(), {.claim_timeout = absl::Seconds(50)}));
      Worker(list, *page_, seat, incarnations_).run();
      return 0;
    });
  }

  static void pause(std::uint64_t nanoseconds) {
    const timespec time = {.tv_sec = 0, .tv_nsec = static_cast<long>(nanoseconds)};
    nanosleep(&time, nullptr);
  }

  // Somebody is killed, or stopped for a while (and killed perhaps while he is).
  void strike() {
    const std::size_t seat = dice_.below(kWorkers);
    Child& victim = workers_[seat];
    if (dice_.one_in(6)) {
      ++stops_;
      ::kill(victim.pid(), SIGSTOP);
      pause(dice_.below(10'000'000));
      if (!dice_.one_in(4)) {
        victim.resume();
        return;
      }
    }
    if (!victim.kill()) {
      return;  // a failure: it had ended by itself
    }
    ++kills_;
    note_the_claims();
    victim = start(static_cast<int>(seat));
  }

  std::int64_t counted(std::size_t counter) const {
    return is_double(counter)
               ? static_cast<std::int64_t>(process::must(list_[counter].load<double>()))
               : process::must(list_[counter].load<std::int64_t>());
  }

  // While workers work: what has been acknowledged is there, and not much more.
  void expect_counts() {
    for (std::size_t i = 0; i < kCounters; ++i) {
      const std::int64_t before = page_->acknowledged_of(i);
      const std::int64_t count = counted(i);
      const std::int64_t after = page_->acknowledged_of(i);
      EXPECT_LE(before, count) << "counter " << i;
      EXPECT_LE(count, after + kills_ + kWorkers) << "counter " << i;
    }
  }

  void expect_no_growth() {
    const Size now(list_);
    if (ATOLL_NO_QUARANTINE) {
      EXPECT_LE(now.resident_bytes, settled_->resident_bytes + kResidentSlack);
    }
    EXPECT_EQ(now.descriptors, settled_->descriptors);
    EXPECT_EQ(now.segment_bytes, settled_->segment_bytes);
    EXPECT_EQ(now.segment_blocks, settled_->segment_blocks);
  }

  // Which claims carry the number of somebody who is dead: new ones were left by the latest deaths,
  // and missing ones have been taken over.
  void note_the_claims() {
    std::set<std::pair<std::size_t, std::uint64_t>> claims;
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      for (std::uint32_t i = 0; has_buffers(slot) && i < kBuffers; ++i) {
        const std::uint64_t owner = inspector_.owner(slot, i);
        // Who leaves in an orderly way lets go first, so the second look finds nothing of his.
        if (owner != 0 && !inspector_.lives(owner) && inspector_.owner(slot, i) == owner) {
          claims.emplace(slot, owner);
        }
      }
    }
    for (const auto& claim : claims) {
      claims_left_ += claims_.contains(claim) ? 0 : 1;
    }
    for (const auto& claim : claims_) {
      claims_taken_over_ += claims.contains(claim) ? 0 : 1;
    }
    claims_ = std::move(claims);
  }
  std::uint32_t claims_of_the_dead(std::size_t slot) const {
    std::uint32_t found = 0;
    for (const auto& claim : claims_) {
      found += claim.first == slot ? 1 : 0;
    }
    return found;
  }
  static bool has_buffers(std::size_t slot) {
    return slot > kFirstText;  // the counters and the shortest text have none
  }

  static void store_anything(const Slot& slot, int writer, int n) {
    if (slot.index() < kCounters) {
      return is_double(slot.index()) ? process::must(slot.store(0.5 * n))
                                     : process::must(slot.store(n));
    }
    const std::size_t capacity = process::must(slot.capacity());
    process::must(slot.store(process::make_text(static_cast<std::uint32_t>(writer),
                                                static_cast<std::uint32_t>(n), capacity)));
  }

  process::UniqueName name_;
  Dice dice_;
  List list_;
  Inspector inspector_;
  Shared<Page> page_;
  std::vector<Child> workers_;
  std::uint64_t incarnations_ = 0;
  std::int64_t kills_ = 0;
  std::int64_t stops_ = 0;
  std::set<std::pair<std::size_t, std::uint64_t>> claims_;
  std::int64_t claims_left_ = 0;
  std::int64_t claims_taken_over_ = 0;
  std::int64_t unacknowledged_ = 0;
  std::optional<Size> settled_;
};

TEST(StormProcess, LeavesNothingTornLostOrStuck) {
  const char* asked = std::getenv("ATOLL_STORM_SECONDS");
  const double seconds = asked != nullptr ? std::strtod(asked, nullptr) : kSecondsByDefault;
  ASSERT_GT(seconds, 0) << "ATOLL_STORM_SECONDS=" << asked;
  Storm storm;
  ASSERT_NO_FATAL_FAILURE(storm.rage(seconds, asked != nullptr || isatty(STDERR_FILENO) == 1));
  ASSERT_FALSE(HasFailure());
  ASSERT_NO_FATAL_FAILURE(storm.calm());
  ASSERT_NO_FATAL_FAILURE(storm.expect_writable());
  storm.tell();
}

}  // namespace
