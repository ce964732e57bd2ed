#include "layout.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "testing.h"

namespace libatoll::test {
namespace {

using detail::buffer_stride;
using detail::Descriptor;
using detail::kCapacityMax;
using detail::make_meta;
using detail::plan;
using detail::round_capacity;
using detail::SegmentHeader;
using detail::Shape;
using detail::Tag;
using detail::Word;

constexpr std::uint64_t kMax64 = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kMax32 = std::numeric_limits<std::uint32_t>::max();
constexpr std::string_view kLong = "text that is longer than eight bytes";

// ---- What is planned ----------------------------------------------------------------------------

TEST(RoundCapacity, IsAtLeastEightAndAMultipleOfEight) {
  EXPECT_EQ(round_capacity(0), 8U);
  EXPECT_EQ(round_capacity(1), 8U);
  EXPECT_EQ(round_capacity(8), 8U);
  EXPECT_EQ(round_capacity(9), 16U);
  EXPECT_EQ(round_capacity(16), 16U);
  EXPECT_EQ(round_capacity(17), 24U);
  EXPECT_EQ(round_capacity(kCapacityMax), kCapacityMax);
}

TEST(BufferStride, HoldsTheTextAndItsControl) {
  for (std::uint64_t capacity = 16; capacity <= 512; capacity += 8) {
    for (const Layout layout : {Layout::kPadded, Layout::kDense}) {
      const std::uint64_t alignment = detail::buffer_alignment(layout);
      const std::uint64_t stride = buffer_stride(capacity, alignment);
      EXPECT_EQ(stride % alignment, 0U);
      EXPECT_GE(stride, capacity + sizeof(detail::BufferControl));
      EXPECT_LT(stride, capacity + sizeof(detail::BufferControl) + alignment);
    }
  }
}

TEST(Plan, PartsFollowOneAnotherWithoutOverlap) {
  for (const Layout layout : {Layout::kPadded, Layout::kDense}) {
    for (const std::uint64_t slots : {0U, 1U, 2U, 3U, 5U, 63U, 1'000'000U}) {
      for (const int flags : {0, 1, 2, 3}) {
        const Shape shape = {.layout = layout,
                             .buffers_per_slot = 3,
                             .slot_count = slots,
                             .has_buffers = (flags & 1) != 0,
                             .has_pinned = (flags & 2) != 0,
                             .buffers_bytes = (flags & 1) != 0 ? 640U : 0U};
        SegmentHeader header;
        plan(shape, header);
        std::uint64_t end = sizeof(SegmentHeader);
        EXPECT_EQ(header.slots_offset, end);
        end += slots * header.slot_stride;
        if (layout == Layout::kDense && shape.has_buffers) {
          EXPECT_EQ(header.descriptors_offset, end);
          end += slots * sizeof(Descriptor);
        }
        if (shape.has_pinned) {
          EXPECT_EQ(header.wait_words_offset, end);
          end += slots * sizeof(std::uint32_t);
        }
        EXPECT_GE(header.buffers_offset, end);
        EXPECT_LT(header.buffers_offset, end + detail::kCacheLine);
        EXPECT_EQ(header.buffers_offset % detail::kCacheLine, 0U);
        EXPECT_EQ(header.total_bytes, header.buffers_offset + shape.buffers_bytes);
      }
    }
  }
}

TEST(Plan, OfADenseListOfNumbersTakesSixteenBytesASlot) {
  EXPECT_EQ(must(List::bytes_needed(fill(1'000'000, 0), {.layout = Layout::kDense})),
            sizeof(SegmentHeader) + 16'000'000);
}

TEST(Plan, OfAPaddedListTakesACacheLineASlot) {
  EXPECT_EQ(must(List::bytes_needed(fill(1'000, 0), {.layout = Layout::kPadded})),
            sizeof(SegmentHeader) + 64'000);
}

// ---- Segments of every kind ---------------------------------------------------------------------

class LayoutTest : public testing::TestWithParam<Layout> {
 protected:
  static CreateOptions options() {
    return {.layout = GetParam(), .claim_timeout = absl::ZeroDuration()};
  }

  static std::vector<Init> values() {
    return {text(kLong, 64), 7, pinned(3), true, bytes(100), "short"};
  }

  // The bytes of a list that is whole.
  static std::string whole_segment() {
    Memory memory(must(List::bytes_needed(values(), options())));
    const List list = must(List::create_in(memory.span(), values(), options()));
    return {reinterpret_cast<const char*>(memory.data()), memory.span().size()};
  }
};

INSTANTIATE_TEST_SUITE_P(Layouts, LayoutTest, testing::Values(Layout::kPadded, Layout::kDense),
                         name_of);

TEST_P(LayoutTest, BuffersLieInsideTheSegmentAndApart) {
  for (const int buffers_per_slot : {2, 3, 8}) {
    std::vector<Init> inits;
    for (std::size_t capacity = 0; capacity <= 300; capacity += 7) {
      inits.push_back(text(capacity));
      inits.push_back(pinned(1));
    }
    CreateOptions with = options();
    with.buffers_per_slot = buffers_per_slot;
    Memory memory(must(List::bytes_needed(inits, with)));
    const List list = must(List::create_in(memory.span(), inits, with));
    Raw raw(memory.span());
    std::size_t end = raw.segment().buffers_offset;
    for (std::size_t i = 0; i < inits.size(); ++i) {
      const detail::SlotBuffers buffers = raw.buffers(i);
      if (inits[i].capacity().value_or(0) <= 8) {
        EXPECT_EQ(buffers.count, 0U);
        continue;
      }
      EXPECT_EQ(buffers.count, static_cast<std::uint32_t>(buffers_per_slot));
      EXPECT_EQ(buffers.capacity, round_capacity(*inits[i].capacity()));
      EXPECT_EQ(static_cast<std::size_t>(buffers.first - memory.data()), end);
      end += buffers.count * buffers.stride;
    }
    EXPECT_EQ(end, list.bytes());
    EXPECT_EQ(end, memory.span().size());
  }
}

TEST_P(LayoutTest, AListOfNothingIsAList) {
  const Name name;
  const List list = must(List::create(name, std::vector<Init>(), options()));
  EXPECT_EQ(list.size(), 0U);
  EXPECT_EQ(list.bytes(), sizeof(SegmentHeader));
  EXPECT_EQ(must(List::attach(name)).size(), 0U);
}

TEST_P(LayoutTest, AnOpenListKeepsToTheHeaderItValidated) {
  const Name name;
  const List list = must(List::create(name, values(), options()));
  Raw raw(name);
  std::fill_n(raw.bytes().data(), offsetof(SegmentHeader, mutable_line), std::byte{0xff});
  const std::string other = "other text, and just as long";
  EXPECT_EQ(must(list[0].load<std::string>()), kLong);
  EXPECT_TRUE(succeeds(list[0].store(other)));
  EXPECT_EQ(must(list[0].load<std::string>()), other);
  EXPECT_EQ(must(list[2].fetch_add(1)), 3);
  EXPECT_TRUE(fails(List::attach(name), Code::kDataLoss, {"magic"}));
}

// ---- Files that are no lists --------------------------------------------------------------------

TEST_P(LayoutTest, AFileShorterThanAHeaderIsNoList) {
  const std::string segment = whole_segment();
  const Name name;
  for (std::size_t size = 0; size < sizeof(SegmentHeader); ++size) {
    write_file(name.path(), segment.substr(0, size));
    ASSERT_TRUE(fails(List::attach(name), Code::kDataLoss,
                      {name, absl::StrFormat("size is %d, expected 192", size)}));
  }
}

TEST_P(LayoutTest, AFileCutShortIsNoList) {
  const std::string segment = whole_segment();
  const Name name;
  for (std::size_t size = sizeof(SegmentHeader); size < segment.size(); ++size) {
    write_file(name.path(), segment.substr(0, size));
    ASSERT_TRUE(fails(List::attach(name, {.read_only = size % 2 == 0}), Code::kDataLoss,
                      {name, "cut short", absl::StrFormat("total_bytes is %d", segment.size()),
                       absl::StrFormat("there are %d", size)}));
  }
}

TEST_P(LayoutTest, AFileThatIsLongerIsAList) {
  const Name name;
  write_file(name.path(), whole_segment() + std::string(10'000, '\xff'));
  const List list = must(List::attach(name));
  EXPECT_EQ(must(list[0].load<std::string>()), kLong);
}

TEST_P(LayoutTest, MemoryCutShortIsNoList) {
  const std::string segment = whole_segment();
  Memory memory(segment.size());
  std::memcpy(memory.data(), segment.data(), segment.size());
  for (std::size_t size = 0; size < segment.size(); ++size) {
    ASSERT_TRUE(fails(List::attach_in(memory.span().first(size)), Code::kDataLoss,
                      {"the unnamed list", size < sizeof(SegmentHeader) ? "size" : "total_bytes"}));
  }
  EXPECT_TRUE(succeeds(List::attach_in(memory.span())));
}

std::string random_bytes(std::uint32_t seed, std::size_t size) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(random());
  }
  return bytes;
}

TEST(RandomFile, IsNoList) {
  const Name name;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    write_file(name.path(), random_bytes(seed, 4'096));
    ASSERT_TRUE(fails(List::attach(name), Code::kDataLoss, {name, "magic"}));
    ASSERT_TRUE(fails(List::attach(name, {.read_only = true}), Code::kDataLoss, {name, "magic"}));
  }
}

TEST_P(LayoutTest, RandomBytesBehindATrueMagicAreNoList) {
  const std::string segment = whole_segment();
  const Name name;
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    // As far as the magic, and as far as the fingerprint.
    const std::string bytes = random_bytes(seed, segment.size());
    write_file(name.path(), segment.substr(0, 8) + bytes.substr(8));
    ASSERT_TRUE(fails(List::attach(name), Code::kFailedPrecondition, {name, "layout_version"}));
    write_file(name.path(), segment.substr(0, 24) + bytes.substr(24));
    ASSERT_TRUE(fails(List::attach(name), Code::kDataLoss, {name, "is not a list"}));
  }
}

// ---- Each field of the header -------------------------------------------------------------------

struct Field {
  std::string_view name;
  std::size_t offset;
  std::size_t size;
};

#define ATOLL_FIELD(field) \
  Field { #field, offsetof(SegmentHeader, field), sizeof(SegmentHeader::field) }

// A value for a field, and the error that it gives. A value that is in bounds, but contradicts
// another field, may be reported as that one.
struct Forgery {
  Field field;
  std::uint64_t value;
  Code code;
  std::string_view named;
};

std::vector<Forgery> forgeries(const SegmentHeader& whole) {
  std::vector<Forgery> all;
  const auto add = [&all](const Field& field, std::initializer_list<std::uint64_t> values,
                          Code code, std::string_view named = "") {
    for (const std::uint64_t value : values) {
      all.push_back({field, value, code, named.empty() ? field.name : named});
    }
  };
  const bool padded = whole.slot_stride == 64;
  const Code loss = Code::kDataLoss;
  const Code other = Code::kFailedPrecondition;

  add(ATOLL_FIELD(magic), {0, whole.magic + 1, kMax64}, loss);
  add(ATOLL_FIELD(layout_version), {0, whole.layout_version + 1, kMax32}, other);
  add(ATOLL_FIELD(header_bytes), {0, whole.header_bytes + 1, kMax32}, loss);
  add(ATOLL_FIELD(fingerprint), {0, whole.fingerprint + 1, kMax64}, other);
  add(ATOLL_FIELD(total_bytes),
      {0, 1, whole.total_bytes - 1, whole.total_bytes + 1, std::uint64_t{1} << 62, kMax64}, loss);
  add(ATOLL_FIELD(slot_count), {(std::uint64_t{1} << 40) + 1, std::uint64_t{1} << 60, kMax64},
      loss);
  add(ATOLL_FIELD(slot_count),
      {0, whole.slot_count - 1, whole.slot_count + 1, std::uint64_t{1} << 40}, loss,
      padded ? "wait_words_offset" : "descriptors_offset");
  add(ATOLL_FIELD(slot_stride), {0, 1, 15, 32, whole.slot_stride + 1, 128, kMax32}, loss);
  add(ATOLL_FIELD(slot_stride), {padded ? 16U : 64U}, loss, "descriptors_offset");
  add(ATOLL_FIELD(buffers_per_slot), {0, 1, 9, 256, kMax32}, loss);
  add(ATOLL_FIELD(slots_offset), {0, 64, whole.slots_offset + 1, whole.total_bytes, kMax64}, loss);
  add(ATOLL_FIELD(descriptors_offset),
      {1, whole.descriptors_offset - 16, whole.descriptors_offset + 1, whole.total_bytes, kMax64},
      loss);
  add(ATOLL_FIELD(descriptors_offset), {0}, loss,
      padded ? "descriptors_offset" : "descriptor_stride");
  add(ATOLL_FIELD(descriptor_stride), {0, 8, whole.descriptor_stride + 1, kMax64}, loss);
  add(ATOLL_FIELD(wait_words_offset),
      {0, whole.wait_words_offset + 1, whole.wait_words_offset + 4, whole.total_bytes, kMax64},
      loss);
  add(ATOLL_FIELD(wait_word_stride), {1, whole.wait_word_stride + 1, 1 << 20, kMax64}, loss);
  add(ATOLL_FIELD(wait_word_stride), {0}, loss, "wait_words_offset");
  add(ATOLL_FIELD(buffers_offset),
      {0, 64, whole.buffers_offset + 1, whole.buffers_offset + 64, whole.total_bytes, kMax64},
      loss);
  add(ATOLL_FIELD(buffers_bytes), {(std::uint64_t{1} << 60) + 1, kMax64}, loss);
  add(ATOLL_FIELD(buffers_bytes),
      {0, whole.buffers_bytes - 1, whole.buffers_bytes + 1, std::uint64_t{1} << 60}, loss,
      "total_bytes");
  add(ATOLL_FIELD(reserved), {1, kMax64}, loss);
  return all;
}

TEST_P(LayoutTest, AHeaderFieldOutOfBoundsIsNamed) {
  const std::string segment = whole_segment();
  SegmentHeader whole;
  std::memcpy(static_cast<void*>(&whole), segment.data(), sizeof(whole));
  const Name name;
  const Held before = held();
  std::size_t fields_bytes = 0;
  std::string_view last;
  for (const Forgery& forgery : forgeries(whole)) {
    SCOPED_TRACE(absl::StrFormat("%s = %d", forgery.field.name, forgery.value));
    if (forgery.field.name != last) {
      fields_bytes += forgery.field.size;
      last = forgery.field.name;
    }
    std::string forged = segment;
    std::memcpy(forged.data() + forgery.field.offset, &forgery.value, forgery.field.size);
    ASSERT_NE(forged, segment);
    write_file(name.path(), forged);
    const std::string named = std::string(forgery.named) + " is ";
    EXPECT_TRUE(fails(List::attach(name), forgery.code, {"list '" + name.str() + "'", named}));
    EXPECT_TRUE(fails(List::attach(name, {.read_only = true}), forgery.code, {named}));
    EXPECT_EQ(read_file(name.path()), forged);

    Memory memory(forged.size());
    std::memcpy(memory.data(), forged.data(), forged.size());
    EXPECT_TRUE(fails(List::attach_in(memory.span()), forgery.code, {"the unnamed list", named}));
  }
  EXPECT_EQ(held(), before);
  EXPECT_EQ(fields_bytes, offsetof(SegmentHeader, reserved) + sizeof(whole.reserved))
      << "a field of the header is missing from the forgeries";
}

// Calls everything that reads or writes a slot, and tells the codes that are no answers to give.
void use(const List& list) {
  std::vector<char> room(256);
  const auto is_answer = [](const auto& result) {
    switch (status_of(result).code()) {
      case Code::kOk:
      case Code::kDataLoss:
      case Code::kFailedPrecondition:
      case Code::kResourceExhausted:
      case Code::kDeadlineExceeded:
        return true;
      default:
        return false;
    }
  };
  for (const Slot slot : list) {
    ASSERT_TRUE(is_answer(slot.load()));
    ASSERT_TRUE(is_answer(slot.load<std::int64_t>()));
    ASSERT_TRUE(is_answer(slot.load<std::string>()));
    ASSERT_TRUE(is_answer(slot.load<Bytes>()));
    ASSERT_TRUE(is_answer(slot.load_into(room)));
    ASSERT_TRUE(is_answer(slot.type()));
    ASSERT_TRUE(is_answer(slot.capacity()));
    ASSERT_TRUE(is_answer(slot.fetch_add(1)));
    ASSERT_TRUE(is_answer(slot.fetch_max(0.5)));
    ASSERT_TRUE(is_answer(slot.compare_exchange(kLong, "x")));
    ASSERT_TRUE(is_answer(slot.compare_exchange("x", kLong)));
    ASSERT_TRUE(is_answer(slot.exchange("another text of many bytes")));
    ASSERT_TRUE(is_answer(slot.store(kLong)));
    ASSERT_TRUE(is_answer(slot.store(1)));
  }
  ASSERT_TRUE(is_answer(list.count(kLong)));
  ASSERT_TRUE(is_answer(list.index(7)));
  ASSERT_TRUE(is_answer(list.format()));
  ASSERT_FALSE(list.to_string().empty());
}

TEST_P(LayoutTest, AnyByteOfTheHeaderChangedIsRefusedOrHarmless) {
  const std::string segment = whole_segment();
  Memory memory(segment.size());
  int accepted = 0;
  for (std::size_t at = 0; at < offsetof(SegmentHeader, mutable_line); ++at) {
    for (int change = 1; change < 256; ++change) {
      SCOPED_TRACE(absl::StrFormat("byte %d changed by %d", at, change));
      std::memcpy(memory.data(), segment.data(), segment.size());
      memory.data()[at] ^= static_cast<std::byte>(change);
      const absl::StatusOr<List> list =
          List::attach_in(memory.span(), {.claim_timeout = absl::ZeroDuration()});
      if (list.ok()) {
        ++accepted;
        // The number of buffers within its bounds contradicts nothing; the rest is unused.
        ASSERT_TRUE(at == offsetof(SegmentHeader, buffers_per_slot) ||
                    at >= offsetof(SegmentHeader, reserved) + sizeof(SegmentHeader::reserved));
        if (at == offsetof(SegmentHeader, buffers_per_slot)) {
          use(*list);
        }
      } else {
        ASSERT_TRUE(absl::IsDataLoss(list.status()) || absl::IsFailedPrecondition(list.status()))
            << list.status();
      }
    }
  }
  EXPECT_GE(accepted, 6);
}

TEST_P(LayoutTest, AnImpossibleCountOfParticipantsIsDataLoss) {
  const std::uint64_t last = (std::uint64_t{1} << 61) - 1;
  for (const std::uint64_t count : {last, last + 1, std::uint64_t{1} << 63, kMax64}) {
    SCOPED_TRACE(count);
    const Name name;
    const List list = must(List::create(name, values(), options()));
    Raw(name).segment().mutable_line.participants = count;
    EXPECT_TRUE(fails(List::attach(name), Code::kDataLoss, {name, "count of participants"}));
    EXPECT_TRUE(succeeds(List::attach(name, {.read_only = true})));
    EXPECT_EQ(must(list[0].load<std::string>()), kLong);

    Memory memory(must(List::bytes_needed(values(), options())));
    must(List::create_in(memory.span(), values(), options()));
    Raw(memory.span()).segment().mutable_line.participants = count;
    EXPECT_TRUE(fails(List::attach_in(memory.span()), Code::kDataLoss, {"count of participants"}));
  }
}

TEST_P(LayoutTest, ACountOfParticipantsThatWasSetBackIsSurvived) {
  const Name name;
  const List list = must(List::create(name, values(), options()));
  const List second = must(List::attach(name));
  Raw(name).segment().mutable_line.participants = 0;
  const List third = must(List::attach(name));
  EXPECT_EQ(Raw(name).segment().mutable_line.participants, 3U) << "1 and 2 live still";
  EXPECT_TRUE(succeeds(third[0].store("a text of the third, long enough")));
}

// ---- Descriptors --------------------------------------------------------------------------------

class ForgedSlotTest : public LayoutTest {
 protected:
  static constexpr std::size_t kForged = 0;  // holds long text
  static constexpr std::size_t kIntact = 4;  // has buffers too

  ForgedSlotTest()
      : memory_(must(List::bytes_needed(values(), options()))),
        list_(must(List::create_in(memory_.span(), values(), options()))),
        raw_(memory_.span()) {}

  Slot slot() const { return list_[kForged]; }

  void expect_neighbours_intact() {
    EXPECT_EQ(must(list_[1].load<std::int64_t>()), 7);
    EXPECT_TRUE(succeeds(list_[kIntact].store(Bytes(std::string(100, 'b')))));
    EXPECT_EQ(must(list_[kIntact].load<Bytes>()), Bytes(std::string(100, 'b')));
  }

  Memory memory_;
  List list_;
  Raw raw_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, ForgedSlotTest, testing::Values(Layout::kPadded, Layout::kDense),
                         name_of);

TEST_P(ForgedSlotTest, AnImpossibleDescriptorIsDataLossWhereItMatters) {
  const Descriptor whole = raw_.descriptor(kForged);
  const std::uint64_t total = list_.bytes();
  const std::uint64_t buffers = raw_.segment().buffers_offset;
  std::vector<Descriptor> forged;
  for (const std::uint64_t offset :
       {std::uint64_t{0}, std::uint64_t{8}, buffers - 8, buffers + 1, buffers + 4, total - 8, total,
        total + 8, std::uint64_t{1} << 62, kMax64 - 7, kMax64}) {
    forged.push_back({offset, whole.capacity});
  }
  for (const std::uint64_t capacity :
       {std::uint64_t{0}, std::uint64_t{8}, whole.capacity - 1, whole.capacity + 1, total,
        kCapacityMax, kCapacityMax + 8, std::uint64_t{1} << 62, kMax64 - 7, kMax64}) {
    forged.push_back({whole.buffers_offset, capacity});
  }
  const Word before = raw_.word(kForged);
  char room[64];
  for (const Descriptor& descriptor : forged) {
    SCOPED_TRACE(absl::StrFormat("%d bytes at %d", descriptor.capacity, descriptor.buffers_offset));
    raw_.descriptor(kForged) = descriptor;
    const auto is_lost = [](const auto& result) {
      return fails(result, Code::kDataLoss, {"slot 0", "the unnamed list", "capacity"});
    };
    EXPECT_TRUE(is_lost(slot().load()));
    EXPECT_TRUE(is_lost(slot().load<std::string>()));
    EXPECT_TRUE(is_lost(slot().load_into(room)));
    EXPECT_TRUE(is_lost(slot().capacity()));
    EXPECT_TRUE(is_lost(slot().store("a text of more than eight bytes")));
    EXPECT_TRUE(is_lost(slot().exchange("a text of more than eight bytes")));
    EXPECT_TRUE(is_lost(slot().exchange(1)));
    EXPECT_TRUE(is_lost(slot().compare_exchange(kLong, 1)));
    EXPECT_TRUE(is_lost(list_.count(kLong)));
    EXPECT_TRUE(is_lost(list_.format()));
    EXPECT_EQ(list_.to_string().substr(0, 17), "List([<DataLoss>,");
    EXPECT_EQ(raw_.word(kForged), before);
    expect_neighbours_intact();
  }
  EXPECT_TRUE(succeeds(slot().store(1))) << "what needs no buffer does not look at them";
  EXPECT_EQ(must(slot().load<std::int64_t>()), 1);
}

TEST_P(ForgedSlotTest, OtherNumbersOfBuffersInsideTheSegmentAreSurvived) {
  raw_.descriptor(kForged).capacity = 96;  // reaches into the next slot's buffers
  use(list_);
}

// ---- Headers ------------------------------------------------------------------------------------

class ForgedHeaderTest : public ForgedSlotTest {
 protected:
  void forge(std::uint64_t payload, Tag tag, std::uint32_t inline_length = 0) {
    raw_.forge(kForged, {payload, make_meta(5, tag, inline_length)});
  }
  static testing::AssertionResult is_lost(const auto& result) {
    return fails(result, Code::kDataLoss, {"slot 0", "the unnamed list", "impossible"});
  }
  // A write that succeeds makes the slot whole.
  void expect_store_repairs() {
    const Word forged = raw_.word(kForged);
    EXPECT_TRUE(succeeds(slot().store(1)));
    EXPECT_EQ(must(slot().load<std::int64_t>()), 1);
    raw_.forge(kForged, forged);
    EXPECT_TRUE(succeeds(slot().store(kLong)));
    EXPECT_EQ(must(slot().load<std::string>()), kLong);
    EXPECT_EQ(slot().version(), 6U);
    expect_neighbours_intact();
  }
};

INSTANTIATE_TEST_SUITE_P(Layouts, ForgedHeaderTest,
                         testing::Values(Layout::kPadded, Layout::kDense), name_of);

TEST_P(ForgedHeaderTest, AnUnknownTagIsDataLossForEverybody) {
  char room[64];
  for (const int tag : {0, 11, 12, 13, 14, 15}) {
    SCOPED_TRACE(tag);
    forge(detail::long_payload(9, 0), static_cast<Tag>(tag));
    const Word before = raw_.word(kForged);
    EXPECT_TRUE(is_lost(slot().load()));
    EXPECT_TRUE(is_lost(slot().load<bool>()));
    EXPECT_TRUE(is_lost(slot().load<std::int64_t>()));
    EXPECT_TRUE(is_lost(slot().load<double>()));
    EXPECT_TRUE(is_lost(slot().load<std::string>()));
    EXPECT_TRUE(is_lost(slot().load<Bytes>()));
    EXPECT_TRUE(is_lost(slot().load_into(room)));
    EXPECT_TRUE(is_lost(slot().type()));
    EXPECT_TRUE(is_lost(slot().store(1)));
    EXPECT_TRUE(is_lost(slot().store(kLong)));
    EXPECT_TRUE(is_lost(slot().exchange(1)));
    EXPECT_TRUE(is_lost(slot().compare_exchange(1, 2)));
    EXPECT_TRUE(is_lost(slot().fetch_add(1)));
    EXPECT_TRUE(is_lost(slot().fetch_sub(1)));
    EXPECT_TRUE(is_lost(slot().fetch_xor(1)));
    EXPECT_TRUE(is_lost(slot().fetch_min(1)));
    EXPECT_TRUE(is_lost(slot().fetch_add(0.5)));
    EXPECT_TRUE(is_lost(list_.count(1)));
    EXPECT_TRUE(is_lost(list_.index(7)));
    EXPECT_TRUE(is_lost(list_.format()));
    EXPECT_TRUE(is_lost(list_.counter(0)));
    EXPECT_EQ(list_.to_string().substr(0, 17), "List([<DataLoss>,");
    EXPECT_EQ(raw_.word(kForged), before);
    expect_neighbours_intact();
  }
}

TEST_P(ForgedHeaderTest, ShortTextThatIsTooLongIsDataLossUntilAStore) {
  char room[64];
  for (std::uint32_t length = 9; length <= 15; ++length) {
    for (const Tag tag : {Tag::kInlineText, Tag::kInlineBytes}) {
      forge(0x4141'4141'4141'4141, tag, length);
      const Word before = raw_.word(kForged);
      EXPECT_TRUE(is_lost(slot().load()));
      EXPECT_TRUE(is_lost(slot().load_into(room)));
      EXPECT_TRUE(tag == Tag::kInlineText ? is_lost(slot().load<std::string>())
                                          : is_lost(slot().load<Bytes>()));
      EXPECT_TRUE(is_lost(slot().exchange(1)));
      EXPECT_TRUE(is_lost(slot().compare_exchange("AAAAAAAA", 1)));
      EXPECT_TRUE(is_lost(list_.count("AAAAAAAA")));
      EXPECT_EQ(raw_.word(kForged), before);
      expect_store_repairs();
    }
  }
}

TEST_P(ForgedHeaderTest, ABoolThatIsNeitherIsDataLossUntilAStore) {
  for (const std::uint64_t payload : {std::uint64_t{2}, std::uint64_t{256}, kMax64}) {
    forge(payload, Tag::kBool);
    const Word before = raw_.word(kForged);
    EXPECT_TRUE(is_lost(slot().load()));
    EXPECT_TRUE(is_lost(slot().load<bool>()));
    EXPECT_TRUE(is_lost(slot().exchange(true)));
    EXPECT_TRUE(is_lost(slot().compare_exchange(true, false)));
    EXPECT_TRUE(is_lost(list_.count(true)));
    EXPECT_TRUE(is_lost(list_.index(1)));
    EXPECT_EQ(raw_.word(kForged), before);
    expect_store_repairs();
  }
}

// Each value has one form, so a header with anything in the bits that its type has no use for is none.
TEST_P(ForgedHeaderTest, BitsThatATypeHasNoUseForAreDataLossUntilAStore) {
  const Word forged[] = {
      {7, make_meta(5, Tag::kInt64, 1)},
      {detail::to_bits(0.5), make_meta(5, Tag::kDouble, 8)},
      {1, make_meta(5, Tag::kBool, 15)},
      {0, make_meta(5, Tag::kNone, 2)},
      {1, make_meta(5, Tag::kNone)},
      {0x41'4141, make_meta(5, Tag::kInlineText, 2)},
      {std::uint64_t{1} << 56, make_meta(5, Tag::kInlineBytes, 7)},
      {1, make_meta(5, Tag::kInlineText, 0)},
      {detail::long_payload(9, 0), make_meta(5, Tag::kLongText, 4)},
      {detail::long_payload(9, 0), make_meta(5, Tag::kLongBytes, 1)},
  };
  const Value expected[] = {7,  0.5, true,   Value(), Value(), "AA", Bytes("\0\0\0\0\0\0\0", 7),
                            "", "",  Bytes()};
  char room[64];
  for (std::size_t i = 0; i < std::size(forged); ++i) {
    SCOPED_TRACE(i);
    raw_.forge(kForged, forged[i]);
    const Type type = must(slot().type());
    EXPECT_TRUE(is_lost(slot().load()));
    EXPECT_TRUE(is_lost(slot().load_stamped()));
    EXPECT_TRUE(is_lost(slot().exchange(1)));
    EXPECT_TRUE(is_lost(slot().update([](const Value& seen) { return seen; })));
    EXPECT_TRUE(is_lost(slot().compare_exchange(expected[i], 1)));
    EXPECT_TRUE(is_lost(list_.count(expected[i])));
    EXPECT_TRUE(is_lost(list_.index(expected[i])));
    EXPECT_TRUE(is_lost(list_.snapshot()));
    switch (type) {
      case Type::kNone:
        break;
      case Type::kBool:
        EXPECT_TRUE(is_lost(slot().load<bool>()));
        break;
      case Type::kInt64: {
        std::int64_t number = 0;
        EXPECT_TRUE(is_lost(slot().load<std::int64_t>()));
        EXPECT_TRUE(is_lost(slot().fetch_add(1)));
        EXPECT_TRUE(is_lost(slot().fetch_max(1)));
        EXPECT_TRUE(is_lost(list_.load_range(kForged, std::span(&number, 1))));
        EXPECT_TRUE(is_lost(list_.snapshot<std::int64_t>()));
        break;
      }
      case Type::kDouble: {
        double number = 0;
        EXPECT_TRUE(is_lost(slot().load<double>()));
        EXPECT_TRUE(is_lost(slot().fetch_add(0.5)));
        EXPECT_TRUE(is_lost(list_.load_range(kForged, std::span(&number, 1))));
        EXPECT_TRUE(is_lost(list_.snapshot<double>()));
        break;
      }
      case Type::kText:
        EXPECT_TRUE(is_lost(slot().load<std::string>()));
        EXPECT_TRUE(is_lost(slot().load_into(room)));
        break;
      case Type::kBytes:
        EXPECT_TRUE(is_lost(slot().load<Bytes>()));
        EXPECT_TRUE(is_lost(slot().load_into(room)));
        break;
    }
    EXPECT_EQ(raw_.word(kForged), forged[i]);
    expect_store_repairs();
  }
}

// Nor is it told to be versioned: a store through it would change the type of a slot that others have
// a Counter of.
TEST_P(ForgedHeaderTest, APinnedSlotWithAnInlineLengthIsDataLossForEverybody) {
  for (const Tag tag : {Tag::kPinnedInt64, Tag::kPinnedDouble}) {
    forge(7, tag, 3);
    const Word before = raw_.word(kForged);
    std::int64_t number = 1;
    EXPECT_TRUE(is_lost(slot().load()));
    EXPECT_TRUE(is_lost(tag == Tag::kPinnedInt64 ? slot().load<std::int64_t>().status()
                                                 : slot().load<double>().status()));
    EXPECT_TRUE(is_lost(tag == Tag::kPinnedInt64 ? slot().fetch_add(1).status()
                                                 : slot().fetch_add(1.0).status()));
    EXPECT_TRUE(is_lost(slot().store(1)));
    EXPECT_TRUE(is_lost(slot().store(kLong)));
    EXPECT_TRUE(is_lost(slot().exchange(1)));
    EXPECT_TRUE(is_lost(slot().compare_exchange(7, 1)));
    EXPECT_TRUE(is_lost(list_.count(7)));
    EXPECT_TRUE(is_lost(list_.store_range(kForged, std::span<const std::int64_t>(&number, 1))));
    EXPECT_TRUE(fails(list_.counter(kForged), Code::kFailedPrecondition, {"slot 0"}));
    EXPECT_EQ(raw_.word(kForged), before);
    expect_neighbours_intact();
  }
}

TEST_P(ForgedHeaderTest, LongTextThatCannotBeIsDataLossUntilAStore) {
  char room[64];
  for (const auto& [length, buffer] :
       std::vector<std::pair<std::uint64_t, std::uint32_t>>{{65, 0},
                                                            {1 << 20, 1},
                                                            {detail::kLongLengthMax, 0},
                                                            {8, 0},
                                                            {0, 1},
                                                            {9, 3},
                                                            {9, 8},
                                                            {9, 255},
                                                            {detail::kLongLengthMax, 255}}) {
    for (const Tag tag : {Tag::kLongText, Tag::kLongBytes}) {
      SCOPED_TRACE(absl::StrFormat("%d bytes in buffer %d", length, buffer));
      forge(detail::long_payload(length, buffer), tag);
      const Word before = raw_.word(kForged);
      EXPECT_TRUE(is_lost(slot().load()));
      EXPECT_TRUE(is_lost(slot().load_into(room)));
      EXPECT_TRUE(tag == Tag::kLongText ? is_lost(slot().load<std::string>())
                                        : is_lost(slot().load<Bytes>()));
      EXPECT_TRUE(is_lost(slot().exchange(1)));
      EXPECT_TRUE(is_lost(slot().exchange(kLong)));
      EXPECT_TRUE(is_lost(slot().compare_exchange(kLong, 1)));
      EXPECT_TRUE(is_lost(list_.count(kLong)));
      EXPECT_EQ(raw_.word(kForged), before);
      expect_store_repairs();
    }
  }
}

TEST_P(ForgedHeaderTest, LongTextInASlotWithoutBuffersIsDataLossUntilAStore) {
  for (const std::uint64_t length : {0U, 1U, 8U, 9U}) {
    raw_.forge(1, {detail::long_payload(length, 0), make_meta(5, Tag::kLongText)});
    EXPECT_TRUE(fails(list_[1].load(), Code::kDataLoss, {"slot 1", "impossible"}));
    EXPECT_TRUE(fails(list_[1].store(kLong), Code::kResourceExhausted, {"slot 1", "8 bytes"}));
    EXPECT_TRUE(succeeds(list_[1].store("short")));
    EXPECT_EQ(must(list_[1].load<std::string>()), "short");
  }
}

TEST_P(ForgedHeaderTest, LongTextInAListWithoutAnyBuffersIsDataLoss) {
  const List list = must(List::create_anonymous({1, 2}, options()));
  Raw raw(list.fd());
  raw.forge(0, {detail::long_payload(9, 0), make_meta(0, Tag::kLongBytes)});
  EXPECT_TRUE(fails(list[0].load(), Code::kDataLoss, {"slot 0", "impossible"}));
  EXPECT_EQ(must(list[1].load<std::int64_t>()), 2);
}

TEST_P(ForgedHeaderTest, TheMessageShowsTheBytes) {
  forge(0x1234, static_cast<Tag>(15));
  EXPECT_TRUE(
      fails(slot().load(), Code::kDataLoss, {"payload 0x0000000000001234", "0x0000000000000a0f"}));
}

TEST_P(ForgedHeaderTest, TheVersionAfterTheLastIsTheFirst) {
  raw_.forge(kForged, {1, make_meta((std::uint64_t{1} << 55) - 1, Tag::kInt64)});
  EXPECT_EQ(must(slot().fetch_add(1)), 1);
  EXPECT_EQ(slot().version(), 0U);
  EXPECT_EQ(must(slot().load<std::int64_t>()), 2);
}

TEST_P(ForgedHeaderTest, RandomSlotsAndBuffersAreSurvived) {
  const std::string segment = whole_segment();
  for (std::uint32_t seed = 0; seed < 1'000; ++seed) {
    SCOPED_TRACE(absl::StrFormat("seed %d", seed));
    std::memcpy(memory_.data(), segment.data(), segment.size());
    // Everything behind the header that was validated, or only some bytes of it.
    std::mt19937 random(seed);
    const std::size_t first = sizeof(SegmentHeader);
    const std::string bytes = random_bytes(seed, segment.size());
    if (seed % 2 == 0) {
      std::memcpy(memory_.data() + first, bytes.data() + first, segment.size() - first);
    } else {
      for (int i = 0; i < 16; ++i) {
        const std::size_t at = first + random() % (segment.size() - first);
        memory_.data()[at] = static_cast<std::byte>(bytes[at]);
      }
    }
    use(list_);
    ASSERT_FALSE(HasFatalFailure());
  }
}

}  // namespace
}  // namespace libatoll::test
