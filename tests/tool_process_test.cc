// The `atoll` command: every command, every error, on lists that live and on what the dead left.

#include <sys/syscall.h>

#include <array>
#include <fstream>
#include <regex>
#include <set>

#include "absl/random/random.h"
#include "absl/strings/str_split.h"

#include "process.h"
#include "testing.h"
#include "tool.h"

namespace {

using libatoll::Bytes;
using libatoll::List;
using libatoll::Value;
using libatoll::test::Name;
using libatoll::test::Raw;
using process::Child;
using process::Inspector;
using process::must;
using process::park_at;
using process::Seam;
using process::wait_until;
using tool_test::atoll;
using tool_test::fails_with;
using tool_test::json;
using tool_test::prints;
using tool_test::read_json;
using tool_test::Result;
using tool_test::run_atoll;
using tool_test::Running;
using tool_test::Words;

const std::vector<std::string> kCommands = {"create", "ls",   "show",  "get",   "set", "add",
                                            "cas",    "wait", "watch", "check", "rm",  "gc"};

// A list in the test's own hands, and its name for the program.
struct Held {
  explicit Held(std::initializer_list<libatoll::Init> values,
                const libatoll::CreateOptions& options = {})
      : list(must(List::create(name, values, options))) {}
  Name name;
  List list;
};

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// ---- Usage and help -----------------------------------------------------------------------------

TEST(ToolUsage, WrongOnesEndWith2) {
  EXPECT_TRUE(fails_with(2, {}, {"which command", "atoll --help"}));
  EXPECT_TRUE(fails_with(2, {"frobnicate"}, {"no command 'frobnicate'", "atoll --help"}));
  EXPECT_TRUE(fails_with(2, {"help", "frobnicate"}, {"frobnicate"}));
  EXPECT_TRUE(fails_with(2, {"--frobnicate"}, {"--frobnicate"}));
  EXPECT_TRUE(fails_with(2, {"get", "x"}, {"get takes NAME INDEX, found 1 word;", "get --help"}));
  EXPECT_TRUE(fails_with(2, {"get", "x", "0", "1"}, {"found 3 words"}));
  EXPECT_TRUE(fails_with(2, {"ls", "x"}, {"ls takes no words"}));
  EXPECT_TRUE(fails_with(2, {"rm"}, {"rm takes NAME [NAME]..."}));
  EXPECT_TRUE(fails_with(2, {"get", "x", "first"}, {"'first' is no index"}));
  EXPECT_TRUE(fails_with(2, {"get", "x", "0", "--repair"}, {"get has no flag --repair"}));
  EXPECT_TRUE(fails_with(2, {"set", "x", "0", "-x"}, {"no flag -x", "behind --"}));
  EXPECT_TRUE(fails_with(2, {"set", "x", "0", "\"open"}, {"its quote does not end"}));
  EXPECT_TRUE(fails_with(2, {"set", "x", "0", "0x:0"}, {"pairs of hex digits"}));
  EXPECT_TRUE(fails_with(2, {"set", "x", "0", "9223372036854775808"}, {"beyond int64"}));
  EXPECT_TRUE(fails_with(2, {"cas", "x", "0", "\"", "1"}, {"quote"}));
  EXPECT_TRUE(fails_with(2, {"cas", "x", "0", "1", "\""}, {"quote"}));
  EXPECT_TRUE(fails_with(2, {"add", "x", "0", "idle"}, {"'idle' is no number"}));
  EXPECT_TRUE(fails_with(2, {"wait", "x", "0", "--timeout"}, {"--timeout needs a value"}));
  EXPECT_TRUE(fails_with(2, {"wait", "x", "0", "--timeout=5"},
                         {"'5' is no value for --timeout: how long", "5s"}));
  EXPECT_TRUE(fails_with(2, {"create", "x", "0", "--fill=-1"}, {"--fill: that many slots"}));
  EXPECT_TRUE(fails_with(2, {"wait", "x", "0", "--timeout=-5s"}, {"--timeout is negative"}));
  EXPECT_TRUE(fails_with(2, {"watch", "x", "--interval=0"}, {"--interval is more than 0"}));
  EXPECT_TRUE(fails_with(2, {"show", "x", "--range=1"}, {"'1' is no value for --range", "A:B"}));
  EXPECT_TRUE(fails_with(2, {"show", "x", "--range=a:"}, {"A:B"}));
  EXPECT_TRUE(fails_with(2, {"create", "x", "0", "--mode=8"}, {"--mode: it is octal"}));
  EXPECT_TRUE(fails_with(2, {"create", "x", "0", "--mode=1777"}, {"0777 at most"}));
  EXPECT_TRUE(fails_with(2, {"create", "x", "0", "--nopinned=true"}, {"takes no value"}));
  EXPECT_TRUE(fails_with(2, {"create", "x", "idle", "--pinned"}, {"idle cannot be pinned"}));
  EXPECT_TRUE(fails_with(2, {"create", "x", "0", "--pinned", "--capacity=9"}, {"no capacity"}));
  EXPECT_TRUE(fails_with(2, {"create", "x", "0", "1", "--fill=2"}, {"--fill takes one value"}));
  EXPECT_TRUE(fails_with(2, {"create", "x", "\"", "1"}, {"quote"}));
}

TEST(ToolUsage, EveryCommandHelpsWithAnExample) {
  const Result all = run_atoll({"--help"});
  EXPECT_EQ(all.code, 0);
  for (const std::string& command : kCommands) {
    EXPECT_NE(all.out.find("\n  " + command + " "), all.out.npos) << command;
    const Result help = run_atoll({command, "--help"});
    EXPECT_EQ(help.code, 0) << help;
    EXPECT_TRUE(help.out.starts_with("usage: atoll " + command + " ")) << help;
    EXPECT_NE(help.out.find("\nexample:\n  $ atoll " + command), help.out.npos) << help;
    EXPECT_EQ(run_atoll({"help", command}).out, help.out);
  }
  EXPECT_EQ(run_atoll({"help"}).out, all.out);
  EXPECT_EQ(run_atoll({"get", "x", "0", "-h"}).out, run_atoll({"get", "--help"}).out);
  EXPECT_TRUE(std::regex_match(run_atoll({"--version"}).out, std::regex("atoll [0-9.]+\n")));
}

// The page knows every command and every flag, and nothing else.
TEST(ToolUsage, TheManualPageAgreesWithTheHelp) {
  const std::string page = libatoll::test::read_file(std::getenv("ATOLL_TOOL_MAN"));
  const auto find = [](const std::string& text, const char* pattern) {
    std::set<std::string> found;
    const std::regex regex(pattern, std::regex::multiline);
    for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
      found.insert((*it)[1]);
    }
    return found;
  };
  EXPECT_EQ(find(page, "^\\.It Cm ([a-z]+)"), std::set(kCommands.begin(), kCommands.end()));
  std::set<std::string> flags = {"version"};
  for (const std::string& command : kCommands) {
    flags.merge(find(run_atoll({command, "--help"}).out, "^  --([a-z-]+)"));
  }
  EXPECT_EQ(find(page, "Fl -([a-z-]+)"), flags);
  EXPECT_GT(flags.size(), 15U);
}

TEST(ToolUsage, WithoutJsonItSaysSo) {
  const char* const program = std::getenv("ATOLL_TOOL_WITHOUT_JSON");
  ASSERT_NE(program, nullptr);
  const Held held({7});
  const Result value = tool_test::run({program, "get", held.name.str(), "0"});
  EXPECT_EQ(value.code, 0) << value;
  EXPECT_EQ(value.out, "7\n");
  for (const char* const command : {"ls", "gc"}) {
    const Result refused = tool_test::run({program, command, "--json"});
    EXPECT_EQ(refused.code, 1) << refused;
    EXPECT_EQ(refused.out, "");
    EXPECT_NE(refused.err.find("without JSON"), refused.err.npos) << refused;
  }
}

TEST(ToolUsage, AnOutputThatDoesNotGetOutIsAnError) {
  const Result result = tool_test::run({"sh", "-c", "\"$0\" ls > /dev/full", tool_test::program()});
  EXPECT_EQ(result.code, 1) << result;
  EXPECT_NE(result.err.find("cannot write the output"), result.err.npos) << result;
}

// ---- create -------------------------------------------------------------------------------------

TEST(ToolCreate, MakesASlotOfEachValue) {
  const Name name;
  const std::string bare = name.str().substr(1);
  EXPECT_TRUE(prints({"create", bare, "1", "-2.5", "1e9", "true", "none", "idle", "\"1\"",
                      "0x:00ff", "--mode=0640", "--capacity", "20"},
                     name.str() + "\n"));
  const List list = must(List::attach(name));
  EXPECT_EQ(
      list.to_string(),
      "List([1, -2.5, 1e+09, true, none, \"idle\", \"1\", 0x:00ff], name='" + name.str() + "')");
  for (const libatoll::Slot slot : list) {
    EXPECT_EQ(must(slot.capacity()), 24U);
    EXPECT_EQ(slot.version(), 0U);
  }
  EXPECT_EQ(must(List::inspect(name)).mode, mode_t{0640});
  EXPECT_TRUE(fails_with(1, {"create", bare, "0"}, {name.str(), "exists already"}));
}

TEST(ToolCreate, MakesALongListOfOneValue) {
  const Name name;
  EXPECT_EQ(
      json({"create", name.str(), "7", "--fill=1000000", "--pinned", "--dense"}),
      absl::StrCat(R"({"bytes": 20000192, "name": ")", name.str(), R"(", "slots": 1000000})"));
  const List list = must(List::attach(name, {.read_only = true}));
  EXPECT_EQ(list.size(), 1'000'000U);
  EXPECT_TRUE(list[999'999].is_pinned());
  EXPECT_EQ(must(list[999'999].load<std::int64_t>()), 7);
  EXPECT_EQ(must(List::inspect(name)).layout, libatoll::Layout::kDense);
}

TEST(ToolCreate, MakesUpANameAndTakesAPath) {
  const Result made = run_atoll({"create", "", "0"});
  ASSERT_TRUE(std::regex_match(made.out, std::regex("/atoll_[0-9a-f]{16}\n"))) << made;
  const Name name(made.out.substr(0, made.out.size() - 1));
  EXPECT_TRUE(must(List::attach(name)).is_open());

  const std::string path = absl::StrCat("./tool-", getpid(), ".list");
  ASSERT_EQ(run_atoll({"create", path, "3"}).code, 0);
  EXPECT_TRUE(prints({"add", path, "0", "4"}, "7\n"));
  EXPECT_TRUE(prints({"rm", path}, ""));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_TRUE(fails_with(1, {"rm", path}, {"does not exist"}));
}

TEST(ToolCreate, SaysWhatIsWrong) {
  EXPECT_TRUE(fails_with(1, {"create", "/", "0"}, {"cannot name a list"}));
  EXPECT_TRUE(fails_with(1, {"create", std::string(300, 'x'), "0"}, {"cannot name a list"}));
  EXPECT_TRUE(
      fails_with(1, {"create", Name().str(), "0", "--fill=100000000000000000"}, {"too large"}));
  EXPECT_TRUE(
      fails_with(1, {"create", Name().str(), "too long", "--capacity=2"}, {"capacity is 2"}));
}

// ---- One slot -----------------------------------------------------------------------------------

struct Literal {
  std::string word;
  Value value;
  std::string printed;
};
const std::vector<Literal> kLiterals = {
    {"1", 1, "1"},
    {"-7", -7, "-7"},
    {"-9223372036854775808", std::numeric_limits<std::int64_t>::min(), "-9223372036854775808"},
    {"-2.5", -2.5, "-2.5"},
    {"-.5", -0.5, "-0.5"},
    {"1e9", 1e9, "1e+09"},
    {"0.0", 0.0, "0.0"},
    {"-0.0", -0.0, "-0.0"},
    {"inf", HUGE_VAL, "inf"},
    {"-inf", -HUGE_VAL, "-inf"},
    {"true", true, "true"},
    {"false", false, "false"},
    {"none", Value(), "none"},
    {"idle", "idle", "\"idle\""},
    {"two words", "two words", "\"two words\""},
    {"", "", "\"\""},
    {"\"1\"", "1", "\"1\""},
    {"\"none\"", "none", "\"none\""},
    {"\"-x\"", "-x", "\"-x\""},
    {"é", "é", "\"é\""},
    {R"("a\"b\\\n\x00")", std::string("a\"b\\\n\0", 6), R"("a\"b\\\n\x00")"},
    {"\x1b[31m", "\x1b[31m", R"("\x1b[31m")"},
    {"\xff", "\xff", R"("\xff")"},
    {"0x:00ff", Bytes("\0\xff", 2), "0x:00ff"},
    {"0x:", Bytes(), "0x:"},
};

TEST(ToolSlot, GetPrintsWhatSetAccepts) {
  const Held held({libatoll::text(64), libatoll::text(64)});
  const std::string& name = held.name.str();
  for (const Literal& literal : kLiterals) {
    EXPECT_TRUE(prints({"set", name, "0", literal.word}, "")) << literal.word;
    EXPECT_EQ(must(held.list[0].load()), literal.value) << literal.word;
    EXPECT_TRUE(prints({"get", name, "0"}, literal.printed + "\n"));
    EXPECT_TRUE(prints({"set", name, "--", "-1", literal.printed}, ""));
    EXPECT_EQ(must(held.list[1].load()), literal.value) << literal.word;
  }
  EXPECT_TRUE(prints({"set", name, "0", "--", "--json"}, ""));
  EXPECT_EQ(must(held.list[0].load<std::string>()), "--json");
}

TEST(ToolSlot, AnyTextGoesOutAndInAgain) {
  constexpr int kRounds = 40;
  const Held held({libatoll::text(64), libatoll::text(64)});
  absl::BitGen random;
  for (int round = 0; round < kRounds; ++round) {
    std::string text(absl::Uniform(random, 0U, 65U), '\0');
    for (char& byte : text) {
      byte = static_cast<char>(absl::Uniform(random, 0, 256));
    }
    must(held.list[0].store(text));
    const Result got = run_atoll({"get", held.name.str(), "0"});
    ASSERT_EQ(got.code, 0);
    ASSERT_EQ(lines_in(got.out), 1U);
    ASSERT_TRUE(prints({"set", held.name.str(), "1", got.out.substr(0, got.out.size() - 1)}, ""));
    ASSERT_EQ(must(held.list[1].load<std::string>()), text) << got.out;
  }
}

TEST(ToolSlot, ValuesInJson) {
  const Held held({libatoll::text(64)});
  const std::vector<std::pair<Value, std::string>> values = {
      {Value(), "null"},
      {true, "true"},
      {-7, "-7"},
      {std::numeric_limits<std::int64_t>::max(), "9223372036854775807"},
      {1.0, "1.0"},
      {0.1, "0.1"},
      {HUGE_VAL, R"({"double": "inf"})"},
      {-HUGE_VAL, R"({"double": "-inf"})"},
      {std::nan(""), R"({"double": "nan"})"},
      {"a\"\n\x01", R"("a\"\n\u0001")"},
      {"é", R"("\u00e9")"},
      {"\xff"
       "A",
       R"({"text": "ff41"})"},
      {Bytes("\0\xff", 2), R"({"bytes": "00ff"})"},
  };
  for (const auto& [value, expected] : values) {
    must(held.list[0].store(value));
    EXPECT_EQ(json({"get", held.name.str(), "0"}), expected);
  }
}

TEST(ToolSlot, AddPrintsTheNewValue) {
  const Held held({40, 0.5, libatoll::pinned(std::numeric_limits<std::int64_t>::max()),
                   libatoll::pinned(1.5), "idle"});
  const std::string& name = held.name.str();
  EXPECT_TRUE(prints({"add", name, "0", "2"}, "42\n"));
  EXPECT_TRUE(prints({"add", name, "0", "-43"}, "-1\n"));
  EXPECT_TRUE(prints({"add", name, "1", "-2.5"}, "-2.0\n"));
  EXPECT_TRUE(prints({"add", name, "2", "1"}, "-9223372036854775808\n"));
  EXPECT_TRUE(prints({"add", name, "3", "1.5"}, "3.0\n"));
  EXPECT_EQ(json({"add", name, "0", "1"}), "0");
  EXPECT_EQ(must(held.list[0].load<std::int64_t>()), 0);
  EXPECT_TRUE(fails_with(1, {"add", name, "1", "1"}, {name, "found double", "write 1.0"}));
  EXPECT_TRUE(fails_with(1, {"add", name, "0", "1.0"}, {"slot 0", name, "found int64"}));
  EXPECT_TRUE(fails_with(1, {"add", name, "4", "1"}, {"slot 4", name, "found text"}));
}

TEST(ToolSlot, CasExchangesOrSaysSo) {
  const Held held({"idle", 1});
  const std::string& name = held.name.str();
  EXPECT_TRUE(prints({"cas", name, "0", "idle", "running"}, ""));
  EXPECT_TRUE(fails_with(1, {"cas", name, "0", "idle", "mine"}, {"did not hold \"idle\"", name}));
  EXPECT_EQ(must(held.list[0].load<std::string>()), "running");
  EXPECT_TRUE(fails_with(1, {"cas", name, "1", "1.0", "2"}, {"did not hold 1.0"}))
      << "not an int64";
  EXPECT_EQ(json({"cas", name, "1", "1", "none"}), R"({"exchanged": true})");
  EXPECT_EQ(json({"cas", name, "1", "1", "none"}), R"({"exchanged": false})");
  EXPECT_EQ(run_atoll({"cas", name, "1", "1", "none", "--json"}).code, 1);
  EXPECT_TRUE(fails_with(1, {"cas", name, "1", "none", "far too long"}, {"8 bytes", "--capacity"}));
}

TEST(ToolSlot, SaysWhatIsWrong) {
  const Held held({0, libatoll::pinned(0)});
  const std::string& name = held.name.str();
  const std::string missing = Name().str();
  for (const Words& words : std::vector<Words>{{"get", missing, "0"},
                                               {"set", missing, "0", "1"},
                                               {"add", missing, "0", "1"},
                                               {"cas", missing, "0", "1", "2"},
                                               {"wait", missing, "0"},
                                               {"watch", missing},
                                               {"show", missing},
                                               {"check", missing},
                                               {"rm", missing}}) {
    EXPECT_TRUE(fails_with(1, words, {missing, "does not exist", "atoll ls"})) << words[0];
  }
  for (const Words& words : std::vector<Words>{{"get", name, "2"},
                                               {"set", name, "-3", "1"},
                                               {"add", name, "2", "1"},
                                               {"cas", name, "2", "1", "2"},
                                               {"wait", name, "2"}}) {
    EXPECT_TRUE(fails_with(1, words, {"outside list", name, "2 slots"})) << words[0];
  }
  EXPECT_TRUE(
      fails_with(1, {"set", name, "0", "more than eight"}, {"holds up to 8", "--capacity"}));
  EXPECT_TRUE(fails_with(1, {"set", name, "1", "idle"}, {"slot 1", name, "pinned to int64"}));
  Raw(held.name).forge(0, {0, 14});
  for (const Words& words : std::vector<Words>{{"get", name, "0"},
                                               {"set", name, "0", "1"},
                                               {"add", name, "0", "1"},
                                               {"cas", name, "0", "1", "2"},
                                               {"wait", name, "0"}}) {
    EXPECT_TRUE(fails_with(1, words, {"slot 0", name, "impossible"})) << words[0];
  }
}

TEST(ToolSlot, AListOfAnotherUserHasToBeTrusted) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root can give a list to somebody else";
  }
  const Held held({7});
  ASSERT_EQ(chown(held.name.path().c_str(), 12345, 12345), 0);
  const std::string& name = held.name.str();
  EXPECT_TRUE(fails_with(1, {"get", name, "0"}, {name, "user 12345", "--other-owner"}));
  EXPECT_TRUE(fails_with(1, {"add", name, "0", "1"}, {"--other-owner"}));
  EXPECT_TRUE(prints({"get", name, "0", "--other-owner"}, "7\n"));
  EXPECT_TRUE(prints({"add", name, "0", "1", "--other-owner"}, "8\n"));
}

// ---- wait ---------------------------------------------------------------------------------------

bool is_waited_for(const List& list, std::size_t slot) {
  return wait_until(
      [&, look = std::make_unique<Inspector>(list)] { return look->word(slot).has_waiters(); });
}

TEST(ToolWait, SleepsUntilAWrite) {
  const Held held({1});
  Running waiter(atoll({"wait", held.name.str(), "0"}));
  ASSERT_TRUE(is_waited_for(held.list, 0));
  EXPECT_EQ(waiter.out(), "");
  must(held.list[0].store(1));
  EXPECT_EQ(waiter.child().wait(), 0);
  EXPECT_EQ(waiter.out(), "1\n") << "an equal value is a write, too";
}

TEST(ToolWait, FromAValueSleepsThroughWritesOfIt) {
  const Held held({"idle"});
  Running waiter(atoll({"wait", held.name.str(), "0", "--from=idle", "--json"}));
  ASSERT_TRUE(is_waited_for(held.list, 0));
  must(held.list[0].store("idle"));
  ASSERT_TRUE(is_waited_for(held.list, 0)) << "goes back to sleep";
  EXPECT_EQ(waiter.out(), "");
  must(held.list[0].store("done"));
  EXPECT_EQ(waiter.child().wait(), 0);
  EXPECT_EQ(read_json(waiter.out()), "\"done\"");
  EXPECT_TRUE(prints({"wait", held.name.str(), "0", "--from=idle"}, "\"done\"\n"))
      << "has changed before";
}

TEST(ToolWait, EndsWhenItsTimeIsOver) {
  const Held held({1});
  EXPECT_TRUE(fails_with(1, {"wait", held.name.str(), "0", "--timeout=10ms"},
                         {"slot 0", held.name.str(), "within 10ms"}));
  EXPECT_TRUE(fails_with(1, {"wait", held.name.str(), "0", "--timeout", "0"}, {"did not change"}));
}

// ---- show ---------------------------------------------------------------------------------------

TEST(ToolShow, ShowsEachSlot) {
  const Held held({0, libatoll::pinned(0.5), libatoll::text("idle", 100), nullptr});
  must(held.list[0].fetch_add(5));
  EXPECT_TRUE(prints({"show", held.name.str()},
                     "   INDEX TYPE               VERSION     CAPACITY  VALUE\n"
                     "       0 int64                    1            8  5\n"
                     "       1 pinned double            0            0  0.5\n"
                     "       2 text                     0          104  \"idle\"\n"
                     "       3 none                     0            8  none\n"));
  EXPECT_EQ(json({"show", held.name.str(), "--range=0:3"}),
            R"([{"capacity": 8, "index": 0, "type": "int64", "value": 5, "version": 1}, )"
            R"({"capacity": 0, "index": 1, "type": "pinned double", "value": 0.5, "version": 0}, )"
            R"({"capacity": 104, "index": 2, "type": "text", "value": "idle", "version": 0}])");
}

TEST(ToolShow, CutsLongTextUnlessToldNotTo) {
  const Held held({std::string(5000, 'x')});
  const Result cut = run_atoll({"show", held.name.str()});
  EXPECT_NE(cut.out.find("xxx…\n"), cut.out.npos) << cut;
  EXPECT_LT(cut.out.size(), 300U);
  const Result full = run_atoll({"show", held.name.str(), "--full"});
  EXPECT_NE(full.out.find(std::string(5000, 'x') + "\"\n"), full.out.npos);
  EXPECT_EQ(json({"show", held.name.str()}, "len(d[0]['value'])"), "5000");
}

TEST(ToolShow, TakesRangesAsPythonDoes) {
  const Held held({0, 1, 2, 3, 4});
  const Name name_of_empty;
  const List empty = must(List::create(name_of_empty, std::span<const libatoll::Init>()));
  for (const char* const range :
       {":", "1:3", "-2:", ":-2", "3:1", "9:", "-99:2", "2:99", "-1:-1"}) {
    EXPECT_EQ(json({"show", held.name.str(), "--range", range}, "[row['index'] for row in d]"),
              read_json("[0,1,2,3,4]", absl::StrCat("d[", range, "]")))
        << range;
    EXPECT_EQ(json({"show", empty.name(), "--range", range}), "[]");
  }
}

TEST(ToolShow, ShowsAMillionSlots) {
  const Name name;
  const List list =
      must(List::create(name, libatoll::fill(1'000'000, 7), {.layout = libatoll::Layout::kDense}));
  must(list[999'999].store(8));
  const Result all = run_atoll({"show", name.str()});
  EXPECT_EQ(all.code, 0);
  EXPECT_EQ(lines_in(all.out), 1'000'001U);
  EXPECT_TRUE(all.out.ends_with("  999999 int64                    1            8  8\n"));
  EXPECT_EQ(lines_in(run_atoll({"show", name.str(), "--range=-3:"}).out), 4U);
  EXPECT_EQ(run_atoll({"check", name.str()}).code, 0);
}

TEST(ToolShow, GoesOnBehindABrokenSlot) {
  const Held held({0, 1, 2});
  Raw(held.name).forge(1, {0, 14});
  const Result shown = run_atoll({"show", held.name.str()});
  EXPECT_EQ(shown.code, 1);
  EXPECT_EQ(lines_in(shown.out), 4U) << shown;
  EXPECT_NE(shown.out.find("1 slot 1 of list"), shown.out.npos) << shown;
  EXPECT_NE(shown.err.find("1 broken slots; see `atoll check`"), shown.err.npos) << shown;
  EXPECT_EQ(json({"show", held.name.str()}, "[sorted(row) for row in d][1:]"),
            R"([["error", "index"], ["capacity", "index", "type", "value", "version"]])");
}

// ---- ls -----------------------------------------------------------------------------------------

std::string ls(const Name& name, const std::string& field) {
  return json({"ls"}, absl::StrCat("[row.get('", field, "') for row in d if row['name'] == '",
                                   name.str(), "']"));
}
std::string ls_line(const Name& name) {
  for (const absl::string_view line : absl::StrSplit(run_atoll({"ls"}).out, '\n')) {
    if (line.substr(0, line.find(' ')) == name.str()) {
      return std::string(line);
    }
  }
  return "";
}

TEST(ToolLs, ShowsWhatAListIs) {
  const Held held({0, libatoll::text(100), 2}, {.mode = 0640, .layout = libatoll::Layout::kPadded});
  const List second = must(List::attach(held.name));
  EXPECT_TRUE(std::regex_match(
      ls_line(held.name), std::regex(held.name.str() + " +3 +[0-9.]+[BK] +\\S+ +0640 +2 +[0-9]+s")))
      << ls_line(held.name);
  EXPECT_EQ(ls(held.name, "slots"), "[3]");
  EXPECT_EQ(ls(held.name, "bytes"), absl::StrCat("[", held.list.bytes(), "]"));
  EXPECT_EQ(ls(held.name, "mode"), absl::StrCat("[", 0640, "]"));
  EXPECT_EQ(ls(held.name, "owner"), absl::StrCat("[", geteuid(), "]"));
  EXPECT_EQ(ls(held.name, "participants"), "[2]");
  EXPECT_EQ(ls(held.name, "layout"), "[\"padded\"]");
  EXPECT_EQ(ls(held.name, "error"), "[null]");
  EXPECT_NE(run_atoll({"ls", "--names"}).out.find(held.name.str() + "\n"), std::string::npos);
}

TEST(ToolLs, ShowsWhatIsNoListAsSuch) {
  const Name foreign;
  const Name truncated;
  const Name link;
  libatoll::test::write_file(foreign.path(),
                             "not a list, but long enough to be one" + std::string(500, '.'));
  { const List list = must(List::create(truncated, {0, 1}, {.report_leak = false})); }
  ASSERT_EQ(truncate(truncated.path().c_str(), 200), 0);
  std::filesystem::create_symlink("/dev/null", link.path());
  const Result all = run_atoll({"ls"});
  EXPECT_EQ(all.code, 0);
  EXPECT_NE(ls_line(foreign).find("is not a list"), std::string::npos) << all;
  EXPECT_NE(ls_line(truncated).find("is cut short"), std::string::npos) << all;
  EXPECT_NE(ls_line(link).find("not a regular file"), std::string::npos) << all;
  EXPECT_NE(ls(foreign, "error").find("magic"), std::string::npos);
  EXPECT_EQ(ls(foreign, "slots"), "[null]");
  EXPECT_EQ(run_atoll({"ls", "--names"}).out.find(foreign.str()), std::string::npos);
  for (const Name* const name : {&foreign, &truncated, &link}) {
    EXPECT_TRUE(fails_with(1, {"show", name->str()}, {name->str()}));
    EXPECT_TRUE(fails_with(1, {"check", name->str()}, {name->str()}));
    EXPECT_TRUE(fails_with(1, {"rm", name->str()}, {name->str(), "--force"}));
    EXPECT_EQ(run_atoll({"gc", name->str(), "--yes"}).out, "0 of 0 unused lists removed\n");
    EXPECT_TRUE(name->exists());
    EXPECT_TRUE(prints({"rm", name->str(), "--force"}, ""));
    EXPECT_FALSE(name->exists());
  }
}

// ---- check --------------------------------------------------------------------------------------

TEST(ToolCheck, FindsTheClaimsOfTheDeadAndTakesThemBack) {
  const Held held({0, libatoll::text(200)});
  const std::string& name = held.name.str();
  const std::string sound = name + ": 2 slots, 1 live participants, sound\n";
  EXPECT_TRUE(prints({"check", name}, sound));
  const auto writer = [&] {
    return Child([&] {
      park_at(Seam::kCopied);
      must(held.list[1].store(std::string(100, 'x')));
      return 0;
    });
  };
  Child dead = writer();
  ASSERT_TRUE(dead.wait_stopped());
  Result check = run_atoll({"check", name});
  EXPECT_EQ(check.code, 0) << "who is stopped may go on: " << check;
  EXPECT_TRUE(std::regex_match(
      check.out, std::regex("slot 1: buffer [0-2] is claimed by participant [0-9]+, who is "
                            "writing\n" +
                            name + ": 2 slots, 2 live participants, sound\n")))
      << check;
  EXPECT_EQ(json({"check", name, "--repair"}, "[d['repaired'], d['claims'][0]['alive']]"),
            "[0, true]");

  ASSERT_TRUE(dead.kill());
  Child stopped = writer();
  ASSERT_TRUE(stopped.wait_stopped());
  check = run_atoll({"check", name});
  EXPECT_EQ(check.code, 1);
  EXPECT_NE(check.out.find("who is dead\n"), check.out.npos) << check;
  EXPECT_NE(check.err.find("1 claims of dead writers"), check.err.npos) << check;
  EXPECT_NE(check.err.find("check --repair"), check.err.npos) << check;
  EXPECT_EQ(json({"check", name},
                 "[sorted(c['alive'] for c in d['claims']), d['faults'], "
                 "d['participants'], d['slots']]"),
            "[[false, true], [], 2, 2]");
  EXPECT_EQ(held.list.claims().size(), 2U) << "nothing is taken back without --repair";
  check = run_atoll({"check", name, "--repair"});
  EXPECT_EQ(check.code, 0) << check;
  EXPECT_NE(check.out.find("1 claims of dead writers taken back\n"), check.out.npos) << check;
  ASSERT_EQ(held.list.claims().size(), 1U);
  EXPECT_TRUE(held.list.claims()[0].owner_may_live);
  stopped.resume();
  EXPECT_EQ(stopped.wait(), 0);
  EXPECT_TRUE(prints({"check", name}, sound));
}

TEST(ToolCheck, FindsFaults) {
  std::vector<libatoll::Init> values(30, libatoll::text(100));
  const Name name;
  const List list = must(List::create(name, values));
  for (std::size_t i = 0; i < 25; ++i) {
    Raw(name).forge(i, {0, 14});
  }
  const Result check = run_atoll({"check", name.str()});
  EXPECT_EQ(check.code, 1);
  EXPECT_NE(check.out.find("slot 0 of list '" + name.str() + "' has impossible bytes"),
            check.out.npos);
  EXPECT_NE(check.out.find("... 25 faults in all"), check.out.npos) << check;
  EXPECT_NE(check.out.find("30 slots, 1 live participants, 25 faults"), check.out.npos) << check;
  EXPECT_NE(check.err.find("create it anew"), check.err.npos) << check;
  EXPECT_EQ(lines_in(check.out), 22U);
  EXPECT_EQ(json({"check", name.str()}, "len(d['faults'])"), "25");
  EXPECT_EQ(run_atoll({"check", name.str(), "--repair"}).code, 1) << "faults stay";
}

// ---- rm and gc ----------------------------------------------------------------------------------

TEST(ToolRm, RemovesNamesAndNothingElse) {
  const Held held({7});
  const Name second;
  { const List list = must(List::create(second, {0}, {.report_leak = false})); }
  const Name missing;
  const Result removed = run_atoll({"rm", held.name.str(), missing.str(), second.str()});
  EXPECT_EQ(removed.code, 1) << removed;
  EXPECT_NE(removed.err.find(missing.str()), removed.err.npos);
  EXPECT_FALSE(held.name.exists());
  EXPECT_FALSE(second.exists()) << "what comes behind an error is removed all the same";
  EXPECT_EQ(must(held.list[0].load<std::int64_t>()), 7) << "who has it keeps it";
  { const List list = must(List::create(second, {0}, {.report_leak = false})); }
  EXPECT_EQ(json({"rm", second.str()}), absl::StrCat("[\"", second.str(), "\"]"));
}

TEST(ToolRm, DoesNotAdviseForceWhereItIsNoHelp) {
  for (const std::string& name : {std::string(), std::string(300, 'x')}) {
    const Result result = run_atoll({"rm", name});
    EXPECT_EQ(result.code, 1) << result;
    EXPECT_NE(result.err.find("cannot name a list"), result.err.npos) << result;
    EXPECT_EQ(result.err.find("--force"), result.err.npos) << result;
  }
}

// Names are given, for the lists of others in shared memory are not ours to remove.
class ToolGc : public ::testing::Test {
 protected:
  ToolGc() {
    const auto make = [](const Name& name) {
      return Child([&name] {
        const List list = must(List::create(name, {0}, {.report_leak = false}));
        return raise(SIGSTOP);
      });
    };
    Child dead = make(of_the_dead_);
    owner_ = std::make_unique<Child>(make(of_the_living_));
    EXPECT_TRUE(dead.wait_stopped() && owner_->wait_stopped());
    EXPECT_TRUE(dead.kill());
  }
  Words gc(const Words& more) const {
    Words words = {"gc", of_the_dead_.str(), of_the_living_.str().substr(1)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Name of_the_dead_, of_the_living_;
  std::unique_ptr<Child> owner_;
};

TEST_F(ToolGc, RemovesWhatOnlyTheDeadHad) {
  EXPECT_TRUE(prints(gc({"--yes"}), of_the_dead_.str() + "\n1 of 1 unused lists removed\n"));
  EXPECT_FALSE(of_the_dead_.exists());
  EXPECT_TRUE(of_the_living_.exists());
  ASSERT_TRUE(owner_->kill());
  EXPECT_EQ(json(gc({"--yes"})),
            absl::StrCat(R"([{"name": ")", of_the_living_.str(), R"(", "removed": true}])"));
  EXPECT_FALSE(of_the_living_.exists());
  EXPECT_TRUE(prints(gc({"--yes"}), "0 of 0 unused lists removed\n"));
}

TEST_F(ToolGc, AsksBefore) {
  const std::string nothing = of_the_dead_.str() + "\n0 of 1 unused lists removed\n";
  for (const char* const answer : {"n\n", "\n", "", "yikes\n"}) {
    const Result result = run_atoll(gc({}), answer);
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.out, nothing) << answer;
    EXPECT_EQ(result.err, "remove them? [y/N] ");
  }
  EXPECT_TRUE(prints(gc({"--dry-run"}), nothing));
  EXPECT_TRUE(prints(gc({"--dry-run", "--yes"}), nothing));
  EXPECT_EQ(json(gc({"--dry-run"}), "d[0]['removed']"), "false");
  EXPECT_TRUE(prints(gc({"--older=1h", "--yes"}), "0 of 0 unused lists removed\n"));
  EXPECT_TRUE(of_the_dead_.exists());
  EXPECT_TRUE(prints(gc({}), of_the_dead_.str() + "\n1 of 1 unused lists removed\n", "y\n"));
  EXPECT_FALSE(of_the_dead_.exists());
  const Result all = run_atoll({"gc", "--dry-run"});
  EXPECT_EQ(all.code, 0);
  EXPECT_NE(all.out.find(" unused lists removed\n"), all.out.npos);
  EXPECT_EQ(all.out.find(of_the_living_.str()), all.out.npos);
}

// gc with its question put, and not answered yet.
class Asking {
 public:
  explicit Asking(const Words& words)
      : child_([&]() -> int {
          dup2(ends_[0], STDIN_FILENO);
          dup2(out_.fd(), STDOUT_FILENO);
          dup2(out_.fd(), STDERR_FILENO);
          tool_test::execute(atoll(words));
        }) {
    EXPECT_TRUE(wait_until([&] { return out().ends_with("[y/N] "); }));
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  ~Asking() {
    close(ends_[0]);
    close(ends_[1]);
  }
  void agree() const { ATOLL_CHECK(write(ends_[1], "y\n", 2) == 2); }
  std::string out() const { return out_.contents(); }
  Child& child() { return child_; }

 private:
  static std::array<int, 2> new_pipe() {
    std::array<int, 2> ends = {};
    ATOLL_CHECK(pipe2(ends.data(), O_CLOEXEC) == 0);
    return ends;
  }

  std::array<int, 2> ends_ = new_pipe();
  tool_test::Stream out_;
  Child child_;
};

// Somebody attaches while the question is open.
TEST_F(ToolGc, LeavesWhatWasAttachedMeanwhile) {
  Asking asking(gc({}));
  const List list = must(List::attach(of_the_dead_));
  asking.agree();
  EXPECT_EQ(asking.child().wait(), 0);
  EXPECT_TRUE(asking.out().ends_with("0 of 1 unused lists removed\n")) << asking.out();
  EXPECT_TRUE(of_the_dead_.exists());
}

// Somebody tries to at the last moment, when it has found that nobody has the list.
TEST_F(ToolGc, LetsNobodyInOnceItHasLooked) {
#ifdef SYS_unlink
  constexpr std::uint64_t kUnlink = SYS_unlink;
#else
  constexpr std::uint64_t kUnlink = SYS_unlinkat;
#endif
  Asking asking(gc({}));
  {
    tool_test::AtSystemCalls tracer(asking.child().pid());
    asking.agree();
    tracer.run_to(kUnlink);
    EXPECT_TRUE(of_the_dead_.exists());
    EXPECT_EQ(List::attach(of_the_dead_).status().code(), absl::StatusCode::kUnavailable);
  }
  EXPECT_EQ(asking.child().wait(), 0);
  EXPECT_TRUE(asking.out().ends_with("1 of 1 unused lists removed\n")) << asking.out();
  EXPECT_FALSE(of_the_dead_.exists());
}

// ---- Completion ---------------------------------------------------------------------------------

std::string complete(const std::string& line) {
  const std::string script = absl::StrCat(
      R"(PATH=$(dirname "$ATOLL_TOOL"):$PATH; . "$ATOLL_TOOL_COMPLETION"; COMP_WORDS=()", line,
      R"(); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _atoll; echo "${COMPREPLY[@]}")");
  const Result result = tool_test::run({"bash", "-c", script});
  EXPECT_EQ(result.err, "") << line;
  return result.out;
}

TEST(ToolCompletion, OffersCommandsFlagsAndLists) {
  const Held held({0});
  const std::string bare = held.name.str().substr(1);
  EXPECT_EQ(complete("atoll s"), "show set\n");
  EXPECT_EQ(lines_in(complete("atoll ''")), 1U);
  for (const std::string& command : kCommands) {
    EXPECT_NE((" " + complete("atoll ''")).find(" " + command), std::string::npos) << command;
  }
  EXPECT_EQ(complete("atoll wait x 0 --t"), "--timeout=\n");
  EXPECT_EQ(complete("atoll check --r"), "--repair\n");
  EXPECT_EQ(complete("atoll show " + bare), bare + "\n");
  EXPECT_EQ(complete("atoll show " + held.name.str()), held.name.str() + "\n");
  EXPECT_EQ(complete("atoll rm x y " + bare), bare + "\n");
  EXPECT_EQ(complete("atoll set x 0 " + bare), "\n");
}

}  // namespace
