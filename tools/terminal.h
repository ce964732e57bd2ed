// The terminal: whether there is one, its colours and its size, and a screen that is given back as it
// was.

#ifndef ATOLL_TOOLS_TERMINAL_H_
#define ATOLL_TOOLS_TERMINAL_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/time/time.h"

namespace tool {

bool is_terminal();  // stdout

enum class Style { kStrong, kFaint, kGood, kBad, kNews };
// `text` in that style; as it is where stdout is no terminal, or NO_COLOR is set, or TERM is dumb.
std::string styled(std::string_view text, Style style);

struct Size {
  std::size_t rows = 24;
  std::size_t columns = 80;
};
Size terminal_size();

// What woke somebody who waited.
enum class Event { kTime, kKey, kResize, kEnd };

// While it lives, SIGINT, SIGTERM and SIGHUP are no death but an Event, and wake whoever waits. Only one
// may live.
class Signals {
 public:
  Signals();
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

  // Waits for a signal, a key on `keys` (-1: none), or the time to pass.
  static Event wait(absl::Duration timeout, int keys);
};

// Only while Signals live: the alternate screen, without a cursor, keys unechoed and at once. Left when it is destroyed, while
// the program is stopped (Ctrl-Z), and when SIGBUS ends it.
class Screen {
 public:
  Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  // Shows these lines from the top left corner.
  static void show(const std::string& lines);
  // What was typed; empty at the end of the input.
  static std::string keys();
};

}  // namespace tool

#endif  // ATOLL_TOOLS_TERMINAL_H_
