// Looking after lists: what can be told of one from outside, what the dead left in it, and how to
// remove it when nobody uses it.

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_format.h"
#include "atoll/list.h"

#include "label.h"
#include "layout.h"
#include "list_state.h"
#include "participants.h"
#include "seam.h"
#include "segment.h"
#include "text_buffers.h"

namespace libatoll {

using detail::BufferControl;
using detail::File;
using detail::FileInfo;
using detail::label_of;
using detail::Place;
using detail::SlotBuffers;
using detail::View;

namespace {

// A list seen from outside.
struct Found {
  Place place;
  File file;
  FileInfo info;
  View view;  // numbers to read; its pointers lead nowhere
};

absl::StatusOr<Found> look_at(std::string_view name, const AttachOptions& options) {
  absl::StatusOr<Place> place = detail::place_in_shared_memory(name);
  if (!place.ok()) {
    return place.status();
  }
  absl::StatusOr<File> file = detail::open_place(*place, options);
  if (!file.ok()) {
    return file.status();
  }
  const std::string label = label_of(place->name);
  absl::StatusOr<FileInfo> info = detail::inspect(*file, label);
  if (!info.ok()) {
    return info.status();
  }
  // Read, not mapped: whoever truncates the file makes this call fail, and does not kill us.
  detail::SegmentHeader header = {};
  const ssize_t read = pread(file->fd(), &header, sizeof(header), 0);
  if (read < 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot read it", label));
  }
  const std::size_t available =
      std::cmp_less(read, sizeof(header)) ? static_cast<std::size_t>(read) : info->bytes;
  View view;
  if (absl::Status status =
          detail::open_view(reinterpret_cast<std::byte*>(&header), available, label, view);
      !status.ok()) {
    return status;
  }
  view.base = nullptr;
  return Found{*std::move(place), *std::move(file), *std::move(info), std::move(view)};
}

}  // namespace

absl::StatusOr<List::Info> List::inspect(std::string_view name) {
  const absl::StatusOr<Found> found = look_at(name, {.read_only = true, .allow_other_owner = true});
  if (!found.ok()) {
    return found.status();
  }
  return Info{.name = found->place.name,
              .size = found->view.slot_count,
              .bytes = found->view.bytes,
              .layout = found->view.slot_shift == 6 ? Layout::kPadded : Layout::kDense,
              .buffers_per_slot = static_cast<int>(found->view.buffers_per_slot),
              .owner = found->info.owner,
              .mode = found->info.mode,
              .created = found->info.created,
              .participants = detail::count_participants(found->file.fd())};
}

absl::Status List::unlink_unused(std::string_view name) {
  const absl::StatusOr<Found> found = look_at(name, {});
  if (!found.ok()) {
    return found.status();
  }
  const std::string label = label_of(found->place.name);
  // From here to the end, when the file is closed, nobody can join; and who attaches looks at the name
  // again once he has joined.
  if (!detail::lock_out_participants(found->file.fd())) {
    if (errno != EAGAIN && errno != EACCES) {
      return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot lock it", label));
    }
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s is in use by %d participants", label, detail::count_participants(found->file.fd())));
  }
  detail::pass(detail::Seam::kLockedOut);
  if (!detail::is_there(found->place, found->info.id)) {
    return absl::NotFoundError(absl::StrFormat("%s is gone already", label));
  }
  return detail::unlink_place(found->place);
}

std::vector<absl::Status> List::faults() const {
  std::vector<absl::Status> faults;
  const View& list = view();
  if (is_open() && state_->mapping.data() != nullptr) {
    // relaxed: a count that only rises; any value it had will do.
    const std::uint64_t numbers = state_->participant_numbers().load(std::memory_order_relaxed);
    if (!detail::is_possible_count(numbers)) {
      faults.push_back(absl::DataLossError(absl::StrFormat(
          "%s has an impossible count of participants: %d", list.label(), numbers)));
    }
  }
  // Where the next buffers are, as creation lays them one behind the other; 0 behind a slot that does
  // not tell.
  std::uint64_t next = list.buffers_offset;
  for (const Slot slot : *this) {
    SlotBuffers buffers;
    if (!detail::find_buffers(list, slot.index(), buffers)) {
      next = 0;
      faults.push_back(slot.capacity().status());
      continue;
    }
    if (buffers.count > 0) {
      const auto found = static_cast<std::uint64_t>(buffers.first - list.base);
      const std::uint64_t expected = next == 0 ? found : next;
      next = found + buffers.stride * buffers.count;
      if (found != expected) {
        faults.push_back(absl::DataLossError(
            absl::StrFormat("slot %d of %s has its buffers at byte %d, expected %d", slot.index(),
                            list.label(), found, expected)));
        continue;
      }
    }
    if (const absl::StatusOr<Value> value = slot.load(); !value.ok()) {
      faults.push_back(value.status());
    }
  }
  if (next != 0 && next != list.bytes) {
    faults.push_back(absl::DataLossError(absl::StrFormat(
        "the buffers of %s end at byte %d, expected %d", list.label(), next, list.bytes)));
  }
  return faults;
}

namespace {

// Calls `visit(claim, control)` for every buffer that somebody claims.
template <typename Visit>
void for_each_claim(const List& list, const View& view, Visit visit) {
  for (std::size_t slot = 0; slot < list.size() && view.descriptors != nullptr; ++slot) {
    SlotBuffers buffers;
    if (!detail::find_buffers(view, slot, buffers)) {
      continue;
    }
    for (std::uint32_t buffer = 0; buffer < buffers.count; ++buffer) {
      BufferControl& control = buffers.control(buffer);
      if (const std::uint64_t owner = detail::peek_owner(control); owner != detail::kNoOwner) {
        visit(List::Claim{.slot = slot,
                          .buffer = buffer,
                          .owner = owner,
                          .owner_may_live = view.participant->may_live(owner)},
              control);
      }
    }
  }
}

}  // namespace

std::vector<List::Claim> List::claims() const {
  std::vector<Claim> claims;
  for_each_claim(*this, view(),
                 [&](const Claim& claim, BufferControl&) { claims.push_back(claim); });
  return claims;
}

absl::StatusOr<std::size_t> List::repair() const {
  if (is_read_only()) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "%s is attached read-only; attach without read_only to repair it", view().label()));
  }
  const std::uint64_t self = view().participant->number();
  if (self == detail::kNoOwner) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "%s: after fork, this process could not register; attach again", view().label()));
  }
  std::size_t repaired = 0;
  for_each_claim(*this, view(), [&](const Claim& claim, BufferControl& control) {
    if (claim.owner_may_live) {
      return;
    }
    detail::pass(detail::Seam::kTakingOver);
    // A step of a writer who then finds that the buffer is not what he wants: he takes the claim over,
    // and lets it go. So the header may name the buffer or not, and others may be at it, too.
    if (detail::try_claim(control, claim.owner, self)) {
      detail::release_claim(control);
      ++repaired;
    }
  });
  return repaired;
}

}  // namespace libatoll
