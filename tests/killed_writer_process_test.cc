// Writers killed by SIGKILL, or stopped by SIGSTOP, at every place inside the protocol: readers see
// the old or the new value whole, later writers take the dead one's claim over, and never a live one's.

#include <tuple>

#include "process.h"

namespace {

using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using libatoll::detail::Word;
using process::Child;
using process::Inspector;
using process::park_at;
using process::Seam;
using process::Shared;
using process::TextOrigin;

constexpr std::size_t kCapacity = 256;
constexpr std::array<Seam, 4> kWriterSeams = {Seam::kClaimed, Seam::kOverwriting, Seam::kCopied,
                                              Seam::kPublished};

// What a child tells.
struct Report {
  std::array<std::atomic<int>, process::kSeams> passes;
  std::atomic<std::size_t> length;
  std::array<char, kCapacity> text;
  std::atomic<bool> started;

  void copy_passes() {
    for (std::size_t i = 0; i < passes.size(); ++i) {
      passes[i] = process::passes[i].load();
    }
  }
  int passes_of(Seam seam) const { return passes[static_cast<std::size_t>(seam)]; }
  std::string_view view() const { return {text.data(), length}; }
};

// A list of one slot with long text, seen from outside too.
struct Scene {
  Scene(Layout layout, int buffers)
      : list(process::must(List::create_anonymous(
            {libatoll::text(process::make_text(0, 0, 100), kCapacity)},
            {.layout = layout, .buffers_per_slot = buffers, .claim_timeout = absl::Seconds(20)}))),
        look(list),
        count(static_cast<std::uint32_t>(buffers)) {}

  // A value that was never stored before, of another length than the one before it.
  std::string next_text() {
    ++counter;
    return process::make_text(1, counter, 100 + counter * 37 % 150);
  }
  Slot slot() const { return list[0]; }
  Word word() const { return look.word(0); }
  std::string text() const { return process::must(slot().load<std::string>()); }

  // Stores until a writer that finds every buffer free takes `buffer`.
  void advance_to(std::uint32_t buffer) {
    for (std::uint32_t i = 0; (word().version() + 1) % count != buffer; ++i) {
      ATOLL_CHECK(i < count) << "versions do not rise by one a store";
      process::must(slot().store(next_text()));
    }
  }

  // A writer that has stopped itself at `seam`.
  Child parked(Seam seam, const std::string& desired) const {
    Child child([&] {
      park_at(seam);
      process::must(slot().store(desired));
      return 0;
    });
    EXPECT_TRUE(child.wait_stopped());
    return child;
  }

  List list;
  Inspector look;
  std::uint32_t count;
  std::uint32_t counter = 0;
};

// The number of the participant that claims the only claimed buffer that is not in `known`.
std::uint64_t new_owner(const Scene& scene, const std::vector<std::uint64_t>& known) {
  std::uint64_t found = 0;
  for (std::uint32_t i = 0; i < scene.count; ++i) {
    const std::uint64_t owner = scene.look.owner(0, i);
    if (owner != 0 && std::find(known.begin(), known.end(), owner) == known.end()) {
      EXPECT_EQ(found, 0U) << "two new claims";
      found = owner;
    }
  }
  EXPECT_NE(found, 0U) << "no new claim";
  return found;
}

// Reads the slot in every way, here and in a new process: always `expected`.
void expect_text(const Scene& scene, std::string_view expected) {
  const auto read_all = [&]() -> int {
    std::array<char, kCapacity> buffer;
    const std::size_t length = process::must(scene.slot().load_into(buffer));
    const libatoll::Value value = process::must(scene.slot().load());
    const std::string* text = std::get_if<std::string>(&value);
    return (scene.text() == expected ? 0 : 1) +
           (std::string_view(buffer.data(), length) == expected ? 0 : 2) +
           (text != nullptr && *text == expected ? 0 : 4);
  };
  EXPECT_EQ(read_all(), 0);
  Child reader(read_all);
  EXPECT_EQ(reader.wait(), 0);
}

// `writers` writers at once, `stores` stores each, and a reader until they are done. Returns how
// often a dead claim was found. They let each other run with a claim in hand, so that buffers run out
// on a single processor too.
int crowd(Scene& scene, int writers, int stores) {
  struct Board {
    process::StartLine start;
    std::atomic<int> done;
    std::atomic<int> found_dead;
    std::atomic<int> loads;
  };
  const Shared<Board> board;
  const std::uint64_t before = scene.word().version();
  std::vector<Child> children;
  for (int i = 0; i < writers; ++i) {
    children.emplace_back([&, i] {
      libatoll::detail::seam_hook = [](Seam seam) {
        process::stop_if_due(seam);
        if (seam == Seam::kOverwriting) {
          sched_yield();
        }
      };
      board->start.wait(writers + 1);
      for (int n = 0; n < stores; ++n) {
        process::must(scene.slot().store(
            process::make_text(static_cast<std::uint32_t>(2 + i), static_cast<std::uint32_t>(n),
                               static_cast<std::size_t>(60 + (n * 31 + i * 17) % 190))));
      }
      board->found_dead += process::passes_of(Seam::kTakingOver);
      ++board->done;
      // Who has seen a claim of ours, given back since, must not find us dead when it asks.
      ATOLL_CHECK(process::wait_until([&] { return board->done == writers; }));
      return 0;
    });
  }
  children.emplace_back([&] {
    board->start.wait(writers + 1);
    do {
      TextOrigin origin;
      ATOLL_CHECK(process::is_whole(scene.text(), origin));
      ++board->loads;
      sched_yield();
    } while (board->done < writers);
    return 0;
  });
  EXPECT_TRUE(process::all_succeed(children));
  EXPECT_GT(board->loads, 0);
  EXPECT_EQ(scene.word().version(), before + static_cast<std::uint64_t>(writers * stores));
  TextOrigin origin;
  EXPECT_TRUE(process::is_whole(scene.text(), origin));
  return board->found_dead;
}

// Makes writers recover each claim of the dead: holds every other buffer with a live, stopped writer,
// so that the next one must take a dead claim over. Returns how many take-overs that took.
int recover_all(Scene& scene) {
  int taken_over = 0;
  for (std::uint32_t round = 0; round <= 2 * scene.count; ++round) {
    if (scene.look.claims(0) == 0) {
      return taken_over;
    }
    const auto current = scene.word().buffer();
    if (scene.look.owner(0, current) != 0) {
      // The claim on the current buffer is nobody's to take: another must become current first.
      const std::string text = scene.next_text();
      Child writer([&] {
        process::must(scene.slot().store(text));
        return 0;
      });
      EXPECT_EQ(writer.wait(), 0);
      continue;
    }
    std::vector<std::uint64_t> dead;
    for (std::uint32_t i = 0; i < scene.count; ++i) {
      if (const std::uint64_t owner = scene.look.owner(0, i); owner != 0) {
        EXPECT_FALSE(scene.look.lives(owner)) << "buffer " << i;
        dead.push_back(owner);
      }
    }
    std::vector<Child> holders;
    const std::uint64_t before = scene.word().version();
    while (scene.look.claims(0) < scene.count - 1) {
      const std::uint32_t claims = scene.look.claims(0);
      holders.push_back(scene.parked(Seam::kCopied, scene.next_text()));
      if (scene.look.claims(0) != claims + 1) {
        ADD_FAILURE() << "a parked writer holds no claim of its own";
        return taken_over;
      }
    }
    const Shared<Report> report;
    const std::string text = scene.next_text();
    Child taker([&] {
      process::count_passes();
      process::must(scene.slot().store(text));
      report->copy_passes();
      return 0;
    });
    EXPECT_EQ(taker.wait(), 0);
    EXPECT_EQ(report->passes_of(Seam::kTakingOver), 1);
    EXPECT_EQ(report->passes_of(Seam::kClaimed), 1);
    EXPECT_EQ(scene.look.claims(0), scene.count - 2) << "one claim of the dead was recovered";
    int left = 0;
    for (const std::uint64_t owner : dead) {
      left += scene.look.claimed_by(0, owner) >= 0 ? 1 : 0;
    }
    EXPECT_EQ(left + 1, static_cast<int>(dead.size()));
    EXPECT_EQ(scene.text(), text);
    ++taken_over;
    for (const Child& holder : holders) {
      holder.resume();
    }
    EXPECT_TRUE(process::all_succeed(holders));
    EXPECT_EQ(scene.word().version(), before + 1 + holders.size());
    TextOrigin origin;
    EXPECT_TRUE(process::is_whole(scene.text(), origin));
  }
  ADD_FAILURE() << "claims are left";
  return taken_over;
}

void expect_all_free(const Scene& scene) {
  for (std::uint32_t i = 0; i < scene.count; ++i) {
    EXPECT_EQ(scene.look.owner(0, i), 0U) << "buffer " << i;
  }
}

class KilledWriter : public ::testing::TestWithParam<std::tuple<int, Layout>> {
 protected:
  int buffers() const { return std::get<0>(GetParam()); }
  Layout layout() const { return std::get<1>(GetParam()); }
  const char* layout_name() const { return process::layout_name(layout()); }
};

TEST_P(KilledWriter, AtEverySeamInEveryBuffer) {
  int cases = 0;
  int found_dead = 0;
  int taken_over = 0;
  for (const Seam seam : kWriterSeams) {
    for (std::uint32_t buffer = 0; buffer < static_cast<std::uint32_t>(buffers()); ++buffer) {
      for (const bool crowd_comes_first : {false, true}) {
        SCOPED_TRACE(std::string(process::seam_name(seam)) + ", buffer " + std::to_string(buffer));
        Scene scene(layout(), buffers());
        scene.advance_to(buffer);
        const std::string old_text = scene.text();
        const Word old_word = scene.word();
        const std::string new_text = scene.next_text();

        Child victim = scene.parked(seam, new_text);
        const std::uint64_t owner = scene.look.owner(0, buffer);
        ASSERT_NE(owner, 0U) << "the victim holds another buffer";
        ASSERT_EQ(scene.look.claims(0), 1U);
        ASSERT_TRUE(scene.look.lives(owner));
        ASSERT_TRUE(victim.kill());
        EXPECT_FALSE(scene.look.lives(owner));
        EXPECT_EQ(scene.look.owner(0, buffer), owner);

        // The seam decides which of the two values is there.
        if (seam == Seam::kPublished) {
          EXPECT_EQ(scene.word().version(), old_word.version() + 1);
          EXPECT_EQ(scene.word().buffer(), buffer);
          expect_text(scene, new_text);
        } else {
          EXPECT_EQ(scene.word(), old_word);
          expect_text(scene, old_text);
        }

        if (crowd_comes_first) {
          found_dead += crowd(scene, buffers() + 2, 8);
          taken_over += recover_all(scene);
        } else {
          const int taken_over_now = recover_all(scene);
          EXPECT_EQ(taken_over_now, 1);
          taken_over += taken_over_now;
          EXPECT_EQ(crowd(scene, buffers() + 2, 2), 0);
        }
        expect_all_free(scene);
        if (HasFailure()) {
          return;
        }
        ++cases;
      }
    }
  }
  ATOLL_SUMMARY("%d buffers, %s: %d writers killed, %d claims taken over, %d more found by a crowd",
                buffers(), layout_name(), cases, taken_over, found_dead);
}

TEST_P(KilledWriter, WhoTakesOverFromTheDead) {
  int cases = 0;
  for (const Seam seam :
       {Seam::kTakingOver, Seam::kClaimed, Seam::kOverwriting, Seam::kCopied, Seam::kPublished}) {
    SCOPED_TRACE(process::seam_name(seam));
    Scene scene(layout(), buffers());
    const std::string old_text = scene.text();
    const Word old_word = scene.word();
    const std::uint32_t buffer = 1;
    Child first = scene.parked(Seam::kOverwriting, scene.next_text());
    const std::uint64_t first_owner = scene.look.owner(0, buffer);
    ASSERT_NE(first_owner, 0U);
    ASSERT_TRUE(first.kill());
    std::vector<Child> holders;
    for (int i = 0; i < buffers() - 2; ++i) {
      holders.push_back(scene.parked(Seam::kCopied, scene.next_text()));
    }
    ASSERT_EQ(scene.look.claims(0), scene.count - 1);

    const std::string new_text = scene.next_text();
    Child second = scene.parked(seam, new_text);
    const std::uint64_t second_owner = scene.look.owner(0, buffer);
    ASSERT_NE(second_owner, 0U);
    EXPECT_EQ(second_owner == first_owner, seam == Seam::kTakingOver);
    ASSERT_TRUE(second.kill());
    EXPECT_EQ(scene.look.owner(0, buffer), second_owner);
    EXPECT_FALSE(scene.look.lives(second_owner));
    if (seam == Seam::kPublished) {
      EXPECT_EQ(scene.word().version(), old_word.version() + 1);
      EXPECT_EQ(scene.word().buffer(), buffer);
      expect_text(scene, new_text);
    } else {
      EXPECT_EQ(scene.word(), old_word);
      expect_text(scene, old_text);
    }
    for (const Child& holder : holders) {
      holder.resume();
    }
    ASSERT_TRUE(process::all_succeed(holders));
    EXPECT_EQ(recover_all(scene), 1);
    crowd(scene, buffers() + 2, 4);
    expect_all_free(scene);
    ++cases;
  }
  ATOLL_SUMMARY("%d buffers, %s: %d writers killed in or after their own take-over", buffers(),
                layout_name(), cases);
}

TEST_P(KilledWriter, ManyAtOnce) {
  int taken_over = 0;
  for (const bool current_too : {false, true}) {
    for (const bool crowd_comes_first : {false, true}) {
      Scene scene(layout(), buffers());
      std::vector<std::uint64_t> owners;
      std::vector<Child> victims;
      if (current_too) {
        // Its buffer is the current one, and claimed for ever unless somebody recovers it.
        const std::string text = scene.next_text();
        victims.push_back(scene.parked(Seam::kPublished, text));
        owners.push_back(new_owner(scene, owners));
        ASSERT_EQ(scene.text(), text);
      }
      const std::string text = scene.text();
      const Word word = scene.word();
      for (int i = 0; i < buffers() - 1; ++i) {
        victims.push_back(
            scene.parked(kWriterSeams[static_cast<std::size_t>(i) % 3], scene.next_text()));
        owners.push_back(new_owner(scene, owners));
      }
      ASSERT_EQ(scene.look.claims(0), scene.count - (current_too ? 0 : 1));
      for (Child& victim : victims) {
        ASSERT_TRUE(victim.kill());
      }
      for (const std::uint64_t owner : owners) {
        EXPECT_FALSE(scene.look.lives(owner));
      }
      EXPECT_EQ(scene.word(), word);
      expect_text(scene, text);
      if (crowd_comes_first) {
        EXPECT_GE(crowd(scene, buffers() + 2, 8), 1);
        taken_over += recover_all(scene);
      } else {
        // The first writer has none but dead claims to choose from.
        const Shared<Report> report;
        const std::string first = scene.next_text();
        Child writer([&] {
          process::count_passes();
          process::must(scene.slot().store(first));
          report->copy_passes();
          return 0;
        });
        ASSERT_EQ(writer.wait(), 0);
        EXPECT_EQ(report->passes_of(Seam::kTakingOver), 1);
        EXPECT_EQ(scene.text(), first);
        EXPECT_EQ(scene.look.claims(0), scene.count - (current_too ? 1 : 2));
        taken_over += 1 + recover_all(scene);
        crowd(scene, buffers() + 2, 4);
      }
      expect_all_free(scene);
    }
  }
  ATOLL_SUMMARY("%d buffers, %s: %d and %d writers dead at once, %d claims taken over one by one",
                buffers(), layout_name(), buffers() - 1, buffers(), taken_over);
}

// A stopped owner is slow, not dead.
TEST_P(KilledWriter, ButNotAStoppedOne) {
  for (const bool current_too : {false, true}) {
    Scene scene(layout(), buffers());
    std::vector<Child> stopped;
    std::vector<std::string> texts;
    if (current_too) {
      texts.push_back(scene.next_text());
      stopped.push_back(scene.parked(Seam::kPublished, texts.back()));
    }
    const std::string text = scene.text();
    for (int i = 0; i < buffers() - 1; ++i) {
      texts.push_back(scene.next_text());
      stopped.push_back(scene.parked(kWriterSeams[static_cast<std::size_t>(i) % 3], texts.back()));
    }
    const Word word = scene.word();
    std::vector<std::uint64_t> owners;
    std::vector<std::uint64_t> sequences;
    for (std::uint32_t i = 0; i < scene.count; ++i) {
      owners.push_back(scene.look.owner(0, i));
      sequences.push_back(scene.look.sequence(0, i));
    }
    ASSERT_EQ(scene.look.claims(0), scene.count - (current_too ? 0 : 1));

    const Shared<Report> report;
    Child contender([&] {
      process::count_passes();
      const List list = process::must(
          List::attach_fd(scene.list.fd(), {.claim_timeout = absl::Milliseconds(20)}));
      const std::string own(150, 'c');
      ATOLL_CHECK(absl::IsDeadlineExceeded(list[0].store(own)));
      ATOLL_CHECK(absl::IsDeadlineExceeded(list[0].exchange(own).status()));
      ATOLL_CHECK(absl::IsDeadlineExceeded(list[0].compare_exchange(text, own).status()));
      ATOLL_CHECK(process::must(list[0].compare_exchange("something else", own)) == false);
      report->copy_passes();
      return 0;
    });
    ASSERT_EQ(contender.wait(), 0);
    EXPECT_EQ(report->passes_of(Seam::kTakingOver), 0);
    EXPECT_EQ(report->passes_of(Seam::kClaimed), 0);
    EXPECT_EQ(scene.word(), word);
    for (std::uint32_t i = 0; i < scene.count; ++i) {
      EXPECT_EQ(scene.look.owner(0, i), owners[i]) << "buffer " << i;
      EXPECT_EQ(scene.look.sequence(0, i), sequences[i]) << "buffer " << i;
    }
    expect_text(scene, text);

    // What needs no buffer needs not wait.
    process::must(scene.slot().store(42));
    process::must(scene.slot().store("short"));
    EXPECT_EQ(scene.text(), "short");

    // Each completes, whatever was stored meanwhile, and its value is whole.
    for (std::size_t i = 0; i < stopped.size(); ++i) {
      const bool published = current_too && i == 0;
      stopped[i].resume();
      EXPECT_EQ(stopped[i].wait(), 0);
      EXPECT_EQ(scene.text(), published ? "short" : texts[i]);
    }
    EXPECT_EQ(scene.word().version(), word.version() + 2 + scene.count - 1);
    expect_all_free(scene);
    crowd(scene, buffers() + 2, 4);
    expect_all_free(scene);
  }
  ATOLL_SUMMARY("%d buffers, %s: %d live owners stopped, none taken over", buffers(), layout_name(),
                2 * buffers() - 1);
}

// Whether the process sleeps in a system call.
bool is_asleep(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  std::FILE* const file = std::fopen(path.c_str(), "r");
  if (file == nullptr) {
    return false;
  }
  std::array<char, 256> line = {};
  const bool read = std::fgets(line.data(), static_cast<int>(line.size()), file) != nullptr;
  std::fclose(file);
  const char* const end = read ? std::strrchr(line.data(), ')') : nullptr;
  return end != nullptr && end[1] == ' ' && end[2] == 'S';
}

// Who waits for a buffer gets the one that is let go, or that of an owner who dies meanwhile.
TEST_P(KilledWriter, WhileAnotherWaits) {
  for (const bool dies : {false, true}) {
    Scene scene(layout(), buffers());
    std::vector<Child> holders;
    std::vector<std::string> texts;
    for (int i = 0; i < buffers() - 1; ++i) {
      texts.push_back(scene.next_text());
      holders.push_back(scene.parked(Seam::kCopied, texts.back()));
    }
    ASSERT_EQ(scene.look.claims(0), scene.count - 1);
    const Shared<Report> report;
    const std::string text = scene.next_text();
    Child waiting([&] {
      const List list = process::must(
          List::attach_fd(scene.list.fd(), {.claim_timeout = absl::InfiniteDuration()}));
      process::count_passes();
      report->started = true;
      process::must(list[0].store(text));
      report->copy_passes();
      return 0;
    });
    ASSERT_TRUE(process::wait_until([&] { return report->started && is_asleep(waiting.pid()); }));
    EXPECT_EQ(scene.word().version(), 0U);
    if (dies) {
      ASSERT_TRUE(holders[0].kill());
    } else {
      holders[0].resume();
      ASSERT_EQ(holders[0].wait(), 0);
    }
    holders.erase(holders.begin());
    ASSERT_EQ(waiting.wait(), 0);
    EXPECT_EQ(report->passes_of(Seam::kTakingOver), dies ? 1 : 0);
    EXPECT_EQ(scene.text(), text);
    EXPECT_EQ(scene.word().version(), dies ? 1U : 2U);
    for (const Child& holder : holders) {
      holder.resume();
    }
    ASSERT_TRUE(process::all_succeed(holders));
    expect_all_free(scene);
  }
  ATOLL_SUMMARY("%d buffers, %s: a waiting writer got a buffer let go, and one of an owner killed",
                buffers(), layout_name());
}

// A reader stopped within its read gets the value that was current then, if nobody needed its buffer
// since; otherwise it goes round once and gets the newest.
TEST_P(KilledWriter, BesideAStoppedReader) {
  enum Way { kLoad, kLoadString, kLoadInto, kExchange, kWays };
  int old_values = 0;
  int retried = 0;
  for (int way = 0; way < kWays; ++way) {
    for (const int stores : {1, buffers() - 1, buffers(), buffers() + 1}) {
      for (const bool writer_stopped_halfway : {false, true}) {
        SCOPED_TRACE("way " + std::to_string(way) + ", " + std::to_string(stores) + " stores");
        Scene scene(layout(), buffers());
        const std::string first = scene.text();
        const Shared<Report> report;
        Child reader([&] {
          park_at(Seam::kReading);
          std::string text;
          switch (way) {
            case kLoad:
              text = std::get<std::string>(process::must(scene.slot().load()));
              break;
            case kLoadString:
              text = scene.text();
              break;
            case kLoadInto:
              text.resize(kCapacity);
              text.resize(process::must(scene.slot().load_into(text)));
              break;
            default:
              text = std::get<std::string>(process::must(scene.slot().exchange(7)));
              break;
          }
          std::copy(text.begin(), text.end(), report->text.begin());
          report->length = text.size();
          report->copy_passes();
          return 0;
        });
        ASSERT_TRUE(reader.wait_stopped());
        // Each in a process of its own.
        std::string newest = first;
        for (int i = 0; i < stores; ++i) {
          newest = scene.next_text();
          Child writer([&] {
            process::must(scene.slot().store(newest));
            return 0;
          });
          ASSERT_EQ(writer.wait(), 0);
        }
        ASSERT_EQ(scene.text(), newest);
        std::vector<Child> writers;
        if (writer_stopped_halfway) {
          writers.push_back(scene.parked(Seam::kOverwriting, scene.next_text()));
        }
        // Writers take the buffers in turn, and the reader's was the first.
        const bool overwritten = scene.look.sequence(0, 0) > 0;
        EXPECT_EQ(overwritten, stores + (writer_stopped_halfway ? 1 : 0) >= buffers());
        reader.resume();
        ASSERT_EQ(reader.wait(), 0);
        if (way == kExchange) {
          // It replaces what it read, so it cannot return what was current long ago.
          EXPECT_EQ(report->view(), newest);
          EXPECT_EQ(report->passes_of(Seam::kReading), 2);
        } else {
          EXPECT_EQ(report->view(), overwritten ? newest : first);
          EXPECT_EQ(report->passes_of(Seam::kReading), overwritten ? 2 : 1);
        }
        ++(overwritten ? retried : old_values);
        for (const Child& writer : writers) {
          writer.resume();
        }
        ASSERT_TRUE(process::all_succeed(writers));
        expect_all_free(scene);
      }
    }
  }
  EXPECT_GT(old_values, 0);
  EXPECT_GT(retried, 0);
  ATOLL_SUMMARY("%d buffers, %s: %d stopped readers returned the value of then, %d went round",
                buffers(), layout_name(), old_values, retried);
}

INSTANTIATE_TEST_SUITE_P(All, KilledWriter,
                         ::testing::Combine(::testing::Values(2, 3, 8),
                                            ::testing::Values(Layout::kPadded, Layout::kDense)),
                         [](const auto& param) {
                           return std::to_string(std::get<0>(param.param)) + "Buffers" +
                                  process::layout_name(std::get<1>(param.param));
                         });

// A writer that looked at the header, and is slow, claims a buffer that has become current meanwhile:
// by an owner that let it go, or by one that was killed before it could. The second look saves it.
class SecondLook : public ::testing::TestWithParam<std::tuple<bool, Layout>> {};

TEST_P(SecondLook, SavesTheCurrentBuffer) {
  const auto [publisher_dies, layout] = GetParam();
  Scene scene(layout, 3);
  // Buffer 0 is current; a dead writer claims buffer 1; a live one is about to publish buffer 2.
  Child dead = scene.parked(Seam::kClaimed, scene.next_text());
  ASSERT_NE(scene.look.owner(0, 1), 0U);
  ASSERT_TRUE(dead.kill());
  const std::string published = scene.next_text();
  Child publisher([&] {
    park_at(Seam::kCopied);
    park_at(Seam::kPublished);
    process::must(scene.slot().store(published));
    return 0;
  });
  ASSERT_TRUE(publisher.wait_stopped());
  const std::uint64_t publishing = scene.look.owner(0, 2);
  ASSERT_NE(publishing, 0U);
  // The slow writer saw buffer 0 current, and is about to take over buffer 1...
  const Shared<Report> report;
  const std::string slow_text = scene.next_text();
  Child slow([&] {
    park_at(Seam::kTakingOver);
    park_at(Seam::kOverwriting);
    process::must(scene.slot().store(slow_text));
    report->copy_passes();
    return 0;
  });
  ASSERT_TRUE(slow.wait_stopped());
  // ... when a quick one does ...
  Child quick = scene.parked(Seam::kCopied, scene.next_text());
  ASSERT_EQ(scene.look.claims(0), 2U);
  // ... and buffer 2 becomes current.
  publisher.resume();
  ASSERT_TRUE(publisher.wait_stopped());
  ASSERT_TRUE(scene.word().names_buffer(2));
  if (publisher_dies) {
    ASSERT_TRUE(publisher.kill());
    ASSERT_EQ(scene.look.owner(0, 2), publishing);
  } else {
    publisher.resume();
    ASSERT_EQ(publisher.wait(), 0);
    ASSERT_EQ(scene.look.owner(0, 2), 0U);
  }
  // With what it saw, the slow one finds buffer 1 taken, and buffer 2 free, or its owner dead.
  const std::uint64_t sequence = scene.look.sequence(0, 2);
  slow.resume();
  ASSERT_TRUE(slow.wait_stopped());
  EXPECT_EQ(scene.look.sequence(0, 2), sequence) << "the current text was overwritten";
  EXPECT_EQ(scene.look.owner(0, 2), 0U);
  EXPECT_NE(scene.look.owner(0, 0), 0U);
  expect_text(scene, published);
  slow.resume();
  ASSERT_EQ(slow.wait(), 0);
  EXPECT_EQ(report->passes_of(Seam::kClaimed), 2) << "it claimed the current buffer, and let it go";
  EXPECT_EQ(report->passes_of(Seam::kTakingOver), publisher_dies ? 2 : 1);
  EXPECT_EQ(scene.text(), slow_text);
  quick.resume();
  ASSERT_EQ(quick.wait(), 0);
  EXPECT_EQ(scene.word().version(), 3U);
  expect_all_free(scene);
  ATOLL_SUMMARY("%s: the current buffer was claimed %s, and let go untouched",
                process::layout_name(layout),
                publisher_dies ? "from a dead publisher" : "when free");
}

INSTANTIATE_TEST_SUITE_P(All, SecondLook,
                         ::testing::Combine(::testing::Bool(),
                                            ::testing::Values(Layout::kPadded, Layout::kDense)),
                         [](const auto& param) {
                           return std::string(std::get<0>(param.param) ? "PublisherDies"
                                                                       : "PublisherLetsGo") +
                                  process::layout_name(std::get<1>(param.param));
                         });

}  // namespace
