#include "atoll/list.h"

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
  absl::StatusOr<std::string> canonical = detail::canonical_name(name);
  return canonical.ok() ? detail::unlink_named(*canonical) : canonical.status();
}

absl::Status List::unlink() const {
  if (name().empty()) {
    return absl::NotFoundError("the unnamed list has no name to unlink");
  }
  return detail::unlink_if_same(name(), state_->file_id);
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
  if (state_ == nullptr) {
    return;
  }
  View& view = state_->view;
  view = {.name = std::move(view.name)};
  state_->participant.leave();
  state_->mapping = detail::Mapping();
  state_->shared_file = detail::File();
}

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
  return Counter(slot->header_);
}

absl::StatusOr<Gauge> List::gauge(std::ptrdiff_t index) const {
  const absl::StatusOr<Slot> slot = at(index);
  if (!slot.ok()) {
    return slot.status();
  }
  if (absl::Status status = check_pinned(*this, *slot, Type::kDouble); !status.ok()) {
    return status;
  }
  return Gauge(slot->header_);
}

}  // namespace libatoll
