// Whether a history of concurrent operations is linearizable: whether its operations can be put into
// one order, each at a moment between its call and its return, such that a sequential model gives the
// very responses that were recorded.
//
// The search is that of Wing and Gong ("Testing and verifying concurrent objects", 1993) with Lowe's
// improvements ("Testing for linearizability", 2017): calls and returns stand in a doubly linked list
// from which an operation that has been placed is lifted, and a configuration (the set of operations
// placed, the state they lead to) that has been tried before is not tried again. The whole
// configuration is compared, not its hash alone, so a verdict is exact either way.
//
// An operation that never returned, because its process was killed, may have happened at any moment
// after its call, or not at all.
//
// A Model has
//   State, with == and hash(); Call; Response, with ==; operator<< for all three
//   Response apply(State&, const Call&) const    what the operation answers and makes of the state;
//                                                it has one answer, so pending operations have too
// An object made of parts is linearizable if each part is (Herlihy and Wing, "locality", 1990), so a
// history on several slots is checked slot by slot, unless an operation spans them.

#ifndef ATOLL_TESTS_LINEARIZABILITY_H_
#define ATOLL_TESTS_LINEARIZABILITY_H_

#include <algorithm>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace linearizability {

// When an operation returned that did not.
inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

template <typename Model>
struct Operation {
  int process = 0;
  typename Model::Call call = {};
  // Moments on one clock, which must have this property: if one operation's `returned` is less than
  // another's `called`, then the first was over before the second began. Equal moments say nothing.
  std::int64_t called = 0;
  std::int64_t returned = kNever;
  typename Model::Response response = {};  // means nothing while it is pending

  bool is_pending() const { return returned == kNever; }
};

template <typename Model>
using History = std::vector<Operation<Model>>;

inline constexpr std::size_t kOperationsMax = 256;

struct Verdict {
  bool linearizable = false;
  // Indices into the history: an order that explains it; if there is none, the longest one that
  // explains its beginning.
  std::vector<std::size_t> order;
  std::size_t configurations = 0;  // how many the search has looked at
};

namespace detail {

template <typename Model>
class Search {
 public:
  Search(const Model& model, const typename Model::State& initial, const History<Model>& history)
      : model_(model), history_(history), state_(initial) {
    if (history.size() > kOperationsMax) {
      throw std::length_error("the history is too long");
    }
    struct Event {
      std::int64_t time;
      bool is_return;
      std::size_t operation;
    };
    std::vector<Event> events;
    for (std::size_t i = 0; i < history.size(); ++i) {
      events.push_back({history[i].called, false, i});
      if (!history[i].is_pending()) {
        events.push_back({history[i].returned, true, i});
        ++returns_left_;
      }
    }
    // Calls first among equal moments: operations that may have overlapped count as overlapping.
    std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
      return a.time != b.time ? a.time < b.time : a.is_return < b.is_return;
    });
    // nodes_[0] is the head; an operation's return is found from its call.
    nodes_.resize(events.size() + 1);
    return_of_.resize(history.size());
    call_of_.resize(history.size());
    for (std::size_t i = 0; i < events.size(); ++i) {
      nodes_[i + 1] = {.operation = events[i].operation,
                       .is_return = events[i].is_return,
                       .previous = i,
                       .next = i + 2 <= events.size() ? i + 2 : kEnd};
      (events[i].is_return ? return_of_ : call_of_)[events[i].operation] = i + 1;
    }
    nodes_[0].next = events.empty() ? kEnd : 1;
  }

  Verdict run() {
    Verdict verdict;
    std::size_t node = nodes_[0].next;
    while (returns_left_ > 0) {
      if (!nodes_[node].is_return) {
        const std::size_t operation = nodes_[node].operation;
        typename Model::State next = state_;
        const typename Model::Response response = model_.apply(next, history_[operation].call);
        placed_.set(operation);
        if ((history_[operation].is_pending() || response == history_[operation].response) &&
            tried_.insert({placed_, next}).second) {
          path_.push_back({operation, std::exchange(state_, std::move(next))});
          lift(operation);
          if (path_.size() > verdict.order.size()) {
            note_order(verdict);
          }
          node = nodes_[0].next;
        } else {
          placed_.reset(operation);
          node = nodes_[node].next;
        }
        continue;
      }
      // This operation has returned, so it must have been placed by now.
      if (path_.empty()) {
        verdict.configurations = tried_.size();
        return verdict;
      }
      const std::size_t operation = path_.back().operation;
      state_ = std::move(path_.back().before);
      path_.pop_back();
      unlift(operation);
      placed_.reset(operation);
      node = nodes_[call_of_[operation]].next;
    }
    note_order(verdict);
    verdict.linearizable = true;
    verdict.configurations = tried_.size();
    return verdict;
  }

 private:
  static constexpr std::size_t kEnd = std::numeric_limits<std::size_t>::max();

  struct Node {
    std::size_t operation = 0;
    bool is_return = false;
    std::size_t previous = 0;
    std::size_t next = kEnd;
  };
  struct Configuration {
    std::bitset<kOperationsMax> placed;
    typename Model::State state;
    friend bool operator==(const Configuration&, const Configuration&) = default;
  };
  struct Hash {
    std::size_t operator()(const Configuration& configuration) const {
      return std::hash<std::bitset<kOperationsMax>>()(configuration.placed) * 31 +
             static_cast<std::size_t>(configuration.state.hash());
    }
  };
  struct Step {
    std::size_t operation;
    typename Model::State before;
  };

  void note_order(Verdict& verdict) const {
    verdict.order.clear();
    for (const Step& step : path_) {
      verdict.order.push_back(step.operation);
    }
  }

  void take_out(std::size_t node) {
    nodes_[nodes_[node].previous].next = nodes_[node].next;
    if (nodes_[node].next != kEnd) {
      nodes_[nodes_[node].next].previous = nodes_[node].previous;
    }
  }
  void put_back(std::size_t node) {
    nodes_[nodes_[node].previous].next = node;
    if (nodes_[node].next != kEnd) {
      nodes_[nodes_[node].next].previous = node;
    }
  }
  void lift(std::size_t operation) {
    take_out(call_of_[operation]);
    if (!history_[operation].is_pending()) {
      take_out(return_of_[operation]);
      --returns_left_;
    }
  }
  void unlift(std::size_t operation) {
    if (!history_[operation].is_pending()) {
      put_back(return_of_[operation]);
      ++returns_left_;
    }
    put_back(call_of_[operation]);
  }

  const Model& model_;
  const History<Model>& history_;
  typename Model::State state_;
  std::vector<Node> nodes_;
  std::vector<std::size_t> call_of_;
  std::vector<std::size_t> return_of_;
  std::size_t returns_left_ = 0;
  std::bitset<kOperationsMax> placed_;
  std::vector<Step> path_;
  std::unordered_set<Configuration, Hash> tried_;
};

}  // namespace detail

template <typename Model>
Verdict check(const Model& model, const typename Model::State& initial,
              const History<Model>& history) {
  return detail::Search<Model>(model, initial, history).run();
}

// What of the history had happened by `moment`: later calls are gone, later returns are pending.
template <typename Model>
History<Model> until(const History<Model>& history, std::int64_t moment) {
  History<Model> prefix;
  for (Operation<Model> operation : history) {
    if (operation.called <= moment) {
      if (operation.returned > moment) {
        operation.returned = kNever;
      }
      prefix.push_back(std::move(operation));
    }
  }
  return prefix;
}

// How many pairs of operations of different processes overlapped.
template <typename Model>
std::size_t overlaps(const History<Model>& history) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < history.size(); ++i) {
    for (std::size_t j = i + 1; j < history.size(); ++j) {
      found += history[i].process != history[j].process &&
                       history[i].called < history[j].returned &&
                       history[j].called < history[i].returned
                   ? 1
                   : 0;
    }
  }
  return found;
}

// For people: the shortest beginning of a history that is not linearizable, a line an operation in
// the order of the calls, and how far the search came.
template <typename Model>
std::string explain(const Model& model, const typename Model::State& initial,
                    const History<Model>& whole) {
  // A history whose beginning cannot be explained cannot be either: the first such end is found.
  std::vector<std::int64_t> moments;
  for (const Operation<Model>& operation : whole) {
    if (!operation.is_pending()) {
      moments.push_back(operation.returned);
    }
  }
  std::sort(moments.begin(), moments.end());
  const auto end = std::partition_point(moments.begin(), moments.end(), [&](std::int64_t moment) {
    return check(model, initial, until(whole, moment)).linearizable;
  });
  if (end == moments.end()) {
    return "linearizable";
  }
  const History<Model> history = until(whole, *end);
  const Verdict verdict = check(model, initial, history);

  std::vector<std::size_t> by_call(history.size());
  for (std::size_t i = 0; i < by_call.size(); ++i) {
    by_call[i] = i;
  }
  std::stable_sort(by_call.begin(), by_call.end(), [&](std::size_t a, std::size_t b) {
    return history[a].called < history[b].called;
  });
  std::vector<std::size_t> name(history.size());
  std::ostringstream out;
  out << "not linearizable, from " << initial << ":\n";
  for (std::size_t i = 0; i < by_call.size(); ++i) {
    const Operation<Model>& operation = history[by_call[i]];
    name[by_call[i]] = i + 1;
    out << "  #" << i + 1 << "  process " << operation.process << "  ["
        << operation.called - history[by_call[0]].called << ", ";
    if (operation.is_pending()) {
      out << "...]  " << operation.call << " has not returned\n";
    } else {
      out << operation.returned - history[by_call[0]].called << "]  " << operation.call << " -> "
          << operation.response << (operation.returned == *end ? "   <- the last to return" : "")
          << '\n';
    }
  }
  out << "  the longest order that explains a beginning:";
  typename Model::State state = initial;
  for (const std::size_t operation : verdict.order) {
    out << " #" << name[operation];
    model.apply(state, history[operation].call);
  }
  out << ", which leads to " << state << "; " << verdict.configurations
      << " configurations were tried\n";
  return out.str();
}

}  // namespace linearizability

#endif  // ATOLL_TESTS_LINEARIZABILITY_H_
