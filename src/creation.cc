// Making and finding lists: what stands between the rooms below (layout, segment, participants) and
// the List.

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "atoll/list.h"

#include "deadline.h"
#include "label.h"
#include "layout.h"
#include "leak_report.h"
#include "list_state.h"
#include "participants.h"
#include "seam.h"
#include "segment.h"
#include "shared_copy.h"

namespace libatoll {

using detail::Descriptor;
using detail::File;
using detail::FileInfo;
using detail::Header;
using detail::label_of;
using detail::magic_of;
using detail::Mapping;
using detail::NewFile;
using detail::Place;
using detail::SegmentHeader;
using detail::Shape;
using detail::Tag;
using detail::Word;

namespace {

constexpr std::size_t kMemoryAlignment = detail::kCacheLine;
constexpr int kNameAttempts = 100;
// How long `attach` waits for a process that is removing the list, which takes it microseconds.
constexpr absl::Duration kRemovalPatience = absl::Seconds(1);
constexpr absl::Duration kRemovalPause = absl::Microseconds(50);

// The initial values of a list, written out or all alike.
class InitialValues {
 public:
  InitialValues(std::span<const Init> values) : first_(values.data()), size_(values.size()) {}
  InitialValues(const Fill& fill) : first_(&fill.init()), size_(fill.count()), alike_(true) {}

  std::size_t size() const { return size_; }
  const Init& operator[](std::size_t index) const { return first_[alike_ ? 0 : index]; }
  // How many have to be looked at to have seen all.
  std::size_t distinct() const { return alike_ ? std::min<std::size_t>(size_, 1) : size_; }
  // How many slots each of those stands for.
  std::size_t repeats() const { return alike_ ? size_ : 1; }

 private:
  const Init* first_;
  std::size_t size_;
  bool alike_ = false;
};

std::uint64_t capacity_of(const Init& init) {
  if (init.is_pinned()) {
    return 0;
  }
  return detail::round_capacity(
      init.capacity().value_or(ValueView(init.value()).contents().size()));
}

absl::Status check_options(const CreateOptions& options, std::string_view label) {
  if (options.buffers_per_slot < static_cast<int>(detail::kBuffersMin) ||
      options.buffers_per_slot > static_cast<int>(detail::kBuffersMax)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: buffers_per_slot is %d, expected %d to %d", label,
                        options.buffers_per_slot, detail::kBuffersMin, detail::kBuffersMax));
  }
  if ((options.mode & ~mode_t{0777}) != 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: mode is %#o, expected permission bits only (0777 at most)", label, options.mode));
  }
  if (options.layout != Layout::kPadded && options.layout != Layout::kDense) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: layout is %d, expected kPadded or kDense", label, static_cast<int>(options.layout)));
  }
  return absl::OkStatus();
}

absl::Status check_timeout(absl::Duration claim_timeout, std::string_view label) {
  if (claim_timeout < absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrFormat("%s: claim_timeout is %s, expected 0 or more",
                                                      label, absl::FormatDuration(claim_timeout)));
  }
  return absl::OkStatus();
}

// What a list of those values needs.
absl::StatusOr<Shape> shape_of(const InitialValues& values, const CreateOptions& options,
                               std::string_view label) {
  if (absl::Status status = check_options(options, label); !status.ok()) {
    return status;
  }
  if (absl::Status status = check_timeout(options.claim_timeout, label); !status.ok()) {
    return status;
  }
  const auto too_large = [label](std::string_view what) {
    return absl::ResourceExhaustedError(absl::StrFormat("%s is too large: %s", label, what));
  };
  if (values.size() > detail::kSlotsMax) {
    return too_large(absl::StrFormat("%d slots, at most %d fit", values.size(), detail::kSlotsMax));
  }
  Shape shape = {.layout = options.layout,
                 .buffers_per_slot = static_cast<std::uint32_t>(options.buffers_per_slot),
                 .slot_count = values.size()};
  const std::uint64_t alignment = detail::buffer_alignment(options.layout);
  for (std::size_t i = 0; i < values.distinct(); ++i) {
    const Init& init = values[i];
    const std::size_t length = ValueView(init.value()).contents().size();
    if (length > init.capacity().value_or(length)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: the initial value of slot %d has %d bytes, its capacity is %d",
                          label, i, length, *init.capacity()));
    }
    if (init.capacity().value_or(length) > detail::kCapacityMax) {
      return too_large(absl::StrFormat("slot %d has a capacity of %d bytes, at most %d fit", i,
                                       init.capacity().value_or(length), detail::kCapacityMax));
    }
    shape.has_pinned |= init.is_pinned();
    const std::uint64_t capacity = capacity_of(init);
    if (capacity <= detail::kInlineTextMax) {
      continue;
    }
    shape.has_buffers = true;
    const std::uint64_t slot_bytes =
        detail::buffer_stride(capacity, alignment) * shape.buffers_per_slot;
    if (slot_bytes > (detail::kBuffersBytesMax - shape.buffers_bytes) / values.repeats()) {
      return too_large(
          absl::StrFormat("its buffers need more than %d bytes", detail::kBuffersBytesMax));
    }
    shape.buffers_bytes += slot_bytes * values.repeats();
  }
  return shape;
}

Word initial_word(const Init& init) {
  const Value& value = init.value();
  switch (type_of(value)) {
    case Type::kNone:
      break;
    case Type::kBool:
      return {std::get<bool>(value) ? 1U : 0U, detail::make_meta(0, Tag::kBool)};
    case Type::kInt64:
      return {detail::to_bits(std::get<std::int64_t>(value)),
              detail::make_meta(0, init.is_pinned() ? Tag::kPinnedInt64 : Tag::kInt64)};
    case Type::kDouble:
      return {detail::to_bits(std::get<double>(value)),
              detail::make_meta(0, init.is_pinned() ? Tag::kPinnedDouble : Tag::kDouble)};
    case Type::kText:
    case Type::kBytes: {
      const bool is_text = type_of(value) == Type::kText;
      const std::string_view text = ValueView(value).contents();
      if (text.size() > detail::kInlineTextMax) {
        return {detail::long_payload(text.size(), 0),
                detail::make_meta(0, is_text ? Tag::kLongText : Tag::kLongBytes)};
      }
      Word word = {0, detail::make_meta(0, is_text ? Tag::kInlineText : Tag::kInlineBytes,
                                        static_cast<std::uint32_t>(text.size()))};
      std::copy_n(text.data(), text.size(), reinterpret_cast<char*>(&word.payload));
      return word;
    }
  }
  return {0, detail::make_meta(0, Tag::kNone)};
}

// Writes a segment into memory that is all zeros, and that nobody else reads before the magic, which
// comes last, is there.
void build(std::byte* base, const Shape& shape, const SegmentHeader& plan,
           const InitialValues& values) {
  const std::uint64_t alignment = detail::buffer_alignment(shape.layout);
  std::uint64_t next_buffer = plan.buffers_offset;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Init& init = values[i];
    const Word word = initial_word(init);
    detail::initialize(*reinterpret_cast<Header*>(base + plan.slots_offset + i * plan.slot_stride),
                       word);
    if (plan.descriptors_offset == 0) {
      continue;
    }
    Descriptor descriptor = {.buffers_offset = 0, .capacity = capacity_of(init)};
    if (descriptor.capacity > detail::kInlineTextMax) {
      descriptor.buffers_offset = next_buffer;
      if (word.is_long()) {
        detail::copy_to_shared(base + next_buffer, ValueView(init.value()).contents());
      }
      next_buffer += detail::buffer_stride(descriptor.capacity, alignment) * shape.buffers_per_slot;
    }
    std::memcpy(base + plan.descriptors_offset + i * plan.descriptor_stride, &descriptor,
                sizeof(descriptor));
  }
  const std::size_t after_magic = offsetof(SegmentHeader, magic) + sizeof(plan.magic);
  std::memcpy(base + after_magic, reinterpret_cast<const std::byte*>(&plan) + after_magic,
              offsetof(SegmentHeader, mutable_line) - after_magic);
  // [edge:whole] release: who finds the magic finds all of the list.
  magic_of(base).store(plan.magic, std::memory_order_release);
}

}  // namespace

// What stands between the rooms below and the List: each way to make or find one, over any values.
class ListFactory {
 public:
  using State = List::State;

  static absl::StatusOr<List> create(std::string_view name, const InitialValues& values,
                                     const CreateOptions& options) {
    if (!name.empty()) {
      return create_at(detail::place_in_shared_memory(name), values, options, kReportLeak);
    }
    for (int attempt = 1;; ++attempt) {
      absl::StatusOr<List> list = create_at(
          detail::place_in_shared_memory(detail::automatic_name()), values, options, kReportLeak);
      if (!absl::IsAlreadyExists(list.status()) || attempt == kNameAttempts) {
        return list;
      }
    }
  }

  static absl::StatusOr<List> create_file(std::string_view path, const InitialValues& values,
                                          const CreateOptions& options) {
    return create_at(detail::place_of_file(path), values, options, kMeantToStay);
  }

  static absl::StatusOr<List> attach(std::string_view name, const AttachOptions& options) {
    return attach_at(detail::place_in_shared_memory(name), options);
  }

  static absl::StatusOr<List> attach_file(std::string_view path, const AttachOptions& options) {
    return attach_at(detail::place_of_file(path), options);
  }

  static absl::StatusOr<List::Opened> open_or_create(std::string_view name,
                                                     const InitialValues& values,
                                                     const CreateOptions& options) {
    if (name.empty()) {
      return detail::place_in_shared_memory(name).status();
    }
    // Each turn is lost only to somebody who created or unlinked in between.
    absl::Status lost;
    for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
      absl::StatusOr<List> list = attach(name, {.claim_timeout = options.claim_timeout});
      if (list.ok()) {
        if (absl::Status status = check_shape(*list, values, options); !status.ok()) {
          return status;
        }
        return List::Opened{*std::move(list), false};
      }
      if (!absl::IsNotFound(list.status())) {
        return list.status();
      }
      list = create(name, values, options);
      if (list.ok()) {
        return List::Opened{*std::move(list), true};
      }
      if (!absl::IsAlreadyExists(list.status())) {
        return list.status();
      }
      lost = list.status();
    }
    return lost;
  }

  static absl::StatusOr<List> create_anonymous(const InitialValues& values,
                                               const CreateOptions& options) {
    auto state = std::make_unique<State>();
    const std::string label = state->view.label();
    absl::StatusOr<Shape> shape = shape_of(values, options, label);
    if (!shape.ok()) {
      return shape.status();
    }
    SegmentHeader plan;
    detail::plan(*shape, plan);
    absl::StatusOr<File> file = detail::create_memfd(plan.total_bytes);
    if (!file.ok()) {
      return file.status();
    }
    absl::StatusOr<Mapping> mapping = detail::map(*file, plan.total_bytes, true, label);
    if (!mapping.ok()) {
      return mapping.status();
    }
    detail::prepare_to_write(*mapping, plan.total_bytes);
    build(mapping->data(), *shape, plan, values);
    state->shared_file = *std::move(file);
    state->mapping = *std::move(mapping);
    const File& shared = state->shared_file;
    return open_mapped(std::move(state), shared, true, options.claim_timeout);
  }

  static absl::StatusOr<List> attach_fd(int fd, const AttachOptions& options) {
    auto state = std::make_unique<State>();
    const std::string label = state->view.label();
    // Opened anew, for `fd` may be open for less than what `options` ask for.
    absl::StatusOr<File> own = detail::reopen(fd, options, label);
    if (!own.ok()) {
      return own.status();
    }
    absl::StatusOr<File> shared = detail::duplicate(fd, label);
    if (!shared.ok()) {
      return shared.status();
    }
    state->shared_file = *std::move(shared);
    return open(std::move(state), *own, options);
  }

  static absl::StatusOr<List> create_in(std::span<std::byte> memory, const InitialValues& values,
                                        const CreateOptions& options) {
    auto state = std::make_unique<State>();
    const std::string label = state->view.label();
    absl::StatusOr<Shape> shape = shape_of(values, options, label);
    if (!shape.ok()) {
      return shape.status();
    }
    if (absl::Status status = check_memory(memory, label); !status.ok()) {
      return status;
    }
    SegmentHeader plan;
    detail::plan(*shape, plan);
    if (memory.size() < plan.total_bytes) {
      return absl::ResourceExhaustedError(absl::StrFormat(
          "%s needs %d bytes, the memory given has %d", label, plan.total_bytes, memory.size()));
    }
    // relaxed: whoever still finds an old magic finds an old list that is going, magic or not.
    magic_of(memory.data()).store(0, std::memory_order_relaxed);
    std::memset(memory.data() + sizeof(plan.magic), 0, plan.total_bytes - sizeof(plan.magic));
    build(memory.data(), *shape, plan, values);
    state->mapping = Mapping(memory.data(), memory.size(), false);
    return open_mapped(std::move(state), File(), true, options.claim_timeout);
  }

  static absl::StatusOr<List> attach_in(std::span<std::byte> memory, const AttachOptions& options) {
    auto state = std::make_unique<State>();
    const std::string label = state->view.label();
    if (absl::Status status = check_timeout(options.claim_timeout, label); !status.ok()) {
      return status;
    }
    if (absl::Status status = check_memory(memory, label); !status.ok()) {
      return status;
    }
    state->mapping = Mapping(memory.data(), memory.size(), false);
    return open_mapped(std::move(state), File(), !options.read_only, options.claim_timeout);
  }

  static absl::StatusOr<std::size_t> bytes_needed(const InitialValues& values,
                                                  const CreateOptions& options) {
    absl::StatusOr<Shape> shape = shape_of(values, options, "the list");
    if (!shape.ok()) {
      return shape.status();
    }
    SegmentHeader plan;
    detail::plan(*shape, plan);
    return static_cast<std::size_t>(plan.total_bytes);
  }

 private:
  enum WhenLeftBehind { kReportLeak, kMeantToStay };

  static absl::StatusOr<List> create_at(const absl::StatusOr<Place>& place,
                                        const InitialValues& values, const CreateOptions& options,
                                        WhenLeftBehind when_left_behind) {
    if (!place.ok()) {
      return place.status();
    }
    const std::string label = label_of(place->name);
    absl::StatusOr<Shape> shape = shape_of(values, options, label);
    if (!shape.ok()) {
      return shape.status();
    }
    SegmentHeader plan;
    detail::plan(*shape, plan);
    absl::StatusOr<NewFile> file = NewFile::create(*place, plan.total_bytes);
    if (!file.ok()) {
      return file.status();
    }
    absl::StatusOr<FileInfo> info = detail::inspect(file->file(), label);
    if (!info.ok()) {
      return info.status();
    }
    absl::StatusOr<Mapping> mapping = detail::map(file->file(), info->bytes, true, label);
    if (!mapping.ok()) {
      return mapping.status();
    }
    detail::prepare_to_write(*mapping, plan.total_bytes);
    build(mapping->data(), *shape, plan, values);
    auto owned = std::make_unique<State>();
    State& state = *owned;
    state.view.name = place->name;
    state.mapping = *std::move(mapping);
    // Registered before the name appears, so that nobody ever finds the list without a participant.
    absl::StatusOr<List> list =
        open_mapped(std::move(owned), file->file(), true, options.claim_timeout);
    if (!list.ok()) {
      return list;
    }
    detail::pass(detail::Seam::kBuilt);
    if (absl::Status status = file->publish(*place, options.mode); !status.ok()) {
      return status;
    }
    state.place = *place;
    if (options.unlink_on_close) {
      state.unlinker = getpid();
    }
    if (options.report_leak && when_left_behind == kReportLeak) {
      detail::report_leak_at_exit(*place, state.file_id);
    }
    return list;
  }

  static absl::StatusOr<List> attach_at(const absl::StatusOr<Place>& place,
                                        const AttachOptions& options) {
    if (!place.ok()) {
      return place.status();
    }
    const detail::Deadline deadline(kRemovalPatience);
    for (int attempt = 0; attempt < kNameAttempts;) {
      absl::StatusOr<File> file = detail::open_place(*place, options);
      if (!file.ok()) {
        return file.status();
      }
      auto state = std::make_unique<State>();
      state->view.name = place->name;
      state->place = *place;
      absl::StatusOr<List> list = open(std::move(state), *file, options);
      if (absl::IsUnavailable(list.status()) && !deadline.is_over()) {
        absl::SleepFor(kRemovalPause);  // `unlink_unused` is about to take the name away
        continue;
      }
      // We count as a participant now. If the name was taken away before that, nobody had to expect
      // us: then it names no list, or another one, and we look again.
      if (!list.ok() || detail::is_there(*place, list->state_->file_id)) {
        return list;
      }
      detail::pass(detail::Seam::kNameLost);
      ++attempt;
    }
    return absl::UnavailableError(absl::StrFormat(
        "%s was unlinked and created anew %d times while this process was attaching to it",
        label_of(place->name), kNameAttempts));
  }

  static absl::Status check_memory(std::span<std::byte> memory, std::string_view label) {
    if (reinterpret_cast<std::uintptr_t>(memory.data()) % kMemoryAlignment != 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: the memory given is at %p, expected an address aligned to %d", label,
                          memory.data(), kMemoryAlignment));
    }
    return absl::OkStatus();
  }

  // Attaches to the segment in `file`.
  static absl::StatusOr<List> open(std::unique_ptr<State> state, const File& file,
                                   const AttachOptions& options) {
    const std::string label = state->view.label();
    if (absl::Status status = check_timeout(options.claim_timeout, label); !status.ok()) {
      return status;
    }
    absl::StatusOr<FileInfo> info = detail::inspect(file, label);
    if (!info.ok()) {
      return info.status();
    }
    if (info->bytes < sizeof(SegmentHeader)) {
      return absl::DataLossError(
          absl::StrFormat("%s is not a list: size is %d, expected %d bytes at "
                          "least",
                          label, info->bytes, sizeof(SegmentHeader)));
    }
    absl::StatusOr<Mapping> mapping = detail::map(file, info->bytes, !options.read_only, label);
    if (!mapping.ok()) {
      return mapping.status();
    }
    state->mapping = *std::move(mapping);
    if (!options.read_only) {
      // Looking at the header first and registering there afterwards would be two faults, and the
      // first would map as many neighbours as the list has.
      detail::prepare_to_write(state->mapping, sizeof(SegmentHeader));
    }
    return open_mapped(std::move(state), file, !options.read_only, options.claim_timeout);
  }

  // Validates the segment that is mapped and registers; the last step of every way in.
  static absl::StatusOr<List> open_mapped(std::unique_ptr<State> state, const File& file,
                                          bool writable, absl::Duration claim_timeout) {
    const std::string label = state->view.label();
    if (absl::Status status =
            detail::open_view(state->mapping.data(), state->mapping.size(), label, state->view);
        !status.ok()) {
      return status;
    }
    state->view.writable = writable;
    state->view.claim_timeout = claim_timeout;
    state->view.participant = &state->participant;
    absl::Status joined;
    if (file.fd() >= 0) {
      absl::StatusOr<FileInfo> info = detail::inspect(file, label);
      if (!info.ok()) {
        return info.status();
      }
      state->file_id = info->id;
      joined = state->participant.join(file.fd(), state->participant_numbers(), writable, label);
    } else if (writable) {
      joined = state->participant.join_without_file(state->participant_numbers(), label);
    }
    if (!joined.ok()) {
      return joined;
    }
    return List(std::move(state));
  }

  // Whether a list that exists can serve as one that `values` would have made.
  static absl::Status check_shape(const List& list, const InitialValues& values,
                                  const CreateOptions& options) {
    const std::string label = label_of(list.name());
    if (absl::StatusOr<Shape> shape = shape_of(values, options, label); !shape.ok()) {
      return shape.status();
    }
    if (list.size() != values.size()) {
      return absl::FailedPreconditionError(absl::StrFormat("%s exists with %d slots, expected %d",
                                                           label, list.size(), values.size()));
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
      const Slot slot = list[i];
      const Init& init = values[i];
      const Type expected = type_of(init.value());
      absl::StatusOr<Type> type = slot.type();
      if (!type.ok()) {
        return type.status();
      }
      if (slot.is_pinned() != init.is_pinned() || (init.is_pinned() && *type != expected)) {
        const auto describe = [](bool pinned, Type value_type) {
          return pinned ? absl::StrFormat("pinned to %s", type_name(value_type)) : "not pinned";
        };
        return absl::FailedPreconditionError(absl::StrFormat(
            "slot %d of %s exists %s, expected %s", i, label, describe(slot.is_pinned(), *type),
            describe(init.is_pinned(), expected)));
      }
      absl::StatusOr<std::size_t> capacity = slot.capacity();
      if (!capacity.ok()) {
        return capacity.status();
      }
      if (*capacity < capacity_of(init)) {
        return absl::FailedPreconditionError(
            absl::StrFormat("slot %d of %s exists with a capacity of %d bytes, expected %d", i,
                            label, *capacity, capacity_of(init)));
      }
    }
    return absl::OkStatus();
  }
};

// ---- Making and finding lists -------------------------------------------------------------------

namespace {
std::span<const Init> span_of(std::initializer_list<Init> values) {
  return {values.begin(), values.size()};
}
}  // namespace

absl::StatusOr<List> List::create(std::string_view name, std::span<const Init> values,
                                  const CreateOptions& options) {
  return ListFactory::create(name, values, options);
}
absl::StatusOr<List> List::create(std::string_view name, std::initializer_list<Init> values,
                                  const CreateOptions& options) {
  return ListFactory::create(name, span_of(values), options);
}
absl::StatusOr<List> List::create(std::string_view name, const Fill& values,
                                  const CreateOptions& options) {
  return ListFactory::create(name, values, options);
}

absl::StatusOr<List::Opened> List::open_or_create(std::string_view name,
                                                  std::span<const Init> values,
                                                  const CreateOptions& options) {
  return ListFactory::open_or_create(name, values, options);
}
absl::StatusOr<List::Opened> List::open_or_create(std::string_view name,
                                                  std::initializer_list<Init> values,
                                                  const CreateOptions& options) {
  return ListFactory::open_or_create(name, span_of(values), options);
}
absl::StatusOr<List::Opened> List::open_or_create(std::string_view name, const Fill& values,
                                                  const CreateOptions& options) {
  return ListFactory::open_or_create(name, values, options);
}

absl::StatusOr<List> List::attach(std::string_view name, const AttachOptions& options) {
  return ListFactory::attach(name, options);
}

absl::StatusOr<List> List::create_anonymous(std::span<const Init> values,
                                            const CreateOptions& options) {
  return ListFactory::create_anonymous(values, options);
}
absl::StatusOr<List> List::create_anonymous(std::initializer_list<Init> values,
                                            const CreateOptions& options) {
  return ListFactory::create_anonymous(span_of(values), options);
}
absl::StatusOr<List> List::create_anonymous(const Fill& values, const CreateOptions& options) {
  return ListFactory::create_anonymous(values, options);
}

absl::StatusOr<List> List::attach_fd(int fd, const AttachOptions& options) {
  return ListFactory::attach_fd(fd, options);
}

absl::StatusOr<List> List::create_file(std::string_view path, std::span<const Init> values,
                                       const CreateOptions& options) {
  return ListFactory::create_file(path, values, options);
}
absl::StatusOr<List> List::create_file(std::string_view path, std::initializer_list<Init> values,
                                       const CreateOptions& options) {
  return ListFactory::create_file(path, span_of(values), options);
}
absl::StatusOr<List> List::create_file(std::string_view path, const Fill& values,
                                       const CreateOptions& options) {
  return ListFactory::create_file(path, values, options);
}
absl::StatusOr<List> List::attach_file(std::string_view path, const AttachOptions& options) {
  return ListFactory::attach_file(path, options);
}

absl::StatusOr<List> List::create_in(std::span<std::byte> memory, std::span<const Init> values,
                                     const CreateOptions& options) {
  return ListFactory::create_in(memory, values, options);
}
absl::StatusOr<List> List::create_in(std::span<std::byte> memory,
                                     std::initializer_list<Init> values,
                                     const CreateOptions& options) {
  return ListFactory::create_in(memory, span_of(values), options);
}
absl::StatusOr<List> List::create_in(std::span<std::byte> memory, const Fill& values,
                                     const CreateOptions& options) {
  return ListFactory::create_in(memory, values, options);
}
absl::StatusOr<List> List::attach_in(std::span<std::byte> memory, const AttachOptions& options) {
  return ListFactory::attach_in(memory, options);
}

absl::StatusOr<std::size_t> List::bytes_needed(std::span<const Init> values,
                                               const CreateOptions& options) {
  return ListFactory::bytes_needed(values, options);
}
absl::StatusOr<std::size_t> List::bytes_needed(const Fill& values, const CreateOptions& options) {
  return ListFactory::bytes_needed(values, options);
}

}  // namespace libatoll
