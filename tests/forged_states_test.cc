// Every half-written state that the protocol can leave, and many that it cannot, written into memory
// directly. Whatever a slot's bytes are, every operation repairs them, takes no notice, or says what is
// wrong with which slot of which list; it does not crash, does not loop, and changes nothing else.
//
// Two tables. A forgery says what it spoils; an operation says what it looks at. What an operation is
// to answer follows:
//   it looks at something spoiled           DataLoss
//   it needs a buffer, and none is free
//   of those who may live                   DeadlineExceeded
//   otherwise                               what it answers, and makes of, the twin: a slot that holds
//                                           the same value and was never forged
// All is tried in both layouts, with 2, 3 and 8 buffers, in the caller's memory (where everybody counts
// as alive) and in a file attached by name (also read-only).
//
// Elsewhere: the header of a segment, and every byte of it changed, random bytes, longer text in a
// slot without buffers, and descriptors that lead into other slots' buffers are in layout_test.cc; what a
// claim, a sequence and the second look do step by step in text_buffers_test.cc; real deaths at each
// step in killed_writer_process_test.cc.

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "process.h"
#include "shared_copy.h"
#include "testing.h"

namespace libatoll::test {
namespace {

using detail::Descriptor;
using detail::make_meta;
using detail::Seam;
using detail::SlotBuffers;
using detail::Tag;
using detail::Word;

constexpr std::uint64_t kMax64 = ~std::uint64_t{0};
constexpr std::uint64_t kVersion = 5;
constexpr std::size_t kCapacity = 64;
constexpr std::string_view kHere = "the text that is here, all of it";
constexpr std::string_view kLong = "another text, and longer than eight bytes";
constexpr std::string_view kNeighbour = "the neighbour's text: nobody's business";

// ---- Where we are, should it crash or hang ------------------------------------------------------

std::array<char, 256> where;

// Far longer than it takes.
constexpr unsigned kAlarmSeconds = 110;

void say_where(int signal) {
  [[maybe_unused]] ssize_t written =
      write(STDERR_FILENO, where.data(), strnlen(where.data(), where.size()));
  written = write(STDERR_FILENO, "\n", 1);
  process::RemovedInTheEnd::remove_all();
  raise(signal);  // SA_RESETHAND: this time it ends us
}

void watch() {
  for (const int signal : {SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGABRT}) {
    struct sigaction action = {};
    action.sa_handler = say_where;
    action.sa_flags = static_cast<int>(SA_RESETHAND | SA_NODEFER);
    sigaction(signal, &action, nullptr);
  }
  alarm(kAlarmSeconds);
}

// ---- A list with a slot to forge ----------------------------------------------------------------

enum class Through { kMemory, kName, kNameReadOnly };

// Participants by number: 1 made the list and has closed it, 2 is the list that is worked on, 3 is
// another handle that stays open.
constexpr std::uint64_t kDead = 1;
constexpr std::uint64_t kOwn = 2;
constexpr std::uint64_t kLiving = 3;
constexpr std::uint64_t kNumbers = 3;  // given out so far

// Slot 0 is to be forged; the others are neighbours.
class Scene {
 public:
  Scene(const Init& made_for, Layout layout, int buffers, Through through)
      : home_(through == Through::kMemory ? Place::kMemory : Place::kNamed) {
    const std::vector<Init> values = {made_for, text(kNeighbour, kCapacity), pinned(3), pinned(0.5),
                                      7};
    const CreateOptions options = {
        .layout = layout, .buffers_per_slot = buffers, .report_leak = false};
    List maker = must(home_.create(values, options));
    const absl::Duration claim_timeout = absl::Microseconds(500);
    list_.emplace(must(home_.attach(maker, {.claim_timeout = claim_timeout})));
    living_.emplace(must(home_.attach(maker)));
    raw_ = std::make_unique<Raw>(home_.raw(maker));
    buffers_ = raw_->buffers(0);
    if (through == Through::kNameReadOnly) {
      reader_.emplace(must(home_.attach(maker, {.read_only = true})));
    }
    label_ = home_.label();
    if (through != Through::kMemory) {
      must(maker.unlink());  // nothing stays behind, whatever happens
    }
    maker.close();
  }

  const List& list() const { return reader_.has_value() ? *reader_ : *list_; }
  const List& writer() const { return *list_; }
  List& living() { return *living_; }
  Raw& raw() { return *raw_; }
  const std::string& label() const { return label_; }
  // Those that slot 0 was made with.
  const SlotBuffers& buffers() const { return buffers_; }

  Word word() { return raw_->word(0); }
  void set(const Word& word) { raw_->forge(0, word); }
  // Stores a value, as of a version.
  void hold(const Value& value, std::uint64_t version) {
    must(writer()[0].store(value));
    const Word seen = word();
    set({seen.payload, (seen.meta & ((1 << detail::kVersionShift) - 1)) | make_meta(version, {})});
  }
  // Makes `number` the owner of all buffers, or of all that are not current.
  void claim_all(std::uint64_t number) {
    for (std::uint32_t i = 0; i < buffers_.count; ++i) {
      buffers_.control(i).owner = number;
    }
  }
  void claim_free(std::uint64_t number) {
    for (std::uint32_t i = 0; i < buffers_.count; ++i) {
      buffers_.control(i).owner = word().names_buffer(i) ? detail::kNoOwner : number;
    }
  }
  // The first that is not current.
  std::uint32_t a_free_buffer() { return word().names_buffer(0) ? 1 : 0; }

  std::string bytes() {
    const auto bytes = raw_->bytes();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  void restore(const std::string& bytes) {
    std::memcpy(raw_->bytes().data(), bytes.data(), bytes.size());
  }
  std::size_t offset_of(const void* place) {
    return static_cast<std::size_t>(static_cast<const std::byte*>(place) - raw_->bytes().data());
  }

 private:
  Home home_;
  std::optional<List> list_;
  std::optional<List> living_;
  std::optional<List> reader_;
  std::unique_ptr<Raw> raw_;
  SlotBuffers buffers_;
  std::string label_;
};

// ---- What can be spoiled, and is looked at ------------------------------------------------------

enum Part : unsigned {
  kNothing = 0,
  kTag = 1,         // the type
  kValue = 2,       // the value
  kRoom = 4,        // the buffers, by whoever has longer text to put there
  kRoomOfText = 8,  // the buffers, if the slot holds text
  kDescriptor = kRoom | kRoomOfText,
};

// ---- Operations ---------------------------------------------------------------------------------

struct Answer {
  absl::Status status;
  std::string result;  // to be compared with the twin's
};

std::string show(const Value& value) { return to_string(value); }
std::string show(std::uint64_t number) { return std::to_string(number); }
std::string show(const Stamp& stamp) { return std::to_string(stamp.version()); }
std::string show(const StampedValue& seen) {
  return show(seen.value) + " as of " + show(seen.stamp);
}
std::string show(const std::optional<std::size_t>& index) {
  return index.has_value() ? std::to_string(*index) : "nowhere";
}
template <typename T>
std::string show(const std::vector<T>& values) {
  return absl::StrJoin(
      values, ", ", [](std::string* out, const T& value) { *out += to_string(ValueView(value)); });
}
template <typename T>
std::string show(const T& value) {
  return to_string(ValueView(value));
}

template <typename T>
Answer answer(const absl::StatusOr<T>& result) {
  return result.ok() ? Answer{absl::OkStatus(), show(*result)} : Answer{result.status(), ""};
}
Answer answer(const absl::Status& status) { return {status, ""}; }
template <typename T>
Answer status_alone(const absl::StatusOr<T>& result) {
  return answer(result.status());
}

// `shown` begins with slot 0; an operation that cannot fail says so in what it shows.
Answer shown(const List& list, const std::string& text) {
  if (text.starts_with("<DataLoss>") || text.starts_with("List([<DataLoss>,")) {
    return answer(absl::DataLossError(
        "slot 0 of " + (list.name().empty() ? "the unnamed list" : "list '" + list.name() + "'")));
  }
  return {absl::OkStatus(), text.substr(0, text.find("]"))};  // without the name
}

struct Operation {
  const char* name;
  unsigned looks_at;
  bool writes;
  // On slot 0 of the list, which holds `here`, where nothing is forged.
  std::function<Answer(const List&, const Value& here)> run;
};

// A Counter or a Gauge, and what is done with it.
template <typename Pinned, typename Use>
Answer with(const absl::StatusOr<Pinned>& pinned, Use use) {
  if (!pinned.ok()) {
    return answer(pinned.status());
  }
  return {absl::OkStatus(), show(use(*pinned))};
}

std::vector<Operation> operations() {
  constexpr bool kReads = false;
  constexpr bool kWrites = true;
  const std::string too_long(kCapacity + 1, 'x');
  const auto wait = [](const Slot& slot, absl::Duration timeout) {
    return answer(slot.wait(slot.stamp(), timeout));
  };
  using L = const List&;
  using V = const Value&;
  return {
      // Reading.
      {"load", kTag | kValue, kReads, [](L l, V) { return answer(l[0].load()); }},
      {"load bool", kTag | kValue, kReads, [](L l, V) { return answer(l[0].load<bool>()); }},
      {"load int64", kTag | kValue, kReads,
       [](L l, V) { return answer(l[0].load<std::int64_t>()); }},
      {"load double", kTag | kValue, kReads, [](L l, V) { return answer(l[0].load<double>()); }},
      {"load text", kTag | kValue, kReads, [](L l, V) { return answer(l[0].load<std::string>()); }},
      {"load bytes", kTag | kValue, kReads, [](L l, V) { return answer(l[0].load<Bytes>()); }},
      {"load into", kTag | kValue, kReads,
       [](L l, V) {
         std::array<char, kCapacity> room;
         const auto length = l[0].load_into(room);
         return length.ok() ? Answer{absl::OkStatus(), std::string(room.data(), *length)}
                            : answer(length.status());
       }},
      {"load into nothing", kTag | kValue, kReads,
       [](L l, V) { return status_alone(l[0].load_into({})); }},
      {"load stamped", kTag | kValue, kReads, [](L l, V) { return answer(l[0].load_stamped()); }},
      {"stamp", kNothing, kReads,
       [](L l, V) { return answer(absl::StatusOr<Stamp>(l[0].stamp())); }},
      {"version", kNothing, kReads,
       [](L l, V) { return answer(absl::StatusOr<std::uint64_t>(l[0].version())); }},
      {"type", kTag, kReads,
       [](L l, V) {
         const auto type = l[0].type();
         return type.ok() ? Answer{absl::OkStatus(), std::string(type_name(*type))}
                          : answer(type.status());
       }},
      {"capacity", kDescriptor, kReads, [](L l, V) { return status_alone(l[0].capacity()); }},
      {"<<", kTag | kValue, kReads,
       [](L l, V) {
         std::ostringstream out;
         out << l[0];
         return shown(l, out.str());
       }},
      {"to_string", kTag | kValue, kReads, [](L l, V) { return shown(l, l.to_string()); }},
      {"format", kTag | kRoomOfText, kReads, [](L l, V) { return answer(l.format()); }},
      {"count", kTag | kValue, kReads, [](L l, V here) { return answer(l.count(here)); }},
      {"count another", kTag | kValue, kReads, [](L l, V) { return answer(l.count(kLong)); }},
      {"index", kTag | kValue, kReads, [](L l, V here) { return answer(l.index(here)); }},
      {"snapshot", kTag | kValue, kReads, [](L l, V) { return answer(l.snapshot()); }},
      {"load range", kTag | kValue, kReads,
       [](L l, V) {
         std::array<std::int64_t, 1> out = {};
         const absl::Status status = l.load_range(0, out);
         return Answer{status, status.ok() ? std::to_string(out[0]) : ""};
       }},
      // Waiting, which marks the slot.
      {"wait for what was", kNothing, kReads,
       [](L l, V) {
         // A stamp of another slot: it differs.
         return status_alone(l[0].wait(l[4].stamp(), absl::Milliseconds(1)));
       }},
      {"wait no time", kNothing, kReads,
       [wait](L l, V) { return wait(l[0], absl::ZeroDuration()); }},
      {"wait", kNothing, kReads, [wait](L l, V) { return wait(l[0], absl::Microseconds(50)); }},
      {"wait for any", kNothing, kReads,
       [](L l, V) {
         const AwaitedSlot awaited = {l[0], l[0].stamp()};
         const std::array<AwaitedSlot, 2> slots = {awaited, awaited};
         return status_alone(wait_any(slots, absl::Microseconds(50)));
       }},
      // Writing.
      {"store none", kTag, kWrites, [](L l, V) { return answer(l[0].store(nullptr)); }},
      {"store bool", kTag, kWrites, [](L l, V) { return answer(l[0].store(true)); }},
      {"store int64", kTag, kWrites, [](L l, V) { return answer(l[0].store(1)); }},
      {"store double", kTag, kWrites, [](L l, V) { return answer(l[0].store(1.5)); }},
      {"store short text", kTag, kWrites, [](L l, V) { return answer(l[0].store("short")); }},
      {"store text", kTag | kRoom, kWrites, [](L l, V) { return answer(l[0].store(kLong)); }},
      {"store bytes", kTag | kRoom, kWrites,
       [](L l, V) { return answer(l[0].store(BytesView(kLong))); }},
      {"store too much", kTag | kRoom, kWrites,
       [too_long](L l, V) { return answer(l[0].store(too_long)); }},
      {"exchange", kTag | kValue, kWrites, [](L l, V) { return answer(l[0].exchange(1)); }},
      {"exchange for text", kTag | kValue | kRoom, kWrites,
       [](L l, V) { return answer(l[0].exchange(kLong)); }},
      {"compare-exchange", kTag | kValue, kWrites,
       [](L l, V here) { return answer(l[0].compare_exchange(here, 1)); }},
      {"compare-exchange another", kTag | kValue, kWrites,
       [](L l, V) { return answer(l[0].compare_exchange("another", 1)); }},
      {"compare-exchange for text", kTag | kValue | kRoom, kWrites,
       [](L l, V here) { return answer(l[0].compare_exchange(here, kLong)); }},
      {"compare-exchange a stamp", kTag, kWrites,
       [](L l, V) {
         Stamp stamp = l[0].stamp();
         return answer(l[0].compare_exchange(stamp, 1));
       }},
      {"compare-exchange a stamp for text", kTag | kRoom, kWrites,
       [](L l, V) {
         Stamp stamp = l[0].stamp();
         return answer(l[0].compare_exchange(stamp, kLong));
       }},
      {"update", kTag | kValue, kWrites,
       [](L l, V) { return answer(l[0].update([](const Value&) { return Value(1); })); }},
      {"update to text", kTag | kValue | kRoom, kWrites,
       [](L l, V) {
         return answer(l[0].update([](const Value&) { return Value(std::string(kLong)); }));
       }},
      {"fetch_add", kTag | kValue, kWrites, [](L l, V) { return answer(l[0].fetch_add(1)); }},
      {"fetch_sub", kTag | kValue, kWrites, [](L l, V) { return answer(l[0].fetch_sub(1)); }},
      {"fetch_and", kTag | kValue, kWrites, [](L l, V) { return answer(l[0].fetch_and(6)); }},
      {"fetch_or", kTag | kValue, kWrites, [](L l, V) { return answer(l[0].fetch_or(8)); }},
      {"fetch_xor", kTag | kValue, kWrites, [](L l, V) { return answer(l[0].fetch_xor(5)); }},
      {"fetch_min", kTag | kValue, kWrites, [](L l, V) { return answer(l[0].fetch_min(-1)); }},
      {"fetch_max", kTag | kValue, kWrites, [](L l, V) { return answer(l[0].fetch_max(99)); }},
      {"fetch_add double", kTag | kValue, kWrites,
       [](L l, V) { return answer(l[0].fetch_add(0.5)); }},
      {"fetch_sub double", kTag | kValue, kWrites,
       [](L l, V) { return answer(l[0].fetch_sub(0.5)); }},
      {"fetch_min double", kTag | kValue, kWrites,
       [](L l, V) { return answer(l[0].fetch_min(-0.5)); }},
      {"fetch_max double", kTag | kValue, kWrites,
       [](L l, V) { return answer(l[0].fetch_max(99.5)); }},
      {"store range", kTag, kWrites,
       [](L l, V) { return answer(l.store_range(0, std::array<std::int64_t, 1>{4})); }},
      {"store range of doubles", kTag, kWrites,
       [](L l, V) { return answer(l.store_range(0, std::array<double, 1>{4.5})); }},
      {"counter", kTag, kWrites,
       [](L l, V) { return with(l.counter(0), [](const Counter& c) { return c.fetch_add(1); }); }},
      {"gauge", kTag, kWrites,
       [](L l, V) { return with(l.gauge(0), [](const Gauge& g) { return g.fetch_add(0.5); }); }},
  };
}

// ---- Forgeries ----------------------------------------------------------------------------------

struct Forgery {
  std::string name;
  unsigned spoils;
  // What the slot holds before it is forged, and what the twin holds.
  Value here;
  std::function<void(Scene&)> forge;
  Init made_for = text(kCapacity);
  std::optional<Init> twin_made_for = std::nullopt;  // if the twin is to be another kind of slot
  std::uint64_t version = kVersion;
};

// What the protocol can leave, wherever somebody is killed or stopped.
void add_half_written(std::vector<Forgery>& all) {
  const Value here = std::string(kHere);
  const auto copy = [](Scene& s, std::uint32_t buffer, std::string_view text) {
    detail::begin_overwrite(s.buffers().control(buffer));
    detail::copy_to_shared(s.buffers().text(buffer), text);
  };
  all.insert(
      all.end(),
      {
          {"one buffer claimed", kNothing, here,
           [](Scene& s) { s.buffers().control(s.a_free_buffer()).owner = kDead; }},
          {"every free buffer claimed", kNothing, here, [](Scene& s) { s.claim_free(kDead); }},
          {"claimed, half overwritten", kNothing, here,
           [copy](Scene& s) {
             s.claim_free(kDead);
             copy(s, s.a_free_buffer(), kLong.substr(0, 16));
           }},
          {"claimed and copied, not published", kNothing, here,
           [copy](Scene& s) {
             s.claim_free(kDead);
             copy(s, s.a_free_buffer(), kLong);
           }},
          {"published, not let go", kNothing, here,
           [](Scene& s) { s.buffers().control(s.word().buffer()).owner = kDead; }},
          {"published, not let go, and all others claimed", kNothing, here,
           [](Scene& s) { s.claim_all(kDead); }},
          {"every buffer claimed, then a number stored", kNothing, 7,
           [](Scene& s) { s.claim_all(kDead); }},
          {"every buffer claimed, then short text stored", kNothing, "short",
           [](Scene& s) { s.claim_all(kDead); }},
          {"a number taken without a lock, and its claims", kNothing, here,
           [](Scene& s) {
             s.raw().segment().mutable_line.participants = kNumbers + 1;
             s.claim_free(kNumbers + 1);
           }},
          {"claimed by the living", kNothing, here, [](Scene& s) { s.claim_free(kLiving); }},
          {"waited for by nobody", kNothing, here,
           [](Scene& s) {
             s.set({s.word().payload, s.word().meta | detail::kWaitersBit});
           }},
          {"a number waited for by nobody", kNothing, 7,
           [](Scene& s) {
             s.set({s.word().payload, s.word().meta | detail::kWaitersBit});
           }},
          {"a pinned number waited for by nobody", kNothing, 3,
           [](Scene& s) { s.raw().view().wait_word(0) = detail::kWaiting; }, pinned(3)},
      });
}

// What it cannot, and what harms nobody.
void add_harmless(std::vector<Forgery>& all) {
  const Value here = std::string(kHere);
  for (const std::uint64_t owner : {kOwn, kNumbers + 1, std::uint64_t{1} << 61, kMax64}) {
    all.push_back({absl::StrFormat("claimed by number %#x", owner), kNothing, here,
                   [owner](Scene& s) { s.claim_free(owner); }});
  }
  for (const std::uint64_t sequence : {kMax64, kMax64 - 1}) {
    all.push_back(
        {absl::StrFormat("sequences of %#x", sequence), kNothing, here, [sequence](Scene& s) {
           for (std::uint32_t i = 0; i < s.buffers().count; ++i) {
             s.buffers().control(i).sequence = sequence;
           }
         }});
  }
  for (const std::uint64_t count : {std::uint64_t{0}, (std::uint64_t{1} << 61) - 1, kMax64}) {
    all.push_back({absl::StrFormat("%#x participants", count), kNothing, here,
                   [count](Scene& s) { s.raw().segment().mutable_line.participants = count; }});
  }
  for (const std::uint32_t word : {~0U, ~1U, 1U << 31, 2U}) {
    const auto forge = [word](Scene& s) { s.raw().view().wait_word(0) = word; };
    all.push_back({absl::StrFormat("wait word %#x, int64", word), kNothing, 3, forge, pinned(3)});
    all.push_back(
        {absl::StrFormat("wait word %#x, double", word), kNothing, 0.5, forge, pinned(0.5)});
    all.push_back({absl::StrFormat("wait word %#x, text", word), kNothing, here, forge});
  }
  all.push_back({"the last version", kNothing, here, [](Scene&) {}, text(kCapacity), std::nullopt,
                 (std::uint64_t{1} << 55) - 1});
  all.push_back({"a pinned tag in a versioned slot", kNothing, 3,
                 [](Scene& s) {
                   s.set({3, make_meta(kVersion, Tag::kPinnedInt64)});
                 },
                 text(kCapacity), pinned(3)});
  all.push_back({"a versioned tag in a pinned slot", kNothing, 3,
                 [](Scene& s) {
                   s.set({3, make_meta(kVersion, Tag::kInt64)});
                 },
                 pinned(3), 3});
  all.push_back({"a descriptor in a pinned slot", kNothing, 3,
                 [](Scene& s) {
                   s.raw().descriptor(0) = {kMax64, kMax64};
                 },
                 pinned(3)});
}

// What it cannot, and what nobody can make sense of.
void add_impossible(std::vector<Forgery>& all) {
  const Value here = std::string(kHere);
  for (const int tag : {0, 11, 12, 13, 14, 15}) {
    all.push_back({absl::StrFormat("tag %d", tag), kTag, here, [tag](Scene& s) {
                     s.set({s.word().payload, make_meta(kVersion, static_cast<Tag>(tag))});
                   }});
  }
  all.push_back({"zeros", kTag, here,
                 [](Scene& s) {
                   s.set({0, 0});
                 },
                 text(kCapacity), std::nullopt, 0});
  for (const std::uint64_t payload : {std::uint64_t{2}, std::uint64_t{256}, kMax64}) {
    all.push_back({absl::StrFormat("bool %#x", payload), kValue, true, [payload](Scene& s) {
                     s.set({payload, s.word().meta});
                   }});
  }
  // Every value has one form: bits that its type has no use for are 0.
  for (const Value& value : {Value(7), Value(1.5), Value(true), Value(), here}) {
    all.push_back({"an inline length on " + to_string(value), kValue, value, [](Scene& s) {
                     s.set({s.word().payload, s.word().meta | 0xf0});
                   }});
  }
  all.push_back({"a payload on none", kValue, Value(), [](Scene& s) {
                   s.set({1, s.word().meta});
                 }});
  all.push_back({"bytes behind short text", kValue, "short", [](Scene& s) {
                   s.set({s.word().payload | std::uint64_t{0xff} << 56, s.word().meta});
                 }});
  for (const bool is_text : {true, false}) {
    const Tag short_tag = is_text ? Tag::kInlineText : Tag::kInlineBytes;
    const auto value = [is_text](std::string_view text) {
      return is_text ? Value(std::string(text)) : Value(Bytes(std::string(text)));
    };
    const char* const what = is_text ? "text" : "bytes";
    for (std::uint32_t length = 9; length <= 15; ++length) {
      all.push_back({absl::StrFormat("short %s of %d bytes", what, length), kValue,
                     value("eight by"), [short_tag, length](Scene& s) {
                       s.set({s.word().payload, make_meta(kVersion, short_tag, length)});
                     }});
    }
    for (const std::uint64_t length :
         {std::uint64_t{0}, std::uint64_t{8}, std::uint64_t{kCapacity + 1}, std::uint64_t{1} << 20,
          detail::kLongLengthMax}) {
      all.push_back({absl::StrFormat("%s of %#x bytes in a buffer", what, length), kValue,
                     value(kHere), [length](Scene& s) {
                       s.set({detail::long_payload(length, s.word().buffer()), s.word().meta});
                     }});
    }
    for (const std::uint32_t buffer : {0U, 1U, 128U, 255U}) {
      all.push_back({absl::StrFormat("%s in buffer K + %d", what, buffer), kValue, value(kHere),
                     [buffer](Scene& s) {
                       const std::uint32_t index = std::min(s.buffers().count + buffer, 255U);
                       s.set({detail::long_payload(9, index), s.word().meta});
                     }});
    }
  }
  const auto forge_descriptor = [&](const char* name, auto change) {
    const auto forge = [change](Scene& s) { change(s.raw().descriptor(0), s.raw().segment()); };
    all.push_back({std::string("longer text, and ") + name, kDescriptor | kValue, here, forge});
    all.push_back({std::string("short text, and ") + name, kDescriptor, "short", forge});
    all.push_back({std::string("a number, and ") + name, kRoom, 7, forge});
  };
  using D = Descriptor&;
  using H = const detail::SegmentHeader&;
  forge_descriptor("no buffers", [](D d, H) { d.buffers_offset = 0; });
  forge_descriptor("buffers among the slots", [](D d, H h) { d.buffers_offset = h.slots_offset; });
  forge_descriptor("unaligned buffers", [](D d, H) { d.buffers_offset += 4; });
  forge_descriptor("buffers over the end", [](D d, H h) { d.buffers_offset = h.total_bytes - 8; });
  forge_descriptor("buffers past the end", [](D d, H h) { d.buffers_offset = h.total_bytes; });
  forge_descriptor("buffers nowhere", [](D d, H) { d.buffers_offset = kMax64 - 7; });
  forge_descriptor("no capacity", [](D d, H) { d.capacity = 0; });
  forge_descriptor("an odd capacity", [](D d, H) { d.capacity += 1; });
  forge_descriptor("a capacity over the end", [](D d, H h) { d.capacity = h.total_bytes; });
  forge_descriptor("a capacity that wraps round", [](D d, H) { d.capacity = kMax64 - 7; });
}

std::vector<Forgery> forgeries() {
  std::vector<Forgery> all;
  add_half_written(all);
  add_harmless(all);
  add_impossible(all);
  return all;
}

// ---- Every operation on every forgery -----------------------------------------------------------

std::atomic<int> passes_of_taking_over;
std::atomic<int> passes_of_rescued;

void count_passes(Seam seam) {
  passes_of_taking_over += seam == Seam::kTakingOver ? 1 : 0;
  passes_of_rescued += seam == Seam::kRescued ? 1 : 0;
}

using Params = std::tuple<Layout, int, Through>;

class ForgedStatesTest : public testing::TestWithParam<Params> {
 protected:
  ForgedStatesTest() {
    watch();
    passes_of_taking_over = 0;
    passes_of_rescued = 0;
    detail::seam_hook = count_passes;
  }
  ~ForgedStatesTest() override {
    detail::seam_hook = nullptr;
    alarm(0);
  }

  static Layout layout() { return std::get<0>(GetParam()); }
  static int buffers() { return std::get<1>(GetParam()); }
  static Through through() { return std::get<2>(GetParam()); }
  static Scene scene(const Init& made_for) { return {made_for, layout(), buffers(), through()}; }

  // Whether all buffers that are not current are claimed by those who count as alive.
  static bool is_held(Scene& scene) {
    for (std::uint32_t i = 0; i < scene.buffers().count; ++i) {
      const std::uint64_t owner = detail::peek_owner(scene.buffers().control(i));
      const bool counts_as_alive =
          owner == kOwn || owner == kLiving || (owner != 0 && through() == Through::kMemory);
      if (!scene.word().names_buffer(i) && !counts_as_alive) {
        return false;
      }
    }
    return scene.buffers().count > 0;
  }

  enum class Expected { kAsTwin, kDataLoss, kDeadline };

  static Expected expected(const Operation& operation, const Forgery& forgery, bool held,
                           const Answer& twin) {
    // Refused before a look at the value: a write to a list attached read-only; a wrong type.
    const bool refused = absl::IsPermissionDenied(twin.status) ||
                         (absl::IsFailedPrecondition(twin.status) && forgery.spoils != kTag);
    if ((operation.looks_at & forgery.spoils) != 0 && !refused) {
      return Expected::kDataLoss;
    }
    const bool needs_buffer = operation.writes && (operation.looks_at & kRoom) != 0;
    return held && needs_buffer && twin.status.ok() ? Expected::kDeadline : Expected::kAsTwin;
  }

  // What an operation must leave alone: everything but its slot, and in it whatever it has no business
  // with.
  static void expect_nothing_else_changed(const Operation& operation, Scene& scene,
                                          const std::string& before, const Word& forged,
                                          bool succeeded) {
    std::string after = scene.bytes();
    const auto may_change = [&](const void* place, std::size_t size) {
      const std::size_t at = scene.offset_of(place);
      after.replace(at, size, before, at, size);
    };
    const Word now = scene.word();
    const bool waits = std::string_view(operation.name).starts_with("wait");
    if (operation.writes ? !succeeded : !waits) {
      EXPECT_EQ(now, forged);
    } else if (waits) {
      EXPECT_EQ(now.payload, forged.payload);
      EXPECT_EQ(now.meta | detail::kWaitersBit, forged.meta | detail::kWaitersBit);
    }
    may_change(&scene.raw().header(0), sizeof(detail::Header));
    if (operation.writes || waits) {
      may_change(&scene.raw().view().wait_word(0), sizeof(std::uint32_t));
    }
    const SlotBuffers& buffers = scene.buffers();
    for (std::uint32_t i = 0; operation.writes && i < buffers.count; ++i) {
      const std::size_t at = scene.offset_of(&buffers.control(i).owner);
      std::uint64_t owner_before = 0;
      std::memcpy(&owner_before, before.data() + at, sizeof(owner_before));
      const std::uint64_t owner = buffers.control(i).owner;
      EXPECT_TRUE(owner == owner_before || owner == 0) << "buffer " << i << " of " << owner;
      may_change(&buffers.control(i).owner, sizeof(std::uint64_t));
      if (!forged.names_buffer(i)) {
        may_change(buffers.text(i), buffers.stride);
      }
    }
    const auto [was, is] = std::mismatch(before.begin(), before.end(), after.begin());
    EXPECT_TRUE(was == before.end()) << "byte " << was - before.begin() << " has changed";
  }
};

std::string name_of_params(const testing::TestParamInfo<Params>& info) {
  constexpr std::array<const char*, 3> kThrough = {"InMemory", "ByName", "ReadOnly"};
  return absl::StrFormat("%s%d%s", name_of_layout(std::get<0>(info.param)), std::get<1>(info.param),
                         kThrough[static_cast<std::size_t>(std::get<2>(info.param))]);
}

INSTANTIATE_TEST_SUITE_P(
    Everywhere, ForgedStatesTest,
    testing::Combine(testing::Values(Layout::kPadded, Layout::kDense), testing::Values(2, 3, 8),
                     testing::Values(Through::kMemory, Through::kName, Through::kNameReadOnly)),
    name_of_params);

TEST_P(ForgedStatesTest, EveryOperationRepairsIgnoresOrNames) {
  const std::vector<Operation> all_operations = operations();
  const std::vector<Forgery> all_forgeries = forgeries();
  std::size_t as_twin = 0, repaired = 0, lost = 0, late = 0, mended = 0;
  for (const Forgery& forgery : all_forgeries) {
    Scene scene = this->scene(forgery.made_for);
    Scene twin = this->scene(forgery.twin_made_for.value_or(forgery.made_for));
    scene.hold(forgery.here, forgery.version);
    twin.hold(forgery.here, forgery.version);
    const std::string twin_whole = twin.bytes();
    forgery.forge(scene);
    const std::string bytes = scene.bytes();
    const Word forged = scene.word();
    const bool held = is_held(scene);

    for (const Operation& operation : all_operations) {
      SCOPED_TRACE(forgery.name + ": " + operation.name);
      std::snprintf(where.data(), where.size(), "%s: %s", forgery.name.c_str(), operation.name);
      twin.restore(twin_whole);
      scene.restore(bytes);
      const Answer of_twin = operation.run(twin.list(), forgery.here);
      const Answer given = operation.run(scene.list(), forgery.here);
      switch (expected(operation, forgery, held, of_twin)) {
        case Expected::kDataLoss:
          ++lost;
          EXPECT_TRUE(fails(given.status, Code::kDataLoss, {"slot 0", scene.label()}));
          break;
        case Expected::kDeadline:
          ++late;
          EXPECT_TRUE(fails(given.status, Code::kDeadlineExceeded, {"slot 0", scene.label()}));
          break;
        case Expected::kAsTwin:
          ++as_twin;
          EXPECT_EQ(given.status.code(), of_twin.status.code()) << given.status;
          EXPECT_EQ(given.result, of_twin.result);
          if (given.status.ok() && operation.writes && given.result != "false") {
            // Whatever was wrong is gone with the write.
            repaired += forgery.spoils != kNothing ? 1 : 0;
            EXPECT_EQ(answer(scene.list()[0].load_stamped()).result,
                      answer(twin.list()[0].load_stamped()).result);
            EXPECT_FALSE(scene.word().has_waiters());
          }
          break;
      }
      expect_nothing_else_changed(operation, scene, bytes, forged,
                                  given.status.ok() && given.result != "false");
    }

    // What can be mended, a writer mends: more stores than there are buffers.
    scene.restore(bytes);
    const bool is_mended = through() == Through::kName && !held &&
                           forgery.made_for.capacity() == kCapacity &&
                           !scene.writer()[0].is_pinned() && (forgery.spoils & ~kValue) == 0;
    for (int i = 0; is_mended && i <= buffers(); ++i) {
      SCOPED_TRACE(forgery.name);
      const std::string text = absl::StrFormat("store number %d", i);
      EXPECT_TRUE(succeeds(scene.writer()[0].store(text)));
      EXPECT_EQ(must(scene.living()[0].load<std::string>()), text);
      ++mended;
    }
    EXPECT_EQ(must(scene.writer()[1].load<std::string>()), kNeighbour);
    if (HasFailure()) {
      break;  // the first forgery that something is wrong with is enough
    }
  }
  ATOLL_SUMMARY(
      "%zu forgeries, %zu operations each: %zu as if nothing were forged, of them %zu that wrote "
      "over "
      "what was wrong; %zu DataLoss, %zu DeadlineExceeded; %zu stores afterwards; %d take-overs",
      all_forgeries.size(), all_operations.size(), as_twin, repaired, lost, late, mended,
      passes_of_taking_over.load());
  EXPECT_EQ(as_twin + lost + late, all_forgeries.size() * all_operations.size());
  EXPECT_GT(lost, 500U);
  if (through() != Through::kNameReadOnly) {
    EXPECT_GT(repaired, 200U);
    EXPECT_GT(late, 10U);
  }
  if (through() == Through::kName) {
    EXPECT_GT(mended, 100U);
    EXPECT_GT(passes_of_taking_over, 50);
  }
}

// ---- What takes more than one operation ---------------------------------------------------------

class ForgedListsTest : public ForgedStatesTest {};

INSTANTIATE_TEST_SUITE_P(ByName, ForgedListsTest,
                         testing::Combine(testing::Values(Layout::kPadded, Layout::kDense),
                                          testing::Values(2, 3, 8),
                                          testing::Values(Through::kName)),
                         name_of_params);

TEST_P(ForgedListsTest, AClaimOfALiveNumberLastsAsLongAsItsHandle) {
  Scene scene = this->scene(text(kHere, kCapacity));
  scene.claim_free(kLiving);
  EXPECT_TRUE(fails(scene.writer()[0].store(kLong), Code::kDeadlineExceeded, {"slot 0"}));
  scene.living().close();
  EXPECT_TRUE(succeeds(scene.writer()[0].store(kLong)));
  EXPECT_EQ(must(scene.writer()[0].load<std::string>()), kLong);
  EXPECT_GT(passes_of_taking_over, 0);
}

// Not in the table, as the neighbours there are no numbers.
TEST_P(ForgedListsTest, ASnapshotOfNumbersNamesTheImpossibleOne) {
  const List list = must(List::create_anonymous({7, 8}, {.layout = layout()}));
  Raw raw(list.fd());
  for (const std::uint64_t bits : {std::uint64_t{0xf}, std::uint64_t{0x10}, std::uint64_t{0xf0}}) {
    raw.forge(1, {8, make_meta(kVersion, Tag::kInt64) | bits});
    EXPECT_TRUE(fails(list.snapshot<std::int64_t>(), Code::kDataLoss, {"slot 1", "unnamed list"}));
  }
  EXPECT_TRUE(succeeds(list[0].store(9))) << "the other one is whole";
}

TEST_P(ForgedListsTest, AForkWithoutANumberLeftStoresAllButLongerText) {
  Scene scene = this->scene(text(kHere, kCapacity));
  scene.raw().segment().mutable_line.participants = kMax64 - 1;
  process::Child child([&] {
    const Slot slot = scene.writer()[0];
    ATOLL_CHECK(fails(slot.store(kLong), Code::kFailedPrecondition, {"slot 0", scene.label()}));
    ATOLL_CHECK(must(slot.load<std::string>()) == kHere);
    must(slot.store("short"));
    ATOLL_CHECK(must(scene.writer()[4].fetch_add(1)) == 7);
    return 0;
  });
  ASSERT_EQ(child.wait(), 0);
  EXPECT_EQ(must(scene.writer()[0].load<std::string>()), "short");
  EXPECT_TRUE(succeeds(scene.writer()[0].store(kLong))) << "the parent has its number still";
}

// A waiter among marks that nobody set: he sleeps, and who writes wakes him.
TEST_P(ForgedListsTest, AWaiterIsWokenWhateverTheMarks) {
  static std::atomic<int> announced;
  announced = 0;
  detail::seam_hook = [](Seam seam) {
    count_passes(seam);
    announced += seam == Seam::kAnnounced ? 1 : 0;
  };
  int waits = 0;
  const auto expect_woken = [&](Scene& scene) {
    const Slot slot = scene.writer()[0];
    const int before = announced;
    absl::StatusOr<Stamp> woken = absl::UnknownError("not yet");
    std::thread waiter([&] { woken = slot.wait(slot.stamp(), absl::Seconds(60)); });
    EXPECT_TRUE(process::wait_until([&] { return announced > before; }));
    EXPECT_TRUE(succeeds(scene.living()[0].store(99)));
    waiter.join();
    EXPECT_TRUE(succeeds(woken));
    ++waits;
  };
  for (const std::uint32_t word : {1U, 2U, 1U << 31, ~1U, ~0U}) {
    Scene scene = this->scene(pinned(3));
    scene.raw().view().wait_word(0) = word;
    expect_woken(scene);
    EXPECT_FALSE(detail::is_waited(scene.raw().view().wait_word(0)));
  }
  for (const std::uint64_t version : {kVersion, (std::uint64_t{1} << 55) - 1}) {
    Scene scene = this->scene(3);
    scene.hold(3, version);
    scene.set({3, scene.word().meta | detail::kWaitersBit});
    expect_woken(scene);
    EXPECT_FALSE(scene.word().has_waiters());
  }
  EXPECT_EQ(waits, 7);
  EXPECT_EQ(passes_of_rescued, 0) << "asleep until it looked again by itself";
}

}  // namespace
}  // namespace libatoll::test
