// Sequences of operations on a list whose bytes something else changes: between the steps, and in the
// middle of them, at the seams of the protocol and in the function that an update calls. Whatever
// the bytes: no crash, no access outside the segment, no endless loop, named errors; and once nothing
// changes any more, all that reads a slot agrees.

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "atoll/atoll.h"

#include "input.h"
#include "layout.h"
#include "operations.h"
#include "seam.h"
#include "segment.h"
#include "text_buffers.h"

namespace {

using namespace fuzz;  // NOLINT: the harness is written in its words
using libatoll::detail::Descriptor;
using libatoll::detail::Header;
using libatoll::detail::Seam;
using libatoll::detail::SlotBuffers;
using libatoll::detail::Tag;
using libatoll::detail::View;
using libatoll::detail::Word;

constexpr std::size_t kStepsMax = 100;

Tally steps("steps");
Tally between("changes between steps");
Tally within("changes within a step");
Tally losses("steps that said DataLoss");
Tally successes("steps that succeeded");
Tally attached("further attachments that succeeded");
Tally refused("further attachments refused");

// What else writes to the segment.
class Intruder {
 public:
  Intruder(std::span<std::byte> memory, Input& input) : memory_(memory), input_(input) {
    process::must(libatoll::detail::open_view(memory.data(), memory.size(), "", view_));
  }

  // One change, of something that the library has to look at.
  void change() {
    const std::size_t slot = input_.below(view_.slot_count);
    Header& header = *view_.header(slot);
    switch (input_.below(7)) {
      case 0:
        header.payload = draw_word();
        break;
      case 1:
        header.meta = draw_meta();
        break;
      case 2:
        header.payload = libatoll::detail::long_payload(draw_word(), input_.draw<std::uint8_t>());
        break;
      case 3:
        change_descriptor(slot);
        break;
      case 4:
        change_control(slot);
        break;
      case 5:
        put(input_.below(memory_.size()), input_.draw<std::uint8_t>());
        break;
      default:
        put(input_.below(memory_.size()) / 8 * 8, draw_word());
        break;
    }
  }

 private:
  // Small, or near an end of something.
  std::uint64_t draw_word() {
    constexpr std::uint64_t kEdges[] = {0,
                                        1,
                                        2,
                                        8,
                                        9,
                                        16,
                                        64,
                                        ~std::uint64_t{0},
                                        std::uint64_t{1} << 61,
                                        (std::uint64_t{1} << 61) - 1,
                                        std::uint64_t{1} << 63,
                                        libatoll::detail::kCapacityMax};
    switch (input_.below(3)) {
      case 0:
        return kEdges[input_.below(std::size(kEdges))];
      case 1:
        return input_.draw<std::uint8_t>();
      default:
        return input_.draw<std::uint64_t>();
    }
  }

  std::uint64_t draw_meta() {
    const auto tag = static_cast<Tag>(input_.below(16));
    const std::uint32_t inline_length = input_.flip() ? 0 : input_.draw<std::uint8_t>() % 16;
    return libatoll::detail::make_meta(draw_word(), tag, inline_length) |
           (input_.flip() ? libatoll::detail::kWaitersBit : 0);
  }

  void change_descriptor(std::size_t slot) {
    if (view_.descriptors == nullptr) {
      return;
    }
    const std::size_t offset = static_cast<std::size_t>(view_.descriptors - memory_.data()) +
                               slot * view_.descriptor_stride;
    Descriptor descriptor;
    std::memcpy(&descriptor, memory_.data() + offset, sizeof(descriptor));
    if (input_.flip()) {
      descriptor.capacity =
          input_.flip() ? draw_word() : input_.draw<std::uint8_t>() * std::uint64_t{8};
    } else {
      descriptor.buffers_offset =
          input_.flip() ? draw_word()
                        : view_.buffers_offset + input_.draw<std::uint8_t>() * std::uint64_t{8};
    }
    put(offset, descriptor);
  }

  // An owner, or a sequence.
  void change_control(std::size_t slot) {
    SlotBuffers buffers;
    if (!find_buffers(view_, slot, buffers) || buffers.count == 0) {
      return;
    }
    auto& control = buffers.control(static_cast<std::uint32_t>(input_.below(buffers.count)));
    (input_.flip() ? control.owner : control.sequence) = draw_word();
  }

  template <typename T>
  void put(std::size_t offset, const T& value) {
    std::memcpy(memory_.data() + offset, &value, std::min(sizeof(value), memory_.size() - offset));
  }

  std::span<std::byte> memory_;
  Input& input_;
  View view_;
};

// Lets the intruder in at the seams that the operations of its scope pass.
class Door {
 public:
  Door(Intruder& intruder, Input& input) : intruder_(intruder), input_(input) {
    current = this;
    libatoll::detail::seam_hook = [](Seam) { current->pass(); };
  }
  ~Door() { libatoll::detail::seam_hook = nullptr; }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;

  // An input ends, so no retry goes on for ever.
  void pass() {
    if (!input_.is_empty() && input_.flip()) {
      intruder_.change();
      within.add();
    }
  }

 private:
  static inline Door* current = nullptr;

  Intruder& intruder_;
  Input& input_;
};

// Where the list lives: in memory whose ends are watched, or where the kernel tells who lives.
struct Place {
  Place(const Plan& plan, bool is_file)
      : bytes(process::must(List::bytes_needed(plan.values, plan.options))) {
    if (!is_file) {
      block.emplace(bytes);
      list = process::must(List::create_in(block->span(), plan.values, plan.options));
      memory = block->span();
      return;
    }
    list = process::must(List::create_anonymous(plan.values, plan.options));
    mapping = process::must(libatoll::detail::map(
        process::must(libatoll::detail::duplicate(list->fd(), "")), bytes, true, ""));
    memory = {mapping.data(), mapping.size()};
  }

  absl::StatusOr<List> attach(bool read_only) const {
    const libatoll::AttachOptions options = {.read_only = read_only,
                                             .claim_timeout = absl::ZeroDuration()};
    return block ? List::attach_in(memory, options) : List::attach_fd(list->fd(), options);
  }

  std::size_t bytes;
  std::optional<Block> block;
  libatoll::detail::Mapping mapping;
  std::optional<List> list;
  std::span<std::byte> memory;
};

Code update(const Slot& slot, const Value& desired, Door& door) {
  const auto change = [&](const Value&) {
    door.pass();
    return desired;
  };
  return named(slot.update(change, 3)).status().code();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const Plan plan = draw_plan(input);
  const Place place(plan, input.below(8) == 0);
  Intruder intruder(place.memory, input);
  Player player(plan.values.size(), input);
  const List& list = *place.list;
  for (std::size_t step = 0; step < kStepsMax && !input.is_empty(); ++step) {
    steps.add();
    for (std::size_t changes = input.below(4); changes > 0; --changes) {
      intruder.change();
      between.add();
    }
    if (input.below(16) == 0) {
      const absl::StatusOr<List> other = place.attach(input.flip());
      (named(other).ok() ? attached : refused).add();
      read_whole(list);
      continue;
    }
    const Step drawn = player.draw();
    Code code;
    {
      Door door(intruder, input);
      code = drawn.call.kind == Kind::kUpdate
                 ? update(list[drawn.call.slot], draw_value(input), door)
                 : player.take(list, drawn).code;
    }
    losses.add(code == Code::kDataLoss);
    successes.add(code == Code::kOk);
    check_reads(list[drawn.call.slot]);
  }
  read_whole(list);
  return 0;
}
