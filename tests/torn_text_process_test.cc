// No reader ever sees torn text: 2 to 8 writers and 4 readers on one slot, each value carrying its
// own check. The run goes on until every reader has read enough, has been overtaken by writes in the
// middle of its reads, and has seen the values of several writers. So that all this happens on a
// single busy processor too, readers and every other writer let others run at a seam now and then:
// in the middle of a read, with half of the text written.

#include <tuple>

#include "process.h"

namespace {

using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using process::Child;
using process::Shared;
using process::TextOrigin;

constexpr int kReaders = 4;
constexpr int kWritersMax = 8;
// What each reader must have met.
constexpr std::int64_t kOverlappedMin = 20;
constexpr int kWritersSeenMin = 2;
constexpr std::chrono::seconds kCap{60};

struct Board {
  process::StartLine start;
  std::atomic<bool> stop;
  std::array<std::atomic<std::int64_t>, kWritersMax> stores;
  std::array<std::atomic<std::int64_t>, kReaders> loads;
  std::array<std::atomic<std::int64_t>, kReaders> overlapped;
  std::array<std::atomic<int>, kReaders> writers_seen;
  std::array<std::atomic<std::int64_t>, kReaders> short_values;
};

struct Size {
  std::size_t capacity;
  std::size_t shortest;
  std::size_t longest;
  std::int64_t loads;
};

// Passes of a seam from one yield to the next.
constexpr int kYieldEvery = 8;

void yield_at_seams(libatoll::detail::Seam seam) {
  static int passed = 0;
  if ((seam == libatoll::detail::Seam::kReading || seam == libatoll::detail::Seam::kOverwriting) &&
      ++passed % kYieldEvery == 0) {
    sched_yield();
  }
}

int write_text(const List& list, Board& board, int self, int processes, const Size& size) {
  const Slot slot = list[0];
  std::string text;
  std::uint64_t random = process::mix(static_cast<std::uint64_t>(self) + 1);
  std::uint32_t counter = 0;
  if (self % 2 == 0) {
    libatoll::detail::seam_hook = yield_at_seams;
  }
  board.start.wait(processes);
  while (!board.stop) {
    random = process::mix(random + 1);
    ++counter;
    // Now and then text that fits the header, so that the slot changes its type too.
    const std::size_t length = counter % 16 == 0
                                   ? process::kTextMin
                                   : size.shortest + random % (size.longest - size.shortest + 1);
    process::make_text(static_cast<std::uint32_t>(self), counter, length, text);
    process::must(slot.store(text));
    ++board.stores[static_cast<std::size_t>(self)];
    // At random, sometimes twice: where processes run in turns, others would always find the same
    // kind of value, or that of the same writer.
    const std::uint64_t dice = (random >> 32) % 32;
    for (int turns = dice < 2 ? 1 : dice < 4 ? 2 : 0; turns > 0; --turns) {
      sched_yield();
    }
  }
  return 0;
}

int read_text(const List& list, Board& board, int self, int processes, const Size& size) {
  const auto me = static_cast<std::size_t>(self);
  const Slot slot = list[0];
  std::vector<char> buffer(size.longest);
  std::array<std::uint32_t, kWritersMax + 1> latest = {};
  std::uint32_t writers_seen = 0;
  std::int64_t loads = 0;  // of text that was in a buffer
  std::int64_t short_values = 0;
  std::int64_t overlapped = 0;
  libatoll::detail::seam_hook = yield_at_seams;
  const auto cap = std::chrono::steady_clock::now() + kCap;
  board.start.wait(processes);
  while (loads < size.loads || overlapped < kOverlappedMin ||
         __builtin_popcount(writers_seen) < kWritersSeenMin) {
    const std::uint64_t before = slot.version();
    std::string text;
    std::string_view view;
    switch ((loads + short_values) % 3) {
      case 0: {
        libatoll::Value value = process::must(slot.load());
        ATOLL_CHECK(std::holds_alternative<std::string>(value)) << libatoll::to_string(value);
        text = std::get<std::string>(std::move(value));
        view = text;
        break;
      }
      case 1:
        text = process::must(slot.load<std::string>());
        view = text;
        break;
      default:
        view = {buffer.data(), process::must(slot.load_into(buffer))};
        break;
    }
    const std::uint64_t after = slot.version();
    ATOLL_CHECK(after >= before) << "version " << after << " after " << before;
    overlapped += after > before ? 1 : 0;
    TextOrigin origin;
    ATOLL_CHECK(process::is_whole(view, origin))
        << "torn: " << view.size() << " bytes, writer " << origin.writer << ", counter "
        << origin.counter << ", load " << loads;
    ATOLL_CHECK(origin.writer < latest.size()) << "writer " << origin.writer;
    // One writer's values appear in its order; its counter of 24 bits may come round.
    ATOLL_CHECK(((origin.counter - latest[origin.writer]) & 0xff'ffff) < 0x80'0000)
        << "writer " << origin.writer << " went back from " << latest[origin.writer] << " to "
        << origin.counter;
    latest[origin.writer] = origin.counter;
    if (origin.writer < kWritersMax) {
      writers_seen |= 1U << origin.writer;
    }
    ++(view.size() == process::kTextMin ? short_values : loads);
    if ((loads + short_values) % 16 == 0) {
      sched_yield();
    }
    if (std::chrono::steady_clock::now() > cap) {
      break;
    }
  }
  board.loads[me] = loads;
  board.short_values[me] = short_values;
  board.overlapped[me] = overlapped;
  board.writers_seen[me] = __builtin_popcount(writers_seen);
  return 0;
}

class TornText : public ::testing::TestWithParam<std::tuple<int, Size>> {};

TEST_P(TornText, IsNeverSeen) {
  const auto& [writers, size] = GetParam();
  // Every number of writers meets another number of buffers.
  const int buffers = writers == 2 ? 2 : writers == 4 ? 3 : 8;
  const List list = process::must(List::create_anonymous(
      {libatoll::text(process::make_text(kWritersMax, 0, size.shortest), size.capacity)},
      {.layout = writers == 4 ? Layout::kDense : Layout::kPadded,
       .buffers_per_slot = buffers,
       .claim_timeout = absl::Seconds(20)}));
  const Shared<Board> board;
  const int processes = writers + kReaders;
  std::vector<Child> reading;
  std::vector<Child> writing;
  for (int i = 0; i < std::max(kReaders, writers); ++i) {
    if (i < kReaders) {
      reading.emplace_back(
          [&, i, &size = size] { return read_text(list, *board, i, processes, size); });
    }
    if (i < writers) {
      writing.emplace_back(
          [&, i, &size = size] { return write_text(list, *board, i, processes, size); });
    }
  }
  const ::testing::AssertionResult readers_succeeded = process::all_succeed(reading);
  board->stop = true;
  ASSERT_TRUE(readers_succeeded);
  ASSERT_TRUE(process::all_succeed(writing));

  std::int64_t loads = 0;
  std::int64_t overlapped = 0;
  std::int64_t short_values = 0;
  std::int64_t stores = 0;
  for (std::size_t i = 0; i < kReaders; ++i) {
    EXPECT_GE(board->loads[i], size.loads) << "reader " << i;
    EXPECT_GE(board->overlapped[i], kOverlappedMin) << "reader " << i;
    EXPECT_GE(board->writers_seen[i], kWritersSeenMin) << "reader " << i;
    loads += board->loads[i];
    overlapped += board->overlapped[i];
    short_values += board->short_values[i];
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(writers); ++i) {
    EXPECT_GT(board->stores[i], 0) << "writer " << i;
    stores += board->stores[i];
  }
  EXPECT_EQ(list[0].version(), static_cast<std::uint64_t>(stores));
  const process::Inspector inspector(list);
  EXPECT_EQ(inspector.claims(0), 0U);
  ATOLL_SUMMARY(
      "%d writers, %d buffers, %zu to %zu bytes: %lld stores, %lld loads and %lld of short "
      "text, %lld overtaken",
      writers, buffers, size.shortest, size.longest, static_cast<long long>(stores),
      static_cast<long long>(loads), static_cast<long long>(short_values),
      static_cast<long long>(overlapped));
}

INSTANTIATE_TEST_SUITE_P(
    All, TornText,
    ::testing::Combine(::testing::Values(2, 4, 8),
                       ::testing::Values(Size{9, 9, 16, 5'000}, Size{64, 9, 64, 5'000},
                                         Size{4096, 2049, 4096, 2'000},
                                         Size{1'000'000, 900'000, 1'000'000, 60})),
    [](const auto& param) {
      return std::to_string(std::get<0>(param.param)) + "WritersOf" +
             std::to_string(std::get<1>(param.param).capacity) + "Bytes";
    });

}  // namespace
