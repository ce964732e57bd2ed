// Sequences of operations on a list, step by step against a plain model: answers, status codes, types,
// values and versions are compared after every step. tests/slot_model.h says what one slot does; what
// operations of a whole list answer is worked out here from the values.

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "atoll/atoll.h"

#include "input.h"
#include "operations.h"

namespace {

using namespace fuzz;  // NOLINT: the harness is written in its words
using slot_model::SlotModel;
using slot_model::SlotState;

constexpr std::size_t kStepsMax = 200;

Tally steps("steps");
Tally refusals("steps refused");
Tally swaps("exchanges that found what they expected");
Tally misses("exchanges that did not");
Tally long_texts("values of more than eight bytes seen");
Tally pinned_steps("steps on pinned slots");
Tally wholes("operations of the whole list");
Tally attachments("further attachments");
Tally read_only("writes refused by a read-only attachment");

// One NaN, as far as answers are concerned.
Datum plain(Datum datum) {
  if (datum.type == Type::kDouble && std::isnan(datum.real())) {
    datum.bits = datum_of(std::numeric_limits<double>::quiet_NaN()).bits;
  }
  return datum;
}
Mark plain(Mark mark) { return {mark.version, plain(mark.value)}; }

void expect_same(const Step& step, const Response& found, const Response& expected) {
  const bool same = found.code == expected.code &&
                    (found.code != Code::kOk || (found.swapped == expected.swapped &&
                                                 plain(found.value) == plain(expected.value) &&
                                                 plain(found.mark) == plain(expected.mark)));
  ATOLL_CHECK(same) << step.call << " answers " << found << ", expected " << expected;
}

class Game {
 public:
  explicit Game(Input& input)
      : input_(input),
        plan_(draw_plan(input)),
        player_(plan_.values.size(), input),
        memory_(process::must(List::bytes_needed(plan_.values, plan_.options))) {
    lists_.push_back(process::must(List::create_in(memory_.span(), plan_.values, plan_.options)));
    for (const Init& init : plan_.values) {
      const ValueView value = init.value();
      const std::size_t bytes = init.capacity().value_or(value.contents().size());
      slots_.push_back({.model = {.pinned = init.is_pinned(),
                                  .pinned_type = value.type(),
                                  .capacity = std::max<std::size_t>((bytes + 7) / 8 * 8, 8)},
                        .state = {.value = datum_of(value)},
                        .value = init.value()});
    }
    compare();
  }

  void play() {
    for (std::size_t step = 0; step < kStepsMax && !input_.is_empty(); ++step) {
      input_.below(4) != 0 ? play_slot() : play_list();
      compare();
      steps.add();
    }
  }

 private:
  struct Known {
    SlotModel model;
    SlotState state;
    Value value;  // what `state` stands for, in full
  };

  const List& list() const { return lists_.back(); }

  void play_slot() {
    const Step step = player_.draw();
    Known& slot = slots_[step.call.slot];
    const Response expected = slot.model.apply(slot.state, step.call);
    const Response found = player_.take(list(), step);
    expect_same(step, found, expected);
    refusals.add(found.code != Code::kOk);
    pinned_steps.add(slot.model.pinned);
    if (step.call.kind == Kind::kCompareExchange || step.call.kind == Kind::kCompareExchangeStamp) {
      (found.swapped ? swaps : misses).add();
    }
  }

  // Every slot is what the model says.
  void compare() {
    ATOLL_CHECK(list().size() == slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      Known& known = slots_[i];
      const Slot slot = list()[i];
      const libatoll::StampedValue seen = process::must(slot.load_stamped());
      const Datum datum = datum_of(seen.value);
      ATOLL_CHECK(plain(datum) == plain(known.state.value))
          << "slot " << i << " holds " << datum << ", expected " << known.state;
      known.state.value = datum;  // the very NaN
      known.value = seen.value;
      ATOLL_CHECK(mark_of(seen.stamp) == mark_of(known.state.version, datum)) << "slot " << i;
      ATOLL_CHECK(slot.version() == known.state.version);
      ATOLL_CHECK(process::must(slot.type()) == datum.type);
      ATOLL_CHECK(slot.is_pinned() == known.model.pinned);
      ATOLL_CHECK(slot.index() == i);
      ATOLL_CHECK(process::must(slot.capacity()) ==
                  (known.model.pinned ? 0 : known.model.capacity));
      long_texts.add(datum.is_long());
    }
  }

  // ---- Operations of the whole list ----

  void play_list() {
    wholes.add();
    switch (input_.below(9)) {
      case 0:
        return count_and_index();
      case 1:
        return show();
      case 2:
        return snapshot();
      case 3:
        return load_range<std::int64_t>();
      case 4:
        return load_range<double>();
      case 5:
        return store_range<std::int64_t>();
      case 6:
        return store_range<double>();
      case 7:
        return find_slots();
      default:
        return attach();
    }
  }

  void count_and_index() {
    const Value value =
        input_.flip() ? slots_[input_.below(slots_.size())].value : draw_value(input_);
    std::size_t count = 0;
    std::optional<std::size_t> index;
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (ValueView(slots_[i].value) == ValueView(value)) {
        ++count;
        index = index.value_or(i);
      }
    }
    ATOLL_CHECK(process::must(list().count(value)) == count) << value;
    ATOLL_CHECK(process::must(list().index(value)) == index) << value;
  }

  void show() {
    std::string text;
    std::string format;
    for (const Known& slot : slots_) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", libatoll::to_string(slot.value));
      switch (type_of(slot.value)) {
        case Type::kNone:
          format += "xxxxxx?x";
          break;
        case Type::kBool:
          format += "xxxxxxx?";
          break;
        case Type::kInt64:
          format += "q";
          break;
        case Type::kDouble:
          format += "d";
          break;
        case Type::kText:
        case Type::kBytes:
          absl::StrAppend(&format, slot.model.capacity, "s");
          break;
      }
    }
    ATOLL_CHECK(list().to_string() == absl::StrCat("List([", text, "])")) << list();
    ATOLL_CHECK(process::must(list().format()) == format) << format;
  }

  void snapshot() {
    const std::vector<Value> values = process::must(list().snapshot());
    ATOLL_CHECK(values.size() == slots_.size());
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      ATOLL_CHECK(datum_of(values[i]) == slots_[i].state.value);
    }
    snapshot_of<std::int64_t>();
    snapshot_of<double>();
  }
  template <typename T>
  void snapshot_of() {
    const absl::StatusOr<std::vector<T>> numbers = list().template snapshot<T>();
    ATOLL_CHECK(numbers.ok() == (numbers_from<T>(0) == slots_.size())) << numbers.status();
    if (!numbers.ok()) {
      ATOLL_CHECK(absl::IsFailedPrecondition(numbers.status())) << numbers.status();
      return;
    }
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      ATOLL_CHECK(datum_of((*numbers)[i]) == slots_[i].state.value);
    }
  }

  // How many slots in a row hold T.
  template <typename T>
  std::size_t numbers_from(std::size_t first) const {
    std::size_t count = 0;
    while (first + count < slots_.size() &&
           std::holds_alternative<T>(slots_[first + count].value)) {
      ++count;
    }
    return count;
  }

  template <typename T>
  void load_range() {
    const std::size_t first = input_.below(slots_.size() + 2);
    std::vector<T> out(input_.below(slots_.size() + 2), T{77});
    const absl::Status status = list().load_range(first, std::span<T>(out));
    if (first + out.size() > slots_.size()) {
      ATOLL_CHECK(absl::IsOutOfRange(status)) << status;
      return;
    }
    const std::size_t loaded = std::min(numbers_from<T>(first), out.size());
    ATOLL_CHECK(status.ok() == (loaded == out.size())) << status;
    ATOLL_CHECK(status.ok() || absl::IsFailedPrecondition(status)) << status;
    for (std::size_t i = 0; i < out.size(); ++i) {
      ATOLL_CHECK(datum_of(out[i]) ==
                  (i < loaded ? slots_[first + i].state.value : datum_of(T{77})));
    }
  }

  template <typename T>
  void store_range() {
    const std::size_t first = input_.below(slots_.size() + 2);
    std::vector<T> values(input_.below(slots_.size() + 2));
    for (T& value : values) {
      if constexpr (std::is_same_v<T, double>) {
        value = draw_double(input_);
      } else {
        value = draw_int64(input_);
      }
    }
    const absl::Status status = list().store_range(first, std::span<const T>(values));
    if (first + values.size() > slots_.size()) {
      ATOLL_CHECK(absl::IsOutOfRange(status)) << status;
      return;
    }
    const auto of_another_type = [](const Known& slot) {
      return slot.model.pinned && slot.model.pinned_type != datum_of(T{}).type;
    };
    const std::span<Known> range = std::span(slots_).subspan(first, values.size());
    if (std::any_of(range.begin(), range.end(), of_another_type)) {
      ATOLL_CHECK(absl::IsFailedPrecondition(status)) << status;
      return;
    }
    ATOLL_CHECK(status.ok()) << status;
    for (std::size_t i = 0; i < values.size(); ++i) {
      range[i].model.apply(range[i].state, {.kind = Kind::kStore, .desired = datum_of(values[i])});
    }
  }

  void find_slots() {
    const auto size = static_cast<std::ptrdiff_t>(slots_.size());
    const std::ptrdiff_t index =
        static_cast<std::ptrdiff_t>(input_.below(4 * slots_.size() + 4)) - 2 * size - 2;
    const absl::StatusOr<Slot> slot = list().at(index);
    if (index < -size || index >= size) {
      ATOLL_CHECK(absl::IsOutOfRange(slot.status())) << slot.status();
      ATOLL_CHECK(absl::IsOutOfRange(list().counter(index).status()));
      ATOLL_CHECK(absl::IsOutOfRange(list().gauge(index).status()));
      return;
    }
    const auto expected = static_cast<std::size_t>(index < 0 ? index + size : index);
    ATOLL_CHECK(slot.ok() && slot->index() == expected) << slot.status();
    const SlotModel& model = slots_[expected].model;
    const auto code_for = [&](Type type) {
      return model.pinned && model.pinned_type == type ? Code::kOk : Code::kFailedPrecondition;
    };
    ATOLL_CHECK(list().counter(index).status().code() == code_for(Type::kInt64));
    ATOLL_CHECK(list().gauge(index).status().code() == code_for(Type::kDouble));
  }

  // The list goes on through another handle, and may be looked at through one that only reads.
  void attach() {
    if (input_.flip()) {
      lists_.push_back(
          process::must(List::attach_in(memory_.span(), {.claim_timeout = absl::ZeroDuration()})));
      attachments.add();
      return;
    }
    lists_.push_back(process::must(List::attach_in(memory_.span(), {.read_only = true})));
    const Step step = player_.draw();
    const Response found = player_.take(list(), step);
    if (step.call.kind == Kind::kWait || step.call.kind >= Kind::kStore) {
      ATOLL_CHECK(found.code == Code::kPermissionDenied) << step.call << ": " << found;
      read_only.add();
    } else {
      Known& slot = slots_[step.call.slot];
      expect_same(step, found, slot.model.apply(slot.state, step.call));
    }
    lists_.pop_back();
  }

  Input& input_;
  Plan plan_;
  Player player_;
  Block memory_;
  std::vector<List> lists_;
  std::vector<Known> slots_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  Game(input).play();
  return 0;
}
