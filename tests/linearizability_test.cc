// The checker of histories is checked: what is linearizable passes, each kind of wrong history is
// refused, and on thousands of small random histories it says what trying every order says.

#include "linearizability.h"

#include <bitset>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "slot_model.h"

namespace {

using libatoll::Type;
using libatoll::ValueView;
using linearizability::check;
using linearizability::explain;
using linearizability::History;
using linearizability::kNever;
using linearizability::Operation;
using slot_model::Call;
using slot_model::Code;
using slot_model::Datum;
using slot_model::datum_of;
using slot_model::Kind;
using slot_model::ListModel;
using slot_model::Mark;
using slot_model::mark_of;
using slot_model::Response;
using slot_model::SlotModel;
using slot_model::SlotState;

constexpr SlotModel kVersioned = {.capacity = 64};
constexpr SlotModel kPinned = {.pinned = true, .pinned_type = Type::kInt64, .capacity = 0};

Datum data(const ValueView& value) { return datum_of(value); }

// ---- Calls and responses ------------------------------------------------------------------------

Call load() { return {.kind = Kind::kLoad}; }
Call store(const ValueView& value) { return {.kind = Kind::kStore, .desired = data(value)}; }
Call exchange(const ValueView& value) { return {.kind = Kind::kExchange, .desired = data(value)}; }
Call fetch_add(std::int64_t operand) {
  return {.kind = Kind::kFetchAdd, .desired = datum_of(operand)};
}
Call load_stamped() { return {.kind = Kind::kLoadStamped}; }
Call compare_exchange(const ValueView& expected, const ValueView& desired) {
  return {.kind = Kind::kCompareExchange, .desired = data(desired), .expected = data(expected)};
}
Call compare_exchange(const Mark& stamp, const ValueView& desired) {
  return {.kind = Kind::kCompareExchangeStamp, .desired = data(desired), .mark = stamp};
}

Response done() { return {}; }
Response gives(const ValueView& value) { return {.value = data(value)}; }
Response gives(const ValueView& value, std::uint64_t version) {
  return {.value = data(value), .mark = mark_of(version, data(value))};
}
Response swaps(bool swapped) { return {.swapped = swapped}; }
Response swaps(bool swapped, std::uint64_t version, const ValueView& value) {
  return {.swapped = swapped, .mark = mark_of(version, data(value))};
}
Response fails(Code code) { return {.code = code}; }
Response wrong_type(Type found) {
  return {.code = Code::kFailedPrecondition, .value = {.type = found}};
}

template <typename Model = SlotModel>
Operation<Model> at(std::int64_t called, std::int64_t returned, int process, const Call& call,
                    const Response& response) {
  return {.process = process,
          .call = call,
          .called = called,
          .returned = returned,
          .response = response};
}
// Its process was killed.
Operation<SlotModel> pending(std::int64_t called, int process, const Call& call) {
  return {.process = process, .call = call, .called = called};
}

SlotState holding(const ValueView& value, std::uint64_t version = 0) {
  return {.value = data(value), .version = version};
}

::testing::AssertionResult linearizable(const SlotState& initial, const History<SlotModel>& history,
                                        const SlotModel& model = kVersioned) {
  const linearizability::Verdict verdict = check(model, initial, history);
  if (!verdict.linearizable) {
    return ::testing::AssertionFailure() << explain(model, initial, history);
  }
  // The order that it names must explain the history when it is followed.
  SlotState state = initial;
  for (const std::size_t i : verdict.order) {
    const Response response = model.apply(state, history[i].call);
    if (!history[i].is_pending() && response != history[i].response) {
      return ::testing::AssertionFailure() << "the order named is none, at operation " << i;
    }
  }
  return ::testing::AssertionSuccess() << "linearizable";
}

const std::string& text(int which) {
  static const std::array<std::string, 3> kTexts = {std::string(30, 'a'), std::string(30, 'b'),
                                                    std::string(15, 'a') + std::string(15, 'b')};
  return kTexts[static_cast<std::size_t>(which)];
}

// ---- Histories that are right -------------------------------------------------------------------

TEST(Linearizability, AcceptsNothing) { EXPECT_TRUE(linearizable(holding(0), {})); }

TEST(Linearizability, AcceptsOneAfterTheOther) {
  EXPECT_TRUE(linearizable(holding(0), {
                                           at(0, 1, 1, load(), gives(0)),
                                           at(2, 3, 2, store("text"), done()),
                                           at(4, 5, 1, exchange(1.5), gives("text")),
                                           at(6, 7, 2, load_stamped(), gives(1.5, 2)),
                                       }));
}

TEST(Linearizability, AcceptsEitherOrderOfWhatOverlaps) {
  for (const int seen : {0, 1}) {
    EXPECT_TRUE(linearizable(holding(0), {
                                             at(0, 10, 1, store(1), done()),
                                             at(2, 8, 2, load(), gives(seen)),
                                         }));
  }
}

TEST(Linearizability, AcceptsAnOrderThatIsNotThatOfTheCalls) {
  // The store called last took effect first, and the one called first last.
  EXPECT_TRUE(linearizable(holding(0), {
                                           at(0, 100, 1, exchange(1), gives(3)),
                                           at(10, 90, 2, exchange(2), gives(0)),
                                           at(20, 80, 3, exchange(3), gives(2)),
                                           at(101, 102, 1, load(), gives(1)),
                                       }));
}

TEST(Linearizability, TakesEqualMomentsForOverlap) {
  EXPECT_TRUE(linearizable(holding(0), {
                                           at(0, 5, 1, store(1), done()),
                                           at(5, 6, 2, load(), gives(0)),
                                       }));
}

// ---- Histories that are wrong -------------------------------------------------------------------

TEST(Linearizability, RefusesAStaleRead) {
  EXPECT_FALSE(linearizable(holding(0), {
                                            at(0, 5, 1, store(1), done()),
                                            at(6, 7, 2, load(), gives(0)),
                                        }));
}

TEST(Linearizability, RefusesNewThenOld) {
  // While a store is under way, one reader has seen it, and a later one has not.
  const auto history = [](int first, int second) {
    return History<SlotModel>{
        at(0, 100, 1, store(1), done()),
        at(10, 20, 2, load(), gives(first)),
        at(30, 40, 3, load(), gives(second)),
    };
  };
  EXPECT_TRUE(linearizable(holding(0), history(0, 0)));
  EXPECT_TRUE(linearizable(holding(0), history(0, 1)));
  EXPECT_TRUE(linearizable(holding(0), history(1, 1)));
  EXPECT_FALSE(linearizable(holding(0), history(1, 0)));
}

TEST(Linearizability, RefusesALostUpdate) {
  EXPECT_FALSE(linearizable(holding(0), {
                                            at(0, 10, 1, fetch_add(1), gives(0)),
                                            at(1, 11, 2, fetch_add(1), gives(0)),
                                        }));
  EXPECT_FALSE(linearizable(holding(0), {
                                            at(0, 10, 1, fetch_add(1), gives(0)),
                                            at(1, 11, 2, fetch_add(1), gives(1)),
                                            at(12, 13, 1, load(), gives(1)),
                                        }));
  // Both acknowledged, one version.
  EXPECT_FALSE(linearizable(holding(0, 7), {
                                               at(0, 10, 1, store(1), done()),
                                               at(1, 11, 2, store(1), done()),
                                               at(12, 13, 1, load_stamped(), gives(1, 8)),
                                           }));
}

TEST(Linearizability, RefusesATornValue) {
  const auto history = [](int seen) {
    return History<SlotModel>{
        at(0, 10, 1, store(text(0)), done()),
        at(1, 11, 2, store(text(1)), done()),
        at(2, 12, 3, load(), gives(text(seen))),
    };
  };
  EXPECT_TRUE(linearizable(holding(0), history(0)));
  EXPECT_TRUE(linearizable(holding(0), history(1)));
  EXPECT_FALSE(linearizable(holding(0), history(2)));
  // The number of one value with the type of the other.
  EXPECT_FALSE(
      linearizable(holding(0), {
                                   at(0, 10, 1, store(1), done()),
                                   at(1, 11, 2, store(2.0), done()),
                                   {.process = 3,
                                    .call = load(),
                                    .called = 2,
                                    .returned = 12,
                                    .response = {.value = {.type = Type::kDouble, .bits = 1}}},
                               }));
}

TEST(Linearizability, RefusesAValueOutOfThinAir) {
  EXPECT_FALSE(linearizable(holding(0), {
                                            at(0, 10, 1, store(1), done()),
                                            at(1, 9, 2, load(), gives(42)),
                                        }));
  EXPECT_FALSE(linearizable(holding(0), {at(0, 10, 1, load(), gives("0"))}));
}

TEST(Linearizability, RefusesAnOrderAgainstTime) {
  EXPECT_FALSE(linearizable(holding(0), {
                                            at(0, 5, 1, store(1), done()),
                                            at(6, 9, 2, store(2), done()),
                                            at(10, 11, 1, load(), gives(1)),
                                        }));
  // A value that is read before its store is called.
  EXPECT_FALSE(linearizable(holding(0), {
                                            at(0, 5, 1, load(), gives(1)),
                                            at(6, 9, 2, store(1), done()),
                                        }));
}

TEST(Linearizability, RefusesAVersionThatJumpsOrStays) {
  for (const std::uint64_t version : {0U, 1U, 3U}) {
    EXPECT_FALSE(linearizable(holding(0), {
                                              at(0, 1, 1, store(1), done()),
                                              at(2, 3, 1, store(2), done()),
                                              at(4, 5, 1, load_stamped(), gives(2, version)),
                                          }));
  }
}

// ---- Operations that never returned -------------------------------------------------------------

TEST(Linearizability, APendingWriteMayHaveHappenedOrNot) {
  for (const int seen : {0, 1}) {
    EXPECT_TRUE(linearizable(holding(0), {
                                             pending(0, 1, store(1)),
                                             at(10, 11, 2, load(), gives(seen)),
                                         }));
  }
  // It may also happen late: a claim of a dead process is no bound in time.
  EXPECT_TRUE(linearizable(holding(0), {
                                           pending(0, 1, store(1)),
                                           at(10, 11, 2, load(), gives(0)),
                                           at(12, 13, 2, load(), gives(1)),
                                       }));
}

TEST(Linearizability, APendingWriteHappensOnceAndNotBeforeItsCall) {
  EXPECT_FALSE(linearizable(holding(0), {
                                            pending(0, 1, store(1)),
                                            at(10, 11, 2, load(), gives(1)),
                                            at(12, 13, 2, load(), gives(0)),
                                        }));
  EXPECT_FALSE(linearizable(holding(0), {
                                            pending(0, 1, fetch_add(1)),
                                            at(10, 11, 2, load(), gives(2)),
                                        }));
  EXPECT_FALSE(linearizable(holding(0), {
                                            at(0, 5, 2, load(), gives(1)),
                                            pending(6, 1, store(1)),
                                        }));
  EXPECT_FALSE(linearizable(holding(0), {
                                            pending(0, 1, store(text(0))),
                                            pending(1, 2, store(text(1))),
                                            at(10, 11, 3, load(), gives(text(2))),
                                        }));
}

TEST(Linearizability, OfSeveralPendingWritesAnyMayHaveHappened) {
  for (int seen = 0; seen < 8; ++seen) {
    EXPECT_TRUE(linearizable(holding(0),
                             {
                                 pending(0, 1, fetch_add(1)),
                                 pending(1, 2, fetch_add(2)),
                                 pending(2, 3, fetch_add(4)),
                                 at(10, 11, 4, load(), gives(seen)),
                             }))
        << seen;
  }
}

TEST(Linearizability, APendingOperationHidesNoLostUpdate) {
  EXPECT_FALSE(linearizable(holding(0), {
                                            pending(0, 1, load()),
                                            at(0, 10, 2, fetch_add(1), gives(0)),
                                            at(1, 11, 3, fetch_add(1), gives(0)),
                                        }));
}

// ---- The slot -----------------------------------------------------------------------------------

TEST(Linearizability, StampsAreNotFooledByAValueThatCameBack) {
  const Mark stamp = mark_of(0, data(5));
  const auto history = [](const Call& call, const Response& response) {
    return History<SlotModel>{
        at(0, 1, 1, store(6), done()),
        at(2, 3, 1, store(5), done()),
        at(4, 5, 2, call, response),
    };
  };
  EXPECT_TRUE(linearizable(holding(5), history(compare_exchange(stamp, 7), swaps(false, 2, 5))));
  EXPECT_FALSE(linearizable(holding(5), history(compare_exchange(stamp, 7), swaps(true, 3, 7))));
  EXPECT_TRUE(linearizable(holding(5), history(compare_exchange(5, 7), swaps(true))));
  EXPECT_FALSE(linearizable(holding(5), history(compare_exchange(5, 7), swaps(false))));
  // A pinned slot compares by value.
  EXPECT_TRUE(
      linearizable(holding(5), history(compare_exchange(stamp, 7), swaps(true, 0, 7)), kPinned));
}

TEST(Linearizability, TheErrorIsPartOfTheResponse) {
  EXPECT_TRUE(linearizable(holding("text"), {at(0, 1, 1, fetch_add(1), wrong_type(Type::kText))}));
  EXPECT_FALSE(linearizable(holding("text"), {at(0, 1, 1, fetch_add(1), wrong_type(Type::kBool))}));
  EXPECT_FALSE(linearizable(holding("text"), {at(0, 1, 1, fetch_add(1), gives(0))}));
  EXPECT_FALSE(linearizable(holding(1), {at(0, 1, 1, fetch_add(1), wrong_type(Type::kText))}));
  // With a change of type under way, both answers are right.
  for (const bool failed : {false, true}) {
    EXPECT_TRUE(linearizable(
        holding(1), {at(0, 9, 1, store("text"), done()),
                     at(1, 8, 2, fetch_add(1), failed ? wrong_type(Type::kText) : gives(1))}));
  }
}

TEST(Linearizability, WhatFailsChangesNothing) {
  const std::string too_long(65, 'x');
  EXPECT_TRUE(
      linearizable(holding(1), {
                                   at(0, 1, 1, store(too_long), fails(Code::kResourceExhausted)),
                                   at(2, 3, 1, load_stamped(), gives(1, 0)),
                               }));
  EXPECT_FALSE(linearizable(holding(1), {at(0, 1, 1, store(too_long), done())}));
  EXPECT_FALSE(
      linearizable(holding(1), {
                                   at(0, 1, 1, store(too_long), fails(Code::kResourceExhausted)),
                                   at(2, 3, 1, load_stamped(), gives(1, 1)),
                               }));
  EXPECT_FALSE(
      linearizable(holding(1), {at(0, 1, 1, store(text(0)), fails(Code::kDeadlineExceeded))}));
}

TEST(Linearizability, KnowsPinnedSlots) {
  EXPECT_TRUE(linearizable(holding(1),
                           {
                               at(0, 1, 1, store("text"), fails(Code::kFailedPrecondition)),
                               at(2, 3, 1, exchange(3), gives(1)),
                               at(4, 5, 1, compare_exchange("text", 4), swaps(false)),
                               at(6, 7, 1, load_stamped(), gives(3, 0)),
                           },
                           kPinned));
  EXPECT_FALSE(linearizable(holding(1), {at(0, 1, 1, store("text"), done())}, kPinned));
}

TEST(Linearizability, KnowsTheOtherOperations) {
  const auto after = [](const Call& call, const Response& response, const ValueView& value) {
    return linearizable(holding(12, 3), {
                                            at(0, 1, 1, call, response),
                                            at(2, 3, 1, load(), gives(value)),
                                        });
  };
  const auto fetch = [](Kind kind, std::int64_t operand) {
    return Call{.kind = kind, .desired = datum_of(operand)};
  };
  EXPECT_TRUE(after(fetch(Kind::kFetchSub, 5), gives(12), 7));
  EXPECT_TRUE(after(fetch(Kind::kFetchAnd, 10), gives(12), 8));
  EXPECT_TRUE(after(fetch(Kind::kFetchOr, 3), gives(12), 15));
  EXPECT_TRUE(after(fetch(Kind::kFetchXor, 5), gives(12), 9));
  EXPECT_TRUE(after(fetch(Kind::kFetchMin, 5), gives(12), 5));
  EXPECT_TRUE(after(fetch(Kind::kFetchMax, 50), gives(12), 50));
  EXPECT_TRUE(after({.kind = Kind::kUpdate}, gives(37), 37));
  EXPECT_TRUE(after({.kind = Kind::kType}, {.value = {.type = Type::kInt64}}, 12));
  EXPECT_TRUE(after({.kind = Kind::kVersion}, {.mark = {.version = 3}}, 12));
  EXPECT_TRUE(after({.kind = Kind::kStamp}, {.mark = mark_of(3, data(12))}, 12));
  EXPECT_TRUE(after({.kind = Kind::kWait, .mark = mark_of(3, data(12))},
                    fails(Code::kDeadlineExceeded), 12));
  EXPECT_TRUE(after({.kind = Kind::kWait, .mark = mark_of(2, data(12))},
                    {.mark = mark_of(3, data(12))}, 12));
  EXPECT_FALSE(after({.kind = Kind::kWait, .mark = mark_of(2, data(12))},
                     fails(Code::kDeadlineExceeded), 12));
  EXPECT_TRUE(after({.kind = Kind::kLoadAs, .type = Type::kInt64}, gives(12), 12));
  EXPECT_TRUE(after({.kind = Kind::kLoadInto, .room = 9}, wrong_type(Type::kInt64), 12));
  EXPECT_FALSE(after(fetch(Kind::kFetchXor, 5), gives(12), 8));
}

TEST(Linearizability, SnapshotsSpanSlots) {
  const ListModel model = {.slots = {kVersioned, kVersioned, kVersioned}};
  const ListModel::State initial = {.slots = {holding(0), holding(0), holding(0)}};
  const auto history = [](int first, int second) {
    const auto on = [](std::uint8_t slot, Call call) {
      call.slot = slot;
      return call;
    };
    return History<ListModel>{
        at<ListModel>(0, 1, 1, on(0, store(1)), done()),
        at<ListModel>(2, 3, 1, on(1, store(1)), done()),
        at<ListModel>(0, 9, 2, {.kind = Kind::kSnapshot},
                      {.all = {data(first), data(second), data(0)}}),
    };
  };
  EXPECT_TRUE(check(model, initial, history(0, 0)).linearizable);
  EXPECT_TRUE(check(model, initial, history(1, 0)).linearizable);
  EXPECT_TRUE(check(model, initial, history(1, 1)).linearizable);
  // Either value was there during the call, both together were not.
  EXPECT_FALSE(check(model, initial, history(0, 1)).linearizable);
}

// ---- The checker itself -------------------------------------------------------------------------

TEST(Linearizability, SaysWhatIsWrongInTheShortestBeginning) {
  const std::string said = explain(kVersioned, holding(0),
                                   {
                                       at(100, 105, 1, store(1), done()),
                                       at(106, 107, 2, load(), gives(0)),
                                       at(108, 110, 2, store("later"), done()),
                                       pending(101, 3, fetch_add(1)),
                                   });
  EXPECT_NE(said.find("process 1  [0, 5]  slot 0: store(1)"), said.npos) << said;
  EXPECT_NE(said.find("[6, 7]  slot 0: load() -> 0   <- the last"), said.npos) << said;
  EXPECT_NE(said.find("fetch_add(1) has not returned"), said.npos) << said;
  EXPECT_EQ(said.find("later"), said.npos) << said;
}

TEST(Linearizability, RefusesToGuessAboutLongHistories) {
  History<SlotModel> history;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(linearizability::kOperationsMax); ++i) {
    history.push_back(at(2 * i, 2 * i + 1, 1, fetch_add(1), gives(i)));
  }
  EXPECT_TRUE(linearizable(holding(0), history));
  history.push_back(at(1000, 1001, 1, load(), gives(256)));
  EXPECT_THROW(check(kVersioned, holding(0), history), std::length_error);
}

TEST(Linearizability, RemembersWhatItHasTried) {
  // 16 increments at once and a load that none of their 16! orders explains: 2^16 sets are enough.
  History<SlotModel> history;
  for (int i = 0; i < 16; ++i) {
    history.push_back(at(i, 100 + i, i, fetch_add(0), gives(0)));
  }
  history.push_back(at(200, 201, 1, load(), gives(1)));
  const linearizability::Verdict verdict = check(kVersioned, holding(0), history);
  EXPECT_FALSE(verdict.linearizable);
  EXPECT_LE(verdict.configurations, std::size_t{1} << 16);
}

// Tries every order that time allows.
bool has_order(const SlotModel& model, const SlotState& state, const History<SlotModel>& history,
               std::bitset<16> placed = {}) {
  bool complete = true;
  for (std::size_t i = 0; i < history.size(); ++i) {
    complete &= placed[i] || history[i].is_pending();
  }
  if (complete) {
    return true;
  }
  for (std::size_t i = 0; i < history.size(); ++i) {
    bool may_be_next = !placed[i];
    for (std::size_t j = 0; j < history.size(); ++j) {
      may_be_next &= placed[j] || history[j].returned >= history[i].called;
    }
    if (!may_be_next) {
      continue;
    }
    SlotState next = state;
    const Response response = model.apply(next, history[i].call);
    if ((history[i].is_pending() || response == history[i].response) &&
        has_order(model, next, history, std::bitset<16>(placed).set(i))) {
      return true;
    }
  }
  return false;
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  int below(int bound) {
    state_ += 0x9e37'79b9'7f4a'7c15;
    return static_cast<int>(process::mix(state_) % static_cast<std::uint64_t>(bound));
  }

 private:
  std::uint64_t state_;
};

Call random_call(Random& random, std::uint64_t version) {
  const int value = random.below(3);
  switch (random.below(7)) {
    case 0:
      return load();
    case 1:
      return random.below(4) == 0 ? store("text") : store(value);
    case 2:
      return exchange(value);
    case 3:
      return fetch_add(value);
    case 4:
      return load_stamped();
    case 5:
      return compare_exchange(value, random.below(3));
    default:
      return compare_exchange(
          mark_of(version + static_cast<std::uint64_t>(random.below(2)), data(value)),
          random.below(3));
  }
}

TEST(Linearizability, AgreesWithTryingEveryOrder) {
  constexpr int kHistories = 20'000;
  Random random(20'26);
  int accepted = 0;
  int refused = 0;
  for (int round = 0; round < kHistories; ++round) {
    // What really happened: operations one after the other, each within a random interval.
    History<SlotModel> history;
    SlotState state = holding(random.below(3));
    const SlotState initial = state;
    std::array<std::int64_t, 4> free_from = {};
    const int operations = 3 + random.below(5);
    for (int i = 0; i < operations; ++i) {
      const auto process = static_cast<std::size_t>(random.below(4));
      const std::int64_t moment = std::int64_t{100} * (i + 1);
      if (free_from[process] >= moment) {
        continue;
      }
      const Call call = random_call(random, state.version);
      Operation<SlotModel> operation = {
          .process = static_cast<int>(process),
          .call = call,
          .called = std::max(free_from[process] + 1, moment - random.below(300)),
          .returned = moment + random.below(300)};
      free_from[process] = operation.returned;
      if (random.below(8) == 0) {
        // Killed before or after its effect.
        free_from[process] = kNever;
        operation.returned = kNever;
        if (random.below(2) == 0) {
          kVersioned.apply(state, call);
        }
      } else {
        operation.response = kVersioned.apply(state, call);
      }
      history.push_back(operation);
    }
    ASSERT_TRUE(linearizable(initial, history));
    ASSERT_TRUE(has_order(kVersioned, initial, history));
    // And then something is wrong, or still right.
    Operation<SlotModel>& changed =
        history[static_cast<std::size_t>(random.below(static_cast<int>(history.size())))];
    switch (random.below(4)) {
      case 0:
        changed.response.value = datum_of(std::int64_t{random.below(3)});
        break;
      case 1:
        changed.response.swapped = !changed.response.swapped;
        break;
      case 2:
        changed.response.mark.version += static_cast<std::uint64_t>(random.below(2));
        break;
      default:
        if (!changed.is_pending()) {
          changed.called -= random.below(200);
          changed.returned = changed.called + random.below(200);
        }
        break;
    }
    const bool right = has_order(kVersioned, initial, history);
    ASSERT_EQ(check(kVersioned, initial, history).linearizable, right)
        << "round " << round << '\n'
        << explain(kVersioned, initial, history);
    ++(right ? accepted : refused);
  }
  EXPECT_GT(accepted, kHistories / 10);
  EXPECT_GT(refused, kHistories / 10);
  ATOLL_SUMMARY("%d random histories: %d linearizable, %d not, as trying every order says",
                kHistories, accepted, refused);
}

}  // namespace
