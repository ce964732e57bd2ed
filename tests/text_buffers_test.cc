#include "text_buffers.h"

#include <sys/mman.h>

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/time.h"
#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "shared_copy.h"
#include "testing.h"

namespace libatoll::test {
namespace {

using detail::BufferControl;
using detail::Header;
using detail::Participant;
using detail::read_text;
using detail::Seam;
using detail::StagedText;
using detail::StageResult;
using detail::Tag;
using detail::Word;

constexpr std::string_view kOld = "the old text, which is whole";
constexpr std::string_view kNew = "the new text, longer than the old one";
// Of numbers that no participant of these tests ever has.
constexpr std::uint64_t kDead = 4'711;

// Takes `step` at the first pass of `seam`, in the middle of whatever passes it.
class AtSeam {
 public:
  AtSeam(Seam seam, std::function<void()> step) : seam_(seam), step_(std::move(step)) {
    armed() = this;
    detail::seam_hook = [](Seam passed) {
      if (AtSeam* const due = armed(); due != nullptr && due->seam_ == passed) {
        armed() = nullptr;
        due->step_();
      }
    };
  }
  ~AtSeam() {
    detail::seam_hook = nullptr;
    EXPECT_NE(armed(), this) << "the seam was never passed";
    armed() = nullptr;
  }
  AtSeam(const AtSeam&) = delete;
  AtSeam& operator=(const AtSeam&) = delete;

 private:
  static AtSeam*& armed() {
    static AtSeam* armed = nullptr;
    return armed;
  }

  Seam seam_;
  std::function<void()> step_;
};

// The file whose locks tell who lives, and the counter of numbers.
class Club {
 public:
  Club() : file_(memfd_create("atoll-test", MFD_CLOEXEC)) {}

  void join(Participant& participant) {
    detail::File own = must(detail::reopen(file_.fd(), {}, "the club"));
    must(participant.join(own.release(), numbers_, true, "the club"));
  }

 private:
  detail::File file_;
  std::atomic<std::uint64_t> numbers_ = 0;
};

// One slot with its buffers, in ordinary memory, and two participants.
class TextBuffersTest : public testing::TestWithParam<std::uint32_t> {
 protected:
  static constexpr std::uint64_t kCapacity = 64;

  TextBuffersTest()
      : stride_(detail::buffer_stride(kCapacity, detail::kCacheLine)),
        memory_(stride_ * GetParam()),
        buffers_{memory_.data(), kCapacity, stride_, GetParam()} {
    club_.join(self_);
    club_.join(other_);
    detail::initialize(header_, {0, detail::make_meta(0, Tag::kNone)});
  }

  BufferControl& control(std::uint32_t index) { return buffers_.control(index); }
  std::uint64_t owner(std::uint32_t index) { return detail::peek_owner(control(index)); }

  // A header that names `text` in buffer `index`, as a completed store leaves it.
  void make_current(std::uint32_t index, std::string_view text, std::uint64_t version) {
    detail::copy_to_shared(buffers_.text(index), text);
    detail::initialize(header_, {detail::long_payload(text.size(), index),
                                 detail::make_meta(version, Tag::kLongText)});
  }

  // Forges a claim on every buffer that is not current.
  void claim_all_but_current(std::uint64_t number) {
    const Word seen = detail::read(header_);
    for (std::uint32_t i = 0; i < buffers_.count; ++i) {
      control(i).owner = seen.names_buffer(i) ? detail::kNoOwner : number;
    }
  }

  StageResult stage(StagedText& staged, std::string_view text,
                    absl::Duration timeout = absl::Milliseconds(2)) {
    return staged.stage(header_, buffers_, text, self_, timeout);
  }

  static std::uint32_t buffer_of(const StagedText& staged) {
    return Word{staged.payload(), 0}.buffer();
  }

  bool publish(const StagedText& staged) {
    Word seen = detail::read(header_);
    return detail::compare_exchange(header_, seen,
                                    detail::successor(seen, staged.payload(), Tag::kLongText));
  }

  // What a reader gets: the text, or nothing where it must look again.
  std::string load() {
    const Word seen = detail::read(header_);
    std::string text = "(looked again)";
    const auto copy = [&text](const std::byte* shared, std::size_t length) {
      text.resize(length);
      detail::copy_from_shared(text.data(), shared, length);
    };
    return read_text(header_, seen, buffers_, copy) ? text : "(looked again)";
  }

  Club club_;
  Participant self_;
  Participant other_;
  Header header_ = {};
  std::uint64_t stride_;
  Memory memory_;
  detail::SlotBuffers buffers_;
};

INSTANTIATE_TEST_SUITE_P(Buffers, TextBuffersTest, testing::Values(2U, 3U, 8U),
                         testing::PrintToStringParamName());

// ---- A store --------------------------------------------------------------------------------------

TEST_P(TextBuffersTest, StagingShowsNobodyTheTextYet) {
  make_current(0, kOld, 7);
  const Word before = detail::read(header_);
  StagedText staged;
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  EXPECT_TRUE(staged.is_staged());
  EXPECT_EQ(detail::read(header_), before);
  EXPECT_EQ(load(), kOld);
}

TEST_P(TextBuffersTest, PublishingShowsTheTextWhole) {
  make_current(0, kOld, 7);
  StagedText staged;
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  ASSERT_TRUE(publish(staged));
  EXPECT_EQ(load(), kNew);
  EXPECT_EQ(detail::read(header_).version(), 8U);
}

TEST_P(TextBuffersTest, TheClaimLastsFromStagingToTheEnd) {
  StagedText staged;
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  const std::uint32_t index = buffer_of(staged);
  EXPECT_EQ(owner(index), self_.number());
  ASSERT_TRUE(publish(staged));
  EXPECT_EQ(owner(index), self_.number());
  staged.release();
  EXPECT_EQ(owner(index), detail::kNoOwner);
  EXPECT_FALSE(staged.is_staged());
}

TEST_P(TextBuffersTest, GivingUpLetsTheBufferGoAndChangesNothing) {
  make_current(0, kOld, 7);
  const Word before = detail::read(header_);
  {
    StagedText staged;
    ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  }
  for (std::uint32_t i = 0; i < buffers_.count; ++i) {
    EXPECT_EQ(owner(i), detail::kNoOwner) << i;
  }
  EXPECT_EQ(detail::read(header_), before);
  EXPECT_EQ(load(), kOld);
}

TEST_P(TextBuffersTest, NeverTakesTheCurrentBuffer) {
  for (std::uint32_t current = 0; current < buffers_.count; ++current) {
    for (std::uint64_t version = 0; version < 2 * buffers_.count; ++version) {
      make_current(current, kOld, version);
      StagedText staged;
      ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
      ASSERT_NE(buffer_of(staged), current) << "version " << version;
      ASSERT_EQ(load(), kOld);
    }
  }
}

TEST_P(TextBuffersTest, TakesTheBuffersInRotation) {
  make_current(0, kOld, 0);
  for (std::uint32_t i = 1; i <= 3 * buffers_.count; ++i) {
    StagedText staged;
    ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
    EXPECT_EQ(buffer_of(staged), i % buffers_.count);
    ASSERT_TRUE(publish(staged));
  }
}

TEST_P(TextBuffersTest, AsManyWritersStageAtOnceAsBuffersAreNotCurrent) {
  make_current(0, kOld, 0);
  std::array<StagedText, 8> staged;
  std::set<std::uint32_t> taken;
  for (std::uint32_t i = 0; i + 1 < buffers_.count; ++i) {
    ASSERT_EQ(stage(staged[i], kNew), StageResult::kStaged);
    taken.insert(buffer_of(staged[i]));
  }
  EXPECT_EQ(taken.size(), buffers_.count - 1);
  EXPECT_EQ(taken.count(0), 0U);
  EXPECT_EQ(stage(staged[7], kNew), StageResult::kDeadline);
  staged[0].release();
  EXPECT_EQ(stage(staged[7], kNew), StageResult::kStaged);
}

TEST_P(TextBuffersTest, EveryBufferIsFreeWhereTheHeaderNamesNone) {
  std::array<StagedText, 8> staged;
  for (std::uint32_t i = 0; i < buffers_.count; ++i) {
    EXPECT_EQ(stage(staged[i], kNew), StageResult::kStaged);
  }
}

// ---- The sequence ---------------------------------------------------------------------------------

TEST_P(TextBuffersTest, TheSequenceRisesWithEachOverwriteOfItsBufferAlone) {
  make_current(0, kOld, 0);
  StagedText staged;
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  for (std::uint32_t i = 0; i < buffers_.count; ++i) {
    EXPECT_EQ(detail::begin_copy(control(i)), i == buffer_of(staged) ? 1U : 0U);
  }
  ASSERT_TRUE(publish(staged));
  staged.release();
  EXPECT_EQ(detail::begin_copy(control(1)), 1U) << "publishing and releasing overwrite nothing";
}

TEST_P(TextBuffersTest, AReaderWhoseBufferIsOverwrittenLooksAgain) {
  make_current(0, kOld, 0);
  const Word seen = detail::read(header_);
  bool copied = false;
  const bool whole = read_text(header_, seen, buffers_, [&](const std::byte*, std::size_t) {
    copied = true;
    detail::begin_overwrite(control(0));
  });
  EXPECT_TRUE(copied);
  EXPECT_FALSE(whole);
}

TEST_P(TextBuffersTest, AReaderOvertakenByAWriteToAnotherBufferKeepsItsCopy) {
  make_current(0, kOld, 0);
  const Word seen = detail::read(header_);
  std::string text;
  const bool whole =
      read_text(header_, seen, buffers_, [&](const std::byte* shared, std::size_t length) {
        StagedText staged;
        ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
        ASSERT_TRUE(publish(staged));
        text.resize(length);
        detail::copy_from_shared(text.data(), shared, length);
      });
  EXPECT_TRUE(whole) << "the old text was current at a moment within the read";
  EXPECT_EQ(text, kOld);
  EXPECT_EQ(load(), kNew);
}

TEST_P(TextBuffersTest, AReaderWhoseHeaderIsGoneCopiesNothing) {
  make_current(0, kOld, 0);
  const Word seen = detail::read(header_);
  make_current(1, kNew, 1);
  bool copied = false;
  EXPECT_FALSE(
      read_text(header_, seen, buffers_, [&](const std::byte*, std::size_t) { copied = true; }));
  EXPECT_FALSE(copied);
}

TEST_P(TextBuffersTest, ASequenceThatWrapsRoundIsStillAnotherOne) {
  make_current(0, kOld, 0);
  control(0).sequence = ~std::uint64_t{0};
  EXPECT_EQ(load(), kOld);
  const Word seen = detail::read(header_);
  EXPECT_FALSE(read_text(header_, seen, buffers_, [&](const std::byte*, std::size_t) {
    detail::begin_overwrite(control(0));
  }));
}

// ---- What a dead writer leaves --------------------------------------------------------------------

TEST_P(TextBuffersTest, AClaimOfTheDeadIsTakenOverWhenItIsNeeded) {
  make_current(0, kOld, 0);
  claim_all_but_current(kDead);
  StagedText staged;
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  EXPECT_EQ(owner(buffer_of(staged)), self_.number());
  EXPECT_NE(buffer_of(staged), 0U);
  ASSERT_TRUE(publish(staged));
  EXPECT_EQ(load(), kNew);
}

TEST_P(TextBuffersTest, EveryClaimOfTheDeadIsTakenBackInTime) {
  make_current(0, kOld, 0);
  claim_all_but_current(kDead);
  std::array<StagedText, 8> staged;
  for (std::uint32_t i = 0; i + 1 < buffers_.count; ++i) {
    ASSERT_EQ(stage(staged[i], kNew), StageResult::kStaged);
  }
  for (std::uint32_t i = 1; i < buffers_.count; ++i) {
    EXPECT_EQ(owner(i), self_.number()) << i;
  }
}

TEST_P(TextBuffersTest, AClaimOfTheDeadIsLeftAloneWhileABufferIsFree) {
  if (buffers_.count == 2) {
    GTEST_SKIP() << "with two buffers none is free beside the current and the claimed one";
  }
  make_current(0, kOld, 0);
  control(1).owner = kDead;
  StagedText staged;
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  EXPECT_EQ(buffer_of(staged), 2U);
  EXPECT_EQ(owner(1), kDead);
}

TEST_P(TextBuffersTest, AClaimOfWhoDiedOnTheCurrentBufferStaysUntilAnotherIsCurrent) {
  // Killed between publishing and letting go: the text is current, the claim still there.
  make_current(1, kOld, 1);
  control(1).owner = kDead;
  EXPECT_EQ(load(), kOld);
  StagedText staged;
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  EXPECT_NE(buffer_of(staged), 1U);
  EXPECT_EQ(owner(1), kDead);
  ASSERT_TRUE(publish(staged));
  staged.release();

  claim_all_but_current(kDead);
  StagedText again;
  EXPECT_EQ(stage(again, kOld), StageResult::kStaged);
  EXPECT_EQ(load(), kNew);
}

TEST_P(TextBuffersTest, AHalfOverwrittenBufferOfTheDeadHarmsNobody) {
  make_current(0, kOld, 0);
  // Killed in the middle of its copy.
  claim_all_but_current(kDead);
  for (std::uint32_t i = 1; i < buffers_.count; ++i) {
    detail::begin_overwrite(control(i));
    detail::copy_to_shared(buffers_.text(i), kNew.substr(0, 8));
  }
  EXPECT_EQ(load(), kOld);
  StagedText staged;
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  ASSERT_TRUE(publish(staged));
  EXPECT_EQ(load(), kNew);
}

TEST_P(TextBuffersTest, ANumberThatNobodyCanHaveCountsAsDead) {
  make_current(0, kOld, 0);
  claim_all_but_current(~std::uint64_t{0});
  StagedText staged;
  EXPECT_EQ(stage(staged, kNew), StageResult::kStaged);
}

// ---- Live owners ----------------------------------------------------------------------------------

TEST_P(TextBuffersTest, AClaimOfTheLivingIsNeverTaken) {
  make_current(0, kOld, 7);
  claim_all_but_current(other_.number());
  const Word before = detail::read(header_);
  StagedText staged;
  EXPECT_EQ(stage(staged, kNew), StageResult::kDeadline);
  EXPECT_FALSE(staged.is_staged());
  EXPECT_EQ(detail::read(header_), before);
  EXPECT_EQ(load(), kOld);
  for (std::uint32_t i = 1; i < buffers_.count; ++i) {
    EXPECT_EQ(owner(i), other_.number()) << i;
    EXPECT_EQ(detail::begin_copy(control(i)), 0U) << i;
  }
}

TEST_P(TextBuffersTest, AClaimOfAnotherThreadOfOursIsNeverTaken) {
  make_current(0, kOld, 7);
  claim_all_but_current(self_.number());
  StagedText staged;
  EXPECT_EQ(stage(staged, kNew), StageResult::kDeadline);
}

TEST_P(TextBuffersTest, NoTimeIsStillEnoughToTakeOverFromTheDead) {
  make_current(0, kOld, 0);
  claim_all_but_current(kDead);
  StagedText staged;
  EXPECT_EQ(stage(staged, kNew, absl::ZeroDuration()), StageResult::kStaged);
}

TEST_P(TextBuffersTest, NoTimeIsNotEnoughToWaitForTheLiving) {
  make_current(0, kOld, 0);
  claim_all_but_current(other_.number());
  StagedText staged;
  EXPECT_EQ(stage(staged, kNew, absl::ZeroDuration()), StageResult::kDeadline);
}

TEST_P(TextBuffersTest, AnOwnerThatLeavesIsDead) {
  make_current(0, kOld, 0);
  claim_all_but_current(other_.number());
  other_.leave();
  StagedText staged;
  EXPECT_EQ(stage(staged, kNew), StageResult::kStaged);
}

TEST_P(TextBuffersTest, WhoIsNotRegisteredClaimsNothing) {
  const Participant nobody;
  StagedText staged;
  EXPECT_EQ(staged.stage(header_, buffers_, kNew, nobody, absl::Milliseconds(2)),
            StageResult::kUnregistered);
  for (std::uint32_t i = 0; i < buffers_.count; ++i) {
    EXPECT_EQ(owner(i), detail::kNoOwner);
  }
}

TEST_P(TextBuffersTest, WithoutAFileEverybodyCountsAsAlive) {
  std::atomic<std::uint64_t> numbers = 0;
  Participant self;
  must(self.join_without_file(numbers, "memory"));
  make_current(0, kOld, 0);
  claim_all_but_current(kDead);
  StagedText staged;
  EXPECT_EQ(staged.stage(header_, buffers_, kNew, self, absl::ZeroDuration()),
            StageResult::kDeadline);
}

// ---- Between two steps ----------------------------------------------------------------------------

TEST_P(TextBuffersTest, ABufferThatBecameCurrentBeforeTheSecondLookIsLetGo) {
  make_current(0, kOld, 0);
  // Between our look at the header and our claim of buffer 1, somebody else had it, and published.
  const AtSeam seam(Seam::kClaimed, [this] {
    ASSERT_EQ(owner(1), self_.number());
    make_current(1, "published in between", 1);
  });
  StagedText staged;
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  EXPECT_NE(buffer_of(staged), 1U);
  EXPECT_EQ(owner(1), detail::kNoOwner);
  EXPECT_EQ(load(), "published in between");
}

TEST_P(TextBuffersTest, ATakeOverThatSomebodyElseWonIsNotOurs) {
  make_current(0, kOld, 0);
  claim_all_but_current(kDead);
  const AtSeam seam(Seam::kTakingOver, [this] { claim_all_but_current(other_.number()); });
  StagedText staged;
  EXPECT_EQ(stage(staged, kNew), StageResult::kDeadline);
  for (std::uint32_t i = 1; i < buffers_.count; ++i) {
    EXPECT_EQ(owner(i), other_.number()) << i;
    EXPECT_EQ(detail::begin_copy(control(i)), 0U) << i;
  }
}

TEST_P(TextBuffersTest, TheSequenceHasRisenBeforeTheFirstByteIsThere) {
  make_current(0, kOld, 0);
  StagedText staged;
  const AtSeam seam(Seam::kOverwriting, [this] {
    EXPECT_EQ(detail::begin_copy(control(1)), 1U);
    EXPECT_EQ(load(), kOld);
  });
  ASSERT_EQ(stage(staged, kNew), StageResult::kStaged);
  EXPECT_EQ(detail::begin_copy(control(1)), 1U);
}

// ---- What is possible -----------------------------------------------------------------------------

TEST_P(TextBuffersTest, OnlyALengthThatFitsInABufferThatExistsIsPossible) {
  const auto possible = [this](std::uint64_t length, std::uint32_t buffer) {
    return detail::is_possible({detail::long_payload(length, buffer), 0}, buffers_);
  };
  EXPECT_TRUE(possible(kCapacity, 0));
  EXPECT_TRUE(possible(kCapacity, buffers_.count - 1));
  EXPECT_FALSE(possible(kCapacity + 1, 0));
  EXPECT_FALSE(possible(detail::kLongLengthMax, 0));
  EXPECT_FALSE(possible(kCapacity, buffers_.count));
  EXPECT_FALSE(possible(kCapacity, 255));
}

// ---- The same through a list ----------------------------------------------------------------------

class ForgedListTest : public testing::TestWithParam<Layout> {
 protected:
  ForgedListTest()
      : list_(must(List::create(name_, {::atoll::text(kOld, 64)},
                                {.layout = GetParam(), .claim_timeout = absl::Milliseconds(2)}))),
        raw_(name_) {}

  void claim_all_but_current(std::uint64_t number) {
    const Word seen = raw_.word(0);
    for (std::uint32_t i = 0; i < 3; ++i) {
      raw_.control(0, i).owner = seen.names_buffer(i) ? detail::kNoOwner : number;
    }
  }
  std::uint64_t participants() { return raw_.segment().mutable_line.participants; }

  Name name_;
  List list_;
  Raw raw_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, ForgedListTest, testing::Values(Layout::kPadded, Layout::kDense),
                         name_of);

TEST_P(ForgedListTest, AStoreWaitsForLiveWritersAndThenChangesNothing) {
  const List other = must(List::attach(name_));
  claim_all_but_current(participants());  // other's number, the last one given out
  const State before = state_of(list_[0]);
  const Code expected = Code::kDeadlineExceeded;
  EXPECT_TRUE(fails(list_[0].store(kNew), expected,
                    {"slot 0", "list '" + name_.str() + "'", "live writers", "2ms"}));
  EXPECT_TRUE(fails(list_[0].exchange(kNew), expected, {"slot 0"}));
  EXPECT_TRUE(fails(list_[0].compare_exchange(kOld, kNew), expected, {"slot 0"}));
  EXPECT_EQ(state_of(list_[0]), before);
}

TEST_P(ForgedListTest, ShortValuesNeedNoBuffer) {
  const List other = must(List::attach(name_));
  claim_all_but_current(participants());
  EXPECT_TRUE(succeeds(list_[0].store("short")));
  EXPECT_TRUE(succeeds(list_[0].store(1)));
  EXPECT_EQ(must(list_[0].fetch_add(1)), 1);
}

TEST_P(ForgedListTest, ADifferentValueIsToldWithoutABuffer) {
  const List other = must(List::attach(name_));
  claim_all_but_current(participants());
  EXPECT_FALSE(must(list_[0].compare_exchange("something else", kNew)));
}

TEST_P(ForgedListTest, AStoreTakesOverOnceTheOwnerHasClosed) {
  List other = must(List::attach(name_));
  claim_all_but_current(participants());
  ASSERT_TRUE(fails(list_[0].store(kNew), Code::kDeadlineExceeded, {"slot 0"}));
  other.close();
  EXPECT_TRUE(succeeds(list_[0].store(kNew)));
  EXPECT_EQ(must(list_[0].load<std::string>()), kNew);
  EXPECT_EQ(list_[0].version(), 1U);
}

TEST_P(ForgedListTest, AnIdOfTheClosedIsNotGivenOutAgain) {
  List other = must(List::attach(name_));
  const std::uint64_t number = participants();
  other.close();
  claim_all_but_current(number);
  const List third = must(List::attach(name_));
  EXPECT_GT(participants(), number);
  EXPECT_TRUE(succeeds(list_[0].store(kNew))) << "the dead owner must not look alive again";
}

TEST_P(ForgedListTest, ManyStoresAmongClaimsOfTheDeadAllSucceed) {
  for (int i = 0; i < 20; ++i) {
    claim_all_but_current(kDead + static_cast<std::uint64_t>(i));
    const std::string text = "store number " + std::to_string(i);
    ASSERT_TRUE(succeeds(list_[0].store(text)));
    ASSERT_EQ(must(list_[0].load<std::string>()), text);
  }
  EXPECT_EQ(list_[0].version(), 20U);
}

// ---- Between two steps of a list's operation ------------------------------------------------------

TEST_P(ForgedListTest, AStoreOvertakenByAnotherCopiesItsTextOnce) {
  const List other = must(List::attach(name_));
  const AtSeam seam(Seam::kCopied, [&] { must(other[0].store(5)); });
  EXPECT_TRUE(succeeds(list_[0].store(kNew)));
  EXPECT_EQ(must(list_[0].load<std::string>()), kNew);
  EXPECT_EQ(list_[0].version(), 2U);
  EXPECT_EQ(detail::begin_copy(raw_.control(0, 1)), 1U);
}

TEST_P(ForgedListTest, AnExchangeOvertakenByAnotherReturnsTheOthersValue) {
  const List other = must(List::attach(name_));
  const AtSeam seam(Seam::kCopied, [&] { must(other[0].store("the other's text, no less long")); });
  EXPECT_EQ(must(list_[0].exchange(kNew)), Value("the other's text, no less long"));
  EXPECT_EQ(must(list_[0].load<std::string>()), kNew);
  EXPECT_EQ(list_[0].version(), 2U);
}

TEST_P(ForgedListTest, ACompareExchangeOvertakenByAnotherGivesUp) {
  const List other = must(List::attach(name_));
  const AtSeam seam(Seam::kCopied, [&] { must(other[0].store(5)); });
  EXPECT_FALSE(must(list_[0].compare_exchange(kOld, kNew)));
  EXPECT_EQ(must(list_[0].load<std::int64_t>()), 5);
  EXPECT_EQ(list_[0].version(), 1U);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(detail::peek_owner(raw_.control(0, i)), detail::kNoOwner) << i;
  }
}

TEST_P(ForgedListTest, ACompareExchangeOvertakenByTheSameValueSucceeds) {
  const List other = must(List::attach(name_));
  const AtSeam seam(Seam::kCopied, [&] { must(other[0].store(kOld)); });
  EXPECT_TRUE(must(list_[0].compare_exchange(kOld, kNew)));
  EXPECT_EQ(must(list_[0].load<std::string>()), kNew);
  EXPECT_EQ(list_[0].version(), 2U);
}

TEST_P(ForgedListTest, TheBufferIsLetGoOnlyAfterItIsCurrent) {
  const AtSeam seam(Seam::kPublished, [&] {
    EXPECT_TRUE(raw_.word(0).names_buffer(1));
    EXPECT_EQ(detail::peek_owner(raw_.control(0, 1)), 1U) << "the first participant's claim";
  });
  EXPECT_TRUE(succeeds(list_[0].store(kNew)));
  EXPECT_EQ(detail::peek_owner(raw_.control(0, 1)), detail::kNoOwner);
}

TEST_P(ForgedListTest, AReaderOverrunByManyStoresReturnsTheLatestText) {
  const List other = must(List::attach(name_));
  const AtSeam seam(Seam::kReading, [&] {
    for (int i = 0; i < 10; ++i) {
      must(other[0].store("store number " + std::to_string(i)));
    }
  });
  EXPECT_EQ(must(list_[0].load<std::string>()), "store number 9");
}

TEST_P(ForgedListTest, AnOverrunReaderOfAnyKindLooksAgain) {
  const List other = must(List::attach(name_));
  const auto overrun = [&] {
    for (int i = 0; i < 3; ++i) {
      must(other[0].store(kNew));
    }
  };
  const auto reset = [&] { must(list_[0].store(kOld)); };
  {
    const AtSeam seam(Seam::kReading, overrun);
    std::array<char, 64> room;
    EXPECT_EQ(must(list_[0].load_into(room)), kNew.size());
    EXPECT_EQ(std::string_view(room.data(), kNew.size()), kNew);
  }
  reset();
  {
    const AtSeam seam(Seam::kReading, overrun);
    EXPECT_EQ(must(list_.count(kOld)), 0U);
  }
  reset();
  {
    const AtSeam seam(Seam::kReading, overrun);
    EXPECT_FALSE(must(list_[0].compare_exchange(kOld, 1)));
  }
  reset();
  {
    const AtSeam seam(Seam::kReading, overrun);
    EXPECT_EQ(must(list_[0].exchange(1)), Value(std::string(kNew)));
  }
}

}  // namespace
}  // namespace libatoll::test
