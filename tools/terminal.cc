#include "terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace tool {
namespace {

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";  // alternate screen, no cursor
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH};
std::array<struct sigaction, kSignals.size()> actions_before;
sigset_t mask_before;
volatile std::sig_atomic_t end_wanted = 0;
volatile std::sig_atomic_t stop_wanted = 0;
volatile std::sig_atomic_t resized = 0;

void on_signal(int signal) {
  (signal == SIGTSTP ? stop_wanted : signal == SIGWINCH ? resized : end_wanted) = 1;
}

bool screen_is_ours = false;
bool keys_are_ours = false;
termios keys_before;

bool takes_more() {
  pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&output, 1, 0) > 0 && (output.revents & POLLOUT) != 0;
}

// Signals come through meanwhile: a terminal that takes nothing (Ctrl-S) must not keep Ctrl-C away. From
// one that takes it nothing is held back: the signal may have come while the screen is left.
void write_out(std::string_view text) {
  sigset_t mask;
  sigprocmask(SIG_SETMASK, &mask_before, &mask);
  do {
    const ssize_t written = write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) {
      break;
    }
    text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
  } while (!text.empty() && (end_wanted == 0 || takes_more()));
  sigprocmask(SIG_SETMASK, &mask, nullptr);
}

// Both are async-signal-safe.
void enter_screen() {
  keys_are_ours = tcgetattr(STDIN_FILENO, &keys_before) == 0;
  if (keys_are_ours) {
    termios keys = keys_before;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  }
  screen_is_ours = true;
  write_out(kEnter);
}
void leave_screen() {
  screen_is_ours = false;
  write_out(kLeave);
  if (keys_are_ours) {
    tcsetattr(STDIN_FILENO, TCSANOW, &keys_before);
  }
}

// Somebody has truncated the list. SA_RESETHAND: going back to the access ends us as it should.
void on_sigbus(int) { leave_screen(); }

bool wants_colour() {
  const char* const no_colour = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return is_terminal() && (no_colour == nullptr || *no_colour == '\0') &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

std::string_view code_of(Style style) {
  switch (style) {
    case Style::kStrong:
      return "1";
    case Style::kFaint:
      return "2";
    case Style::kGood:
      return "32";
    case Style::kBad:
      return "31";
    case Style::kNews:
      return "33";
  }
  return "0";
}

}  // namespace

bool is_terminal() { return isatty(STDOUT_FILENO) == 1; }

std::string styled(std::string_view text, Style style) {
  static const bool kColour = wants_colour();
  if (!kColour) {
    return std::string(text);
  }
  return absl::StrCat("\x1b[", std::string(code_of(style)), "m", std::string(text), "\x1b[0m");
}

Size terminal_size() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
    return {};
  }
  return {.rows = size.ws_row, .columns = size.ws_col};
}

Signals::Signals() {
  // Blocked but for the moments in which we wait, so that none comes between a look and the wait.
  sigset_t mask;
  sigemptyset(&mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaddset(&mask, kSignals[i]);
    struct sigaction action = {};
    action.sa_handler = on_signal;
    sigaction(kSignals[i], &action, &actions_before[i]);
    // What was ignored (nohup, a job of a script) stays so.
    if (actions_before[i].sa_handler == SIG_IGN) {
      sigaction(kSignals[i], &actions_before[i], nullptr);
    }
  }
  sigprocmask(SIG_BLOCK, &mask, &mask_before);
}

Signals::~Signals() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], &actions_before[i], nullptr);
  }
  sigprocmask(SIG_SETMASK, &mask_before, nullptr);
}

Event Signals::wait(absl::Duration timeout, int keys) {
  pollfd input = {.fd = keys, .events = POLLIN, .revents = 0};
  const timespec time = absl::ToTimespec(timeout);
  // What has come while something was written is not slept over.
  const bool is_news = end_wanted != 0 || stop_wanted != 0 || resized != 0;
  const int ready = is_news ? 0 : ppoll(&input, 1, &time, &mask_before);
  if (end_wanted != 0) {
    return Event::kEnd;
  }
  if (stop_wanted != 0) {
    stop_wanted = 0;
    const bool had_screen = screen_is_ours;
    if (had_screen) {
      leave_screen();
    }
    raise(SIGSTOP);
    if (had_screen) {
      enter_screen();
    }
    return Event::kResize;
  }
  if (resized != 0) {
    resized = 0;
    return Event::kResize;
  }
  return ready > 0 ? Event::kKey : Event::kTime;
}

Screen::Screen() {
  struct sigaction action = {};
  action.sa_handler = on_sigbus;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGBUS, &action, nullptr);
  enter_screen();
}

Screen::~Screen() {
  leave_screen();
  std::signal(SIGBUS, SIG_DFL);
}

void Screen::show(const std::string& lines) {
  // Each line clears what was behind it, the last one what was below.
  const std::string frame =
      absl::StrCat("\x1b[H", absl::StrReplaceAll(lines, {{"\n", "\x1b[K\r\n"}}), "\x1b[J");
  write_out(frame);
}

std::string Screen::keys() {
  std::array<char, 64> typed;
  const ssize_t count = read(STDIN_FILENO, typed.data(), typed.size());
  return {typed.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
}

}  // namespace tool
