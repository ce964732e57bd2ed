#include "atoll/list.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"

#include "label.h"
#include "list_state.h"
#include "participants.h"
#include "segment.h"

namespace libatoll {

using detail::label_of;
using detail::View;

absl::Status List::unlink(std::string_view name) {
  const absl::StatusOr<detail::Place> place = detail::place_in_shared_memory(name);
  return place.ok() ? detail::unlink_place(*place) : place.status();
}

absl::Status List::unlink() const {
  if (state_ == nullptr || !state_->has_place()) {
    return absl::NotFoundError("the unnamed list has no name to unlink");
  }
  const detail::Place& place = state_->place;
  if (!detail::is_there(place, state_->file_id)) {
    return absl::NotFoundError(absl::StrFormat(
        "%s was unlinked before, and its name may belong to another list now", label_of(name())));
  }
  return detail::unlink_place(place);
}

namespace {
// What a list that was moved from shows.
const View& nothing() {
  static const View& view = *new View;
  return view;
}
}  // namespace

List::List(std::unique_ptr<State> state) : state_(std::move(state)), view_(&state_->view) {}

List::List(List&& other) noexcept
    : state_(std::move(other.state_)), view_(std::exchange(other.view_, &nothing())) {}

List& List::operator=(List&& other) noexcept {
  state_ = std::move(other.state_);
  view_ = std::exchange(other.view_, &nothing());
  return *this;
}

List::~List() = default;

void List::close() {
  if (state_ != nullptr) {
    state_->close();
  }
}

void List::State::close() {
  if (unlinker == getpid() && detail::is_there(place, file_id)) {
    detail::unlink_place(place).IgnoreError();
  }
  unlinker = 0;
  view = {.name = std::move(view.name)};
  // Before its counter is unmapped.
  participant.leave();
  mapping = detail::Mapping();
  shared_file = detail::File();
}

absl::Status List::sync() const {
  if (state_ == nullptr || (!state_->has_place() && fd() < 0)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s has no file to write back to", view().label()));
  }
  return detail::write_back(state_->mapping, view().label());
}

std::size_t List::participants() const { return is_open() ? state_->participant.count() : 0; }

int List::fd() const { return state_ == nullptr ? -1 : state_->shared_file.fd(); }

void List::die_out_of_range(std::size_t index) const {
  const std::string label = is_open() ? view().label() : label_of(name()) + " (closed)";
  absl::FPrintF(stderr, "atoll: index %d is outside %s, which has %d slots\n", index, label,
                size());
  std::abort();
}

absl::StatusOr<Slot> List::at(std::ptrdiff_t index) const {
  const auto count = static_cast<std::ptrdiff_t>(size());
  if (index < -count || index >= count) {
    return absl::OutOfRangeError(absl::StrFormat("index %d is outside %s, which has %d slots",
                                                 index, view().label(), count));
  }
  return (*this)[static_cast<std::size_t>(index < 0 ? index + count : index)];
}

namespace {
absl::Status check_pinned(const List& list, const Slot& slot, Type expected) {
  const absl::StatusOr<Type> type = slot.type();
  if (!type.ok()) {
    return type.status();
  }
  if (!slot.is_pinned() || *type != expected) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "slot %d of %s holds %s%s, expected one pinned to %s", slot.index(), label_of(list.name()),
        slot.is_pinned() ? "pinned " : "", type_name(*type), type_name(expected)));
  }
  if (list.is_read_only()) {
    return absl::PermissionDeniedError(
        absl::StrFormat("slot %d of %s is attached read-only; use Slot::load to read it",
                        slot.index(), label_of(list.name())));
  }
  return absl::OkStatus();
}
}  // namespace

absl::StatusOr<Counter> List::counter(std::ptrdiff_t index) const {
  const absl::StatusOr<Slot> slot = at(index);
  if (!slot.ok()) {
    return slot.status();
  }
  if (absl::Status status = check_pinned(*this, *slot, Type::kInt64); !status.ok()) {
    return status;
  }
  return Counter(slot->header_, &view().wait_word(slot->index()));
}

absl::StatusOr<Gauge> List::gauge(std::ptrdiff_t index) const {
  const absl::StatusOr<Slot> slot = at(index);
  if (!slot.ok()) {
    return slot.status();
  }
  if (absl::Status status = check_pinned(*this, *slot, Type::kDouble); !status.ok()) {
    return status;
  }
  return Gauge(slot->header_, &view().wait_word(slot->index()));
}

}  // namespace libatoll
