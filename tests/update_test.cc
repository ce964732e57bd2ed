// update(fn): plain values and StatusOr, refusal, the bound, changes of type; and updates by many
// processes at once add up.

#include "process.h"

namespace {

using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using libatoll::Value;
using process::Child;
using process::must;
using process::Shared;

constexpr std::size_t kCapacity = 40;

std::int64_t number(const Value& value) { return std::get<std::int64_t>(value); }

class Update : public ::testing::TestWithParam<Layout> {
 protected:
  List list_ =
      must(List::create_anonymous({5, libatoll::text("text of some length", kCapacity),
                                   libatoll::pinned(5), libatoll::pinned(0.5), true, nullptr},
                                  {.layout = GetParam()}));
};

TEST_P(Update, ReturnsTheNewValue) {
  EXPECT_EQ(must(list_[0].update([](const Value& seen) { return number(seen) * 2; })), Value(10));
  EXPECT_EQ(must(list_[0].load<std::int64_t>()), 10);
  EXPECT_EQ(list_[0].version(), 1U);
  EXPECT_EQ(must(list_[1].update(
                [](const Value& seen) { return std::get<std::string>(seen) + ", more"; })),
            Value("text of some length, more"));
  EXPECT_EQ(must(list_[1].load<std::string>()), "text of some length, more");
  EXPECT_EQ(must(list_[2].update([](const Value& seen) { return number(seen) + 1; })), Value(6));
  EXPECT_EQ(must(list_[2].load<std::int64_t>()), 6);
  EXPECT_EQ(must(list_[3].update([](const Value& seen) { return std::get<double>(seen) / 2; })),
            Value(0.25));
  EXPECT_EQ(must(list_[4].update([](const Value& seen) { return !std::get<bool>(seen); })),
            Value(false));
  EXPECT_EQ(list_[4].version(), 1U);
}

TEST_P(Update, TakesWhatConvertsToAValue) {
  const Slot slot = list_[1];
  EXPECT_EQ(must(slot.update([](const Value&) { return 7; })), Value(7));
  EXPECT_EQ(must(slot.update([](const Value&) { return "literal"; })), Value("literal"));
  EXPECT_EQ(must(slot.update([](const Value&) { return Value(1.5); })), Value(1.5));
  EXPECT_EQ(must(slot.update([](const Value&) { return libatoll::Bytes("\0", 1); })),
            Value(libatoll::Bytes("\0", 1)));
  EXPECT_EQ(must(slot.update([](const Value&) { return absl::StatusOr<Value>(true); })),
            Value(true));
  EXPECT_EQ(must(slot.update([](const Value&) { return std::monostate(); })), Value());
  EXPECT_EQ(slot.version(), 6U);
}

TEST_P(Update, ChangesTheType) {
  const Slot slot = list_[1];
  const std::array<Value, 5> chain = {Value(1), Value(std::string(kCapacity, 'x')), Value(2.0),
                                      Value(libatoll::Bytes("\1\2\3\4\5\6\7\10\11", 9)), Value()};
  Value expected = must(slot.load());
  for (const Value& next : chain) {
    EXPECT_EQ(must(slot.update([&](const Value& seen) {
                EXPECT_EQ(seen, expected);
                return next;
              })),
              next);
    EXPECT_EQ(must(slot.load()), next);
    expected = next;
  }
}

TEST_P(Update, AnEqualValueIsAWriteToo) {
  EXPECT_EQ(must(list_[0].update([](const Value& seen) { return seen; })), Value(5));
  EXPECT_EQ(list_[0].version(), 1U);
}

TEST_P(Update, MayRefuse) {
  for (const Slot slot : list_) {
    const libatoll::Stamp before = slot.stamp();
    int calls = 0;
    const absl::StatusOr<Value> refused = slot.update([&](const Value&) -> absl::StatusOr<Value> {
      ++calls;
      return absl::CancelledError("not today");
    });
    EXPECT_EQ(refused.status(), absl::CancelledError("not today"));
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(slot.stamp(), before);
  }
}

// `fn` itself writes in between, so every attempt is lost.
TEST_P(Update, GivesUpAfterSoManyAttempts) {
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
    const Slot slot = list_[index];
    for (const std::uint64_t bound : {1U, 2U, 7U}) {
      std::uint64_t calls = 0;
      const absl::StatusOr<Value> result = slot.update(
          [&](const Value&) {
            must(slot.store(static_cast<std::int64_t>(1000 * bound + ++calls)));
            return -1;
          },
          bound);
      EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded) << result.status();
      EXPECT_NE(result.status().message().find(std::to_string(bound) + " attempts"),
                absl::string_view::npos)
          << result.status();
      EXPECT_NE(result.status().message().find("slot " + std::to_string(index)),
                absl::string_view::npos);
      EXPECT_EQ(calls, bound);
      EXPECT_EQ(must(slot.load<std::int64_t>()), static_cast<std::int64_t>(1000 * bound + bound));
    }
  }
}

TEST_P(Update, TheLastAttemptCounts) {
  const Slot slot = list_[1];
  int calls = 0;
  const Value updated = must(slot.update(
      [&](const Value& seen) -> Value {
        if (++calls < 5) {
          must(slot.store(std::string(20, static_cast<char>('a' + calls))));
          return "lost";
        }
        EXPECT_EQ(seen, Value(std::string(20, 'e'))) << "not the value of the last write";
        return std::get<std::string>(seen) + "!";
      },
      5));
  EXPECT_EQ(updated, Value(std::string(20, 'e') + "!"));
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(slot.version(), 5U);
}

// A value equal to the one that `fn` saw was written in between: a new attempt nevertheless.
TEST_P(Update, IsNotFooledByAnEqualValue) {
  for (const std::size_t index : {std::size_t{0}, std::size_t{1}}) {
    int calls = 0;
    must(list_[index].update([&](const Value& seen) {
      if (++calls == 1) {
        must(list_[index].store(seen));
      }
      return seen;
    }));
    EXPECT_EQ(calls, 2);
  }
}

TEST_P(Update, NoAttemptAtAll) {
  EXPECT_EQ(list_[0]
                .update(
                    [](const Value&) {
                      ADD_FAILURE() << "called";
                      return 0;
                    },
                    0)
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
}

TEST_P(Update, WhatCannotBeStoredChangesNothing) {
  const auto refused = [](const Slot& slot, const Value& desired, absl::StatusCode code) {
    const libatoll::Stamp before = slot.stamp();
    EXPECT_EQ(slot.update([&](const Value&) { return desired; }).status().code(), code);
    EXPECT_EQ(slot.stamp(), before);
  };
  refused(list_[0], std::string(9, 'x'), absl::StatusCode::kResourceExhausted);
  refused(list_[1], std::string(kCapacity + 1, 'x'), absl::StatusCode::kResourceExhausted);
  refused(list_[2], "text", absl::StatusCode::kFailedPrecondition);
  refused(list_[3], 1, absl::StatusCode::kFailedPrecondition);

  const List reader = must(List::attach_fd(list_.fd(), {.read_only = true}));
  EXPECT_EQ(reader[0]
                .update([](const Value&) {
                  ADD_FAILURE() << "called, though nothing can be stored";
                  return 0;
                })
                .status()
                .code(),
            absl::StatusCode::kPermissionDenied);
}

// ---- Many processes -----------------------------------------------------------------------------

constexpr int kProcesses = 4;
constexpr std::int64_t kUpdates = 4000;

struct Board {
  process::StartLine start;
  std::array<std::atomic<std::int64_t>, kProcesses> repeated;
};

// A number in a text slot, written as text that is now short enough for the header, now not.
std::string as_text(std::int64_t value) {
  std::string text = std::to_string(value);
  if (value % 3 != 0) {
    text.insert(0, kCapacity - text.size(), '0');
  }
  return text;
}

TEST_P(Update, ByManyProcessesAddsUp) {
  must(list_[1].store(as_text(0)));
  must(list_[0].store(0));
  must(list_[2].store(0));
  const Shared<Board> board;
  std::vector<Child> children;
  for (int self = 0; self < kProcesses; ++self) {
    children.emplace_back([&, self] {
      board->start.wait(kProcesses);
      std::int64_t calls = 0;
      for (std::int64_t i = 0; i < kUpdates; ++i) {
        must(list_[1].update([&](const Value& seen) {
          if (++calls % 16 == 0) {
            sched_yield();  // so that others come between on one processor too
          }
          return as_text(std::stoll(std::get<std::string>(seen)) + 1);
        }));
        for (const std::size_t index : {std::size_t{0}, std::size_t{2}}) {
          must(list_[index].update([](const Value& seen) { return number(seen) + 1; }));
        }
      }
      board->repeated[static_cast<std::size_t>(self)] = calls - kUpdates;
      return 0;
    });
  }
  ASSERT_TRUE(process::all_succeed(children));
  constexpr std::int64_t kTotal = kProcesses * kUpdates;
  EXPECT_EQ(std::stoll(must(list_[1].load<std::string>())), kTotal);
  EXPECT_EQ(list_[1].version(), static_cast<std::uint64_t>(kTotal) + 1);
  EXPECT_EQ(must(list_[0].load<std::int64_t>()), kTotal);
  EXPECT_EQ(must(list_[2].load<std::int64_t>()), kTotal);
  std::int64_t repeated = 0;
  for (const auto& each : board->repeated) {
    repeated += each;
  }
  EXPECT_GT(repeated, 0) << "no update ever met another";
  ATOLL_SUMMARY("%s: %d processes, %lld updates of text and of two numbers, fn ran %lld times more",
                process::layout_name(GetParam()), kProcesses, static_cast<long long>(kTotal),
                static_cast<long long>(repeated));
}

INSTANTIATE_TEST_SUITE_P(All, Update, ::testing::Values(Layout::kPadded, Layout::kDense),
                         [](const auto& param) { return process::layout_name(param.param); });

}  // namespace
