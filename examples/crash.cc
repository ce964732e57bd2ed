// Writers killed in the middle of a store. One slot holds a megabyte of text. A process stores there
// without end and is killed at a random moment, and so is the next one, a hundred times. Meanwhile
// two other writers and two readers go on, and the readers check every text that they see.

#include <sys/types.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>

#include "absl/random/random.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include <atoll/atoll.h>

#include "children.h"

namespace {

constexpr int kKills = 100;
constexpr absl::Duration kTimeMax = absl::Seconds(8);
constexpr std::size_t kTextBytes = 1 << 20;

// The slots. All but the text are counters, which are written in one instruction: who is killed has
// added one or has not.
enum : std::ptrdiff_t {
  kText,
  kBegun,   // stores that a writer about to be killed has begun,
  kEnded,   // and ended
  kStores,  // stores of the other writers
  kWhole,   // texts that a reader found whole,
  kTorn,    // and torn
  kStop,    // 1 when readers and writers are to end
};

// Writes a text that shows if it is torn: one random piece over and over again.
void write_text(std::string& text, absl::BitGen& random) {
  text = absl::StrFormat("%016x", absl::Uniform<std::uint64_t>(random));
  text.reserve(kTextBytes);
  while (text.size() < kTextBytes) {
    text += text;
  }
}

// Every piece of a whole text equals the next.
bool is_whole(std::string_view text) {
  constexpr std::size_t kPiece = 16;
  return text.size() == kTextBytes &&
         std::memcmp(text.data(), text.data() + kPiece, text.size() - kPiece) == 0;
}

absl::Status store_until_killed(const atoll::List& list) {
  const atoll::Counter begun = list.counter(kBegun).value();
  const atoll::Counter ended = list.counter(kEnded).value();
  absl::BitGen random;
  std::string text;
  for (;;) {
    write_text(text, random);
    begun.fetch_add(1);
    if (absl::Status stored = list[kText].store(text); !stored.ok()) {
      return stored;
    }
    ended.fetch_add(1);
  }
}

absl::Status store_until_stopped(const atoll::List& list) {
  const atoll::Counter stores = list.counter(kStores).value();
  const atoll::Counter stop = list.counter(kStop).value();
  absl::BitGen random;
  std::string text;
  while (stop.load() == 0) {
    write_text(text, random);
    if (absl::Status stored = list[kText].store(text); !stored.ok()) {
      return stored;
    }
    stores.fetch_add(1);
  }
  return absl::OkStatus();
}

absl::Status read_until_stopped(const atoll::List& list) {
  const atoll::Counter whole = list.counter(kWhole).value();
  const atoll::Counter torn = list.counter(kTorn).value();
  const atoll::Counter stop = list.counter(kStop).value();
  std::string text(kTextBytes, '\0');
  while (stop.load() == 0) {
    absl::StatusOr<std::size_t> length = list[kText].load_into(text);
    if (!length.ok()) {
      return length.status();
    }
    (is_whole({text.data(), *length}) ? whole : torn).fetch_add(1);
  }
  return absl::OkStatus();
}

// Starts a writer, lets it store for a random while, and kills it; tells whether a store was begun
// and not ended.
absl::StatusOr<bool> kill_one(const atoll::List& list, Children& children, absl::BitGen& random) {
  const atoll::Counter begun = list.counter(kBegun).value();
  const atoll::Counter ended = list.counter(kEnded).value();
  begun.store(0);
  ended.store(0);
  absl::StatusOr<pid_t> writer = children.start([&list] { return store_until_killed(list); });
  if (!writer.ok()) {
    return writer.status();
  }
  const absl::Time late = absl::Now() + kTimeMax;
  while (begun.load() == 0 && absl::Now() < late) {
    absl::SleepFor(absl::Microseconds(100));
  }
  absl::SleepFor(absl::Microseconds(absl::Uniform(random, 0, 10'000)));
  if (absl::Status killed = children.kill(*writer); !killed.ok()) {
    return killed;
  }
  return begun.load() != ended.load();
}

absl::Status crash() {
  absl::BitGen random;
  std::string text;
  write_text(text, random);
  // Without a name, so that nothing can be left behind. Four buffers: one holds the current text,
  // and each of three writers has one to write to.
  absl::StatusOr<atoll::List> list = atoll::List::create_anonymous(
      {atoll::text(text, kTextBytes), atoll::pinned(0), atoll::pinned(0), atoll::pinned(0),
       atoll::pinned(0), atoll::pinned(0), atoll::pinned(0)},
      {.buffers_per_slot = 4});
  if (!list.ok()) {
    return list.status();
  }

  Children children;
  for (int i = 0; i < 2; ++i) {
    absl::StatusOr<pid_t> writer = children.start([&] { return store_until_stopped(*list); });
    absl::StatusOr<pid_t> reader = children.start([&] { return read_until_stopped(*list); });
    if (!writer.ok() || !reader.ok()) {
      return writer.ok() ? reader.status() : writer.status();
    }
  }

  int kills = 0;
  int unfinished = 0;
  const absl::Time end = absl::Now() + kTimeMax;
  while (kills < kKills && absl::Now() < end) {
    absl::StatusOr<bool> was_storing = kill_one(*list, children, random);
    if (!was_storing.ok()) {
      return was_storing.status();
    }
    ++kills;
    unfinished += *was_storing ? 1 : 0;
  }
  list->counter(kStop)->store(1);
  if (absl::Status ended = children.wait(); !ended.ok()) {
    return ended;
  }
  absl::PrintF("%d writers killed, %d of them in the middle of a store\n", kills, unfinished);
  absl::PrintF("%d stores by other writers meanwhile\n", list->counter(kStores)->load());
  absl::PrintF("%d texts read whole, %d torn\n", list->counter(kWhole)->load(),
               list->counter(kTorn)->load());

  // More stores than there are buffers: the buffers of the dead are in use again.
  constexpr int kMore = 8;
  for (int i = 0; i < kMore; ++i) {
    write_text(text, random);
    if (absl::Status stored = (*list)[kText].store(text); !stored.ok()) {
      return stored;
    }
    absl::StatusOr<std::string> read = (*list)[kText].load<std::string>();
    if (!read.ok() || *read != text) {
      return read.ok() ? absl::DataLossError("read another text than was stored") : read.status();
    }
  }
  absl::PrintF("and %d more stores, each read back: the slot works as on the first day\n", kMore);
  return absl::OkStatus();
}

}  // namespace

int main() {
  if (absl::Status status = crash(); !status.ok()) {
    std::cerr << status << '\n';
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
