// What the memory orders carry from one thread to another: a plain number, written before one end of
// an edge and read after the other.
//
// On x86-64 a missing order mostly shows nothing here, for the processor keeps most of them by
// itself. A build with ThreadSanitizer knows the orders as they are written, whatever the processor,
// and reports the number as a race where one is missing. Beyond it are fences ([edge:reuse]'s
// second half), sequential consistency ([edge:wait-word]), and the instructions of the 16-byte swap.

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "atoll/atoll.h"
#include "atoll/detail/header_word.h"
#include "gtest/gtest.h"

#include "process.h"
#include "testing.h"

namespace libatoll::detail {
namespace {

constexpr std::size_t kRounds = 50;

// In each round, with a fresh `Shared`, one thread writes a number and then sends; another receives
// until that has come, and then reads the number. Nothing else orders the two.
template <typename Shared>
void expect_carried(void (*prepare)(Shared&), void (*send)(Shared&), bool (*receive)(Shared&)) {
  struct Round {
    Shared shared;
    std::uint64_t number = 0;
  };
  std::vector<Round> rounds(kRounds);
  for (Round& round : rounds) {
    prepare(round.shared);
  }
  std::thread sender([&] {
    for (Round& round : rounds) {
      round.number = 42;
      send(round.shared);
    }
  });
  std::size_t carried = 0;
  for (Round& round : rounds) {
    if (!process::wait_until([&] { return receive(round.shared); })) {
      break;
    }
    carried += round.number == 42 ? 1 : 0;
  }
  sender.join();
  EXPECT_EQ(carried, kRounds);
}

// ---- The header ---------------------------------------------------------------------------------

constexpr Word kBefore = {0, make_meta(0, Tag::kInt64)};
constexpr Word kAfter = {1, make_meta(1, Tag::kInt64)};

void prepare_header(Header& header) { initialize(header, kBefore); }
void swap_header(Header& header) {
  Word expected = kBefore;
  compare_exchange(header, expected, kAfter);
}

TEST(PublishEdge, ReachesAReader) {
  expect_carried<Header>(prepare_header, swap_header,
                         [](Header& header) { return read(header) == kAfter; });
}

TEST(PublishEdge, ReachesASwapThatSucceeds) {
  expect_carried<Header>(prepare_header, swap_header, [](Header& header) {
    Word expected = kAfter;
    return compare_exchange(header, expected, kBefore);
  });
}

TEST(PublishEdge, ReachesASwapThatFails) {
  expect_carried<Header>(prepare_header, swap_header, [](Header& header) {
    Word expected = {};
    return !compare_exchange(header, expected, {}) && expected == kAfter;
  });
}

// ---- Buffers ------------------------------------------------------------------------------------

TEST(ClaimEdge, ReachesTheNextOwner) {
  expect_carried<BufferControl>(
      [](BufferControl& control) { try_claim(control, kNoOwner, 1); }, release_claim,
      [](BufferControl& control) { return try_claim(control, kNoOwner, 2); });
}

TEST(ReuseEdge, ReachesAReaderThatBeginsWithTheNewSequence) {
  expect_carried<BufferControl>([](BufferControl&) {}, begin_overwrite,
                                [](BufferControl& control) { return begin_copy(control) == 1; });
}

// ---- Pinned payloads ----------------------------------------------------------------------------

constexpr std::int64_t kStart = 2;  // every write makes something else of it

struct PinnedWrite {
  const char* name;
  void (*send)(Header&);
};
constexpr PinnedWrite kPinnedWrites[] = {
    {"exchange", [](Header& header) { pinned_exchange<std::int64_t>(header, 1); }},
    {"fetch_add", [](Header& header) { pinned_fetch_add(header, 1); }},
    {"fetch_and", [](Header& header) { pinned_fetch_and(header, 1); }},
    {"fetch_or", [](Header& header) { pinned_fetch_or(header, 1); }},
    {"fetch_xor", [](Header& header) { pinned_fetch_xor(header, 1); }},
    {"compare_exchange",
     [](Header& header) {
       std::int64_t expected = kStart;
       pinned_compare_exchange<std::int64_t>(header, expected, 1);
     }},
    {"update",
     [](Header& header) {
       pinned_update<std::int64_t>(header, [](std::int64_t seen) { return seen + 1; });
     }},
};

struct PinnedRead {
  const char* name;
  bool (*receive)(Header&);
};
constexpr PinnedRead kPinnedReads[] = {
    {"load", [](Header& header) { return pinned_load<std::int64_t>(header) != kStart; }},
    {"read",
     [](Header& header) { return from_bits<std::int64_t>(read(header).payload) != kStart; }},
    {"exchange",
     [](Header& header) { return pinned_exchange<std::int64_t>(header, kStart) != kStart; }},
    {"fetch_add", [](Header& header) { return pinned_fetch_add(header, 0) != kStart; }},
    {"fetch_and", [](Header& header) { return pinned_fetch_and(header, -1) != kStart; }},
    {"fetch_or", [](Header& header) { return pinned_fetch_or(header, 0) != kStart; }},
    {"fetch_xor", [](Header& header) { return pinned_fetch_xor(header, 0) != kStart; }},
    {"compare_exchange that fails",
     [](Header& header) {
       std::int64_t expected = -1;
       pinned_compare_exchange(header, expected, expected);
       return expected != kStart;
     }},
};

class PinnedEdge : public testing::TestWithParam<PinnedWrite> {};

TEST_P(PinnedEdge, ReachesEveryReader) {
  for (const PinnedRead& read : kPinnedReads) {
    SCOPED_TRACE(read.name);
    expect_carried<Header>(
        [](Header& header) {
          initialize(header, {to_bits(kStart), make_meta(0, Tag::kPinnedInt64)});
        },
        GetParam().send, read.receive);
  }
}

INSTANTIATE_TEST_SUITE_P(From, PinnedEdge, testing::ValuesIn(kPinnedWrites),
                         [](const auto& param) { return std::string(param.param.name); });

// ---- The wait word ------------------------------------------------------------------------------

TEST(WaitWordEdge, ReachesAWriterFromTheWaiterThatMarked) {
  const auto mark = [](WaitWord& word) { mark_waited(word); };
  expect_carried<WaitWord>([](WaitWord&) {}, mark, [](WaitWord& word) { return is_waited(word); });
  expect_carried<WaitWord>([](WaitWord&) {}, mark, clear_waited);
}

TEST(WaitWordEdge, ReachesAWaiterFromTheWriterThatCleared) {
  expect_carried<WaitWord>([](WaitWord& word) { mark_waited(word); },
                           [](WaitWord& word) { clear_waited(word); },
                           [](WaitWord& word) { return mark_waited(word) > kWaiting; });
}

// ---- The list -----------------------------------------------------------------------------------

struct Room {
  test::Memory memory{std::size_t{16} * 1024};
};

TEST(WholeEdge, ReachesWhoAttachesToTheCallersMemory) {
  expect_carried<Room>(
      [](Room&) {},
      [](Room& room) {
        test::must(List::create_in(room.memory.span(), {7, text("longer than a header", 64)}));
      },
      [](Room& room) {
        const absl::StatusOr<List> list = List::attach_in(room.memory.span());
        return list.ok() && list->to_string() == R"(List([7, "longer than a header"]))";
      });
}

}  // namespace
}  // namespace libatoll::detail
