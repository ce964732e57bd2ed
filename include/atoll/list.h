// List: a fixed-length list of slots that processes share.
//
//   auto list = atoll::List::create("/jobs", {0, 0.5, true, nullptr, "idle", atoll::text(4096)});
//   if (!list.ok()) return report(list.status());
//   (*list)[0].fetch_add(1);
//   std::cout << *list << '\n';                 // List([1, 0.5, true, none, "idle", ""], name='/jobs')
//   auto unlinked = list->unlink();             // the name goes; whoever has it open keeps it
//
// A list is found by name (`create`, `attach`: in /dev/shm), through a descriptor
// (`create_anonymous`, `attach_fd`: shared by fork or by passing the descriptor), in a file
// (`create_file`, `attach_file`: outlives every process), or in memory that the caller brings
// (`create_in`, `attach_in`). Nothing is ever removed but by `unlink` (or `unlink_on_close`): closing
// a list, or ending a process, leaves the others undisturbed.
//
// Creation is atomic: a name appears whole, every slot filled and every page reserved, or not at all.
//
// fork: a List that is open goes on working in the child, which counts as a participant of its own.
// (A child made by a raw clone() that skips the pthread_atfork handlers must not use the List.)
//
// Safety: a List may be used by any number of threads at once, except for `close`, move and
// destruction. It cannot be copied; attach again instead.
//
// Errors by code; the message names the list, what was found and what was expected:
//   NotFound            attach, unlink: no list has that name
//   AlreadyExists       create: the name is taken
//   InvalidArgument     a bad name or option, or an initial value that cannot be held
//   OutOfRange          an index outside the list
//   ResourceExhausted   no room in shared memory (found at creation, never as SIGBUS later), or no
//                       descriptor left
//   PermissionDenied    no permission, or a segment that another user owns
//   FailedPrecondition  a segment of another layout version, or a list of another shape
//   Unavailable         attach: for a second, another process has been about to remove the list
//                       (`unlink_unused`; it is stopped), or the name came and went all the time
//   DataLoss            the bytes are not a list

#ifndef ATOLL_LIST_H_
#define ATOLL_LIST_H_

#include <sys/types.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atoll/detail/view.h"
#include "atoll/options.h"
#include "atoll/slot.h"
#include "atoll/value.h"

namespace libatoll {

// A random-access iterator over the slots of a list.
class SlotIterator {
 public:
  using iterator_concept = std::random_access_iterator_tag;
  using iterator_category = std::input_iterator_tag;  // of C++17: dereferences to a value
  using value_type = Slot;
  using reference = Slot;
  using difference_type = std::ptrdiff_t;
  using pointer = void;

  SlotIterator() = default;

  Slot operator*() const { return {view_, view_->header(index_)}; }
  Slot operator[](difference_type n) const { return *(*this + n); }

  SlotIterator& operator+=(difference_type n) {
    index_ += static_cast<std::size_t>(n);
    return *this;
  }
  SlotIterator& operator-=(difference_type n) { return *this += -n; }
  SlotIterator& operator++() { return *this += 1; }
  SlotIterator& operator--() { return *this -= 1; }
  SlotIterator operator++(int) {
    SlotIterator old = *this;
    ++*this;
    return old;
  }
  SlotIterator operator--(int) {
    SlotIterator old = *this;
    --*this;
    return old;
  }
  friend SlotIterator operator+(SlotIterator it, difference_type n) { return it += n; }
  friend SlotIterator operator+(difference_type n, SlotIterator it) { return it += n; }
  friend SlotIterator operator-(SlotIterator it, difference_type n) { return it -= n; }
  friend difference_type operator-(const SlotIterator& a, const SlotIterator& b) {
    return static_cast<difference_type>(a.index_ - b.index_);
  }
  friend bool operator==(const SlotIterator& a, const SlotIterator& b) {
    return a.index_ == b.index_;
  }
  friend std::strong_ordering operator<=>(const SlotIterator& a, const SlotIterator& b) {
    return a.index_ <=> b.index_;
  }

 private:
  friend class List;
  SlotIterator(const detail::View* view, std::size_t index) : view_(view), index_(index) {}

  const detail::View* view_ = nullptr;
  std::size_t index_ = 0;
};

class List {
 public:
  struct Opened;
  struct Info;
  struct Claim;

  // Creates a list under `name`: "/jobs"; a missing slash is added; at most 255 bytes, no other
  // slash. An empty name makes one: "/atoll_" and 16 hex digits, see `name()`.
  static absl::StatusOr<List> create(std::string_view name, std::span<const Init> values,
                                     const CreateOptions& options = {});
  static absl::StatusOr<List> create(std::string_view name, std::initializer_list<Init> values,
                                     const CreateOptions& options = {});
  static absl::StatusOr<List> create(std::string_view name, const Fill& values,
                                     const CreateOptions& options = {});

  // Attaches to the list of that name, or creates it. `values` count only for the one who creates;
  // FailedPrecondition if the list that exists has another length, a slot pinned otherwise, or a
  // slot of less capacity. However many processes race, one creates and the others attach.
  static absl::StatusOr<Opened> open_or_create(std::string_view name, std::span<const Init> values,
                                               const CreateOptions& options = {});
  static absl::StatusOr<Opened> open_or_create(std::string_view name,
                                               std::initializer_list<Init> values,
                                               const CreateOptions& options = {});
  static absl::StatusOr<Opened> open_or_create(std::string_view name, const Fill& values,
                                               const CreateOptions& options = {});

  // Attaches to the list of that name. Takes the same time however long the list is.
  static absl::StatusOr<List> attach(std::string_view name, const AttachOptions& options = {});

  // A list without a name, in a memfd that nobody can shrink: shared by fork, or by passing `fd()`
  // to another process. `options.mode` does not matter.
  static absl::StatusOr<List> create_anonymous(std::span<const Init> values,
                                               const CreateOptions& options = {});
  static absl::StatusOr<List> create_anonymous(std::initializer_list<Init> values,
                                               const CreateOptions& options = {});
  static absl::StatusOr<List> create_anonymous(const Fill& values,
                                               const CreateOptions& options = {});

  // Attaches to the list in the file that `fd` refers to. The descriptor stays the caller's.
  static absl::StatusOr<List> attach_fd(int fd, const AttachOptions& options = {});

  // A list in the file `path`, which must not exist: it outlives every process, and the machine's
  // restart as far as it was written back (`sync`). The directory may be on hugetlbfs. A network file
  // system will not do: it neither shares memory between machines nor keeps locks as needed.
  static absl::StatusOr<List> create_file(std::string_view path, std::span<const Init> values,
                                          const CreateOptions& options = {});
  static absl::StatusOr<List> create_file(std::string_view path, std::initializer_list<Init> values,
                                          const CreateOptions& options = {});
  static absl::StatusOr<List> create_file(std::string_view path, const Fill& values,
                                          const CreateOptions& options = {});
  static absl::StatusOr<List> attach_file(std::string_view path, const AttachOptions& options = {});

  // A list in the caller's memory, aligned to 64 bytes, at least `bytes_needed` long, which must
  // outlive the List. Processes can share it where they share the memory; but with no file to lock,
  // nobody can tell a dead writer from a slow one: buffers that a killed writer held stay claimed.
  static absl::StatusOr<List> create_in(std::span<std::byte> memory, std::span<const Init> values,
                                        const CreateOptions& options = {});
  static absl::StatusOr<List> create_in(std::span<std::byte> memory,
                                        std::initializer_list<Init> values,
                                        const CreateOptions& options = {});
  static absl::StatusOr<List> create_in(std::span<std::byte> memory, const Fill& values,
                                        const CreateOptions& options = {});
  static absl::StatusOr<List> attach_in(std::span<std::byte> memory,
                                        const AttachOptions& options = {});

  // The size of the segment that `create*` would make.
  static absl::StatusOr<std::size_t> bytes_needed(std::span<const Init> values,
                                                  const CreateOptions& options = {});
  static absl::StatusOr<std::size_t> bytes_needed(const Fill& values,
                                                  const CreateOptions& options = {});

  // Removes the name. Whoever has the list open keeps it; the memory goes with the last of them.
  static absl::Status unlink(std::string_view name);
  // The same for this list; NotFound if its name is gone, or names another list by now. (The kernel
  // removes names, not files: if somebody replaces the list under its name between our look and the
  // removal, the name of his list goes. `unlink_on_close` too.)
  absl::Status unlink() const;

  // The same if no process has the list open, and FailedPrecondition if one has. No process is
  // deprived of the name by a race: one that attaches meanwhile either comes first, and the list stays,
  // or finds the name gone. DataLoss, FailedPrecondition for a file that is not a list.
  static absl::Status unlink_unused(std::string_view name);

  // What can be told of the list of that name from outside. Attaches to nothing, maps nothing and is
  // counted by nobody, so it is safe for lists of other users and for any file. DataLoss,
  // FailedPrecondition for one that is not a list.
  static absl::StatusOr<Info> inspect(std::string_view name);

  // Writes the segment back to its file, and returns when the device has it. Slots written meanwhile
  // may be written back before or after. FailedPrecondition for a list without a file.
  absl::Status sync() const;

  // Gives the mapping back; further calls do nothing. The destructor closes. Only `name`, `unlink`,
  // `is_open` and `size` (0) may be called on a closed list.
  void close();
  bool is_open() const { return view().base != nullptr; }

  List(List&& other) noexcept;
  List& operator=(List&& other) noexcept;
  ~List();

  std::size_t size() const { return view().slot_count; }
  // How many handles have the list open, this one included, in whatever process; 1 in the caller's
  // memory. Takes system calls in number and in length proportional to the answer: for tools.
  std::size_t participants() const;
  // The name with its slash, or the path of a list in a file; empty for a list that has neither.
  const std::string& name() const { return view().name; }
  bool is_read_only() const { return !view().writable; }
  // The size of the segment.
  std::size_t bytes() const { return view().bytes; }
  // The segment as it lies in memory, for tools that look at its bytes: other processes may be writing
  // to them. Valid while the list is open; empty if it is not.
  std::span<const std::byte> memory() const {
    return is_open() ? std::span<const std::byte>(view().base, bytes())
                     : std::span<const std::byte>();
  }
  // The descriptor to pass to another process for `attach_fd`; -1 for a list that is not unnamed.
  // It stays the list's, and is closed with it.
  int fd() const;

  // Ends the process with a message when `index` is outside the list; `at` is the polite form.
  Slot operator[](std::size_t index) const {
    const detail::View& list = view();
    if (index >= list.slot_count) [[unlikely]] {
      die_out_of_range(index);
    }
    return {&list, list.header(index)};
  }
  // A negative index counts from the end, as in Python: at(-1) is the last slot. OutOfRange outside.
  absl::StatusOr<Slot> at(std::ptrdiff_t index) const;

  // A pinned slot, typed. OutOfRange; FailedPrecondition if it is not pinned to that type;
  // PermissionDenied on a read-only attachment (use `Slot::load` there).
  absl::StatusOr<Counter> counter(std::ptrdiff_t index) const;
  absl::StatusOr<Gauge> gauge(std::ptrdiff_t index) const;

  SlotIterator begin() const { return {&view(), 0}; }
  SlotIterator end() const { return {&view(), size()}; }

  // How many slots hold a value equal to `value` in type and contents. Slots are read one by one.
  absl::StatusOr<std::size_t> count(const ValueView& value) const;
  // The first slot that does; nothing if none.
  absl::StatusOr<std::optional<std::size_t>> index(const ValueView& value) const;

  // Every slot's value at one instant within the call: collects all, then looks at all headers again
  // and collects what has changed, until nothing has (double collect: Afek et al., "Atomic snapshots
  // of shared memory", JACM 1993). DeadlineExceeded if writers leave no such moment within `timeout`.
  // Pinned slots are compared by value: one that went and came back during the call counts as
  // unchanged.
  absl::StatusOr<std::vector<Value>> snapshot(absl::Duration timeout = kSnapshotTimeout) const;
  // The same for a list whose slots all hold T: std::int64_t or double. Allocates once.
  template <typename T>
  absl::StatusOr<std::vector<T>> snapshot(absl::Duration timeout = kSnapshotTimeout) const;
  static constexpr absl::Duration kSnapshotTimeout = absl::Seconds(10);

  // Loads, or stores, the numbers of the slots `first`, `first` + 1, ... in one pass: each of them
  // atomically, all of them not. OutOfRange. FailedPrecondition for a slot that holds something else
  // (`out` is then filled up to it), or, before anything is stored, for one pinned to another type.
  absl::Status load_range(std::size_t first, std::span<std::int64_t> out) const;
  absl::Status load_range(std::size_t first, std::span<double> out) const;
  absl::Status store_range(std::size_t first, std::span<const std::int64_t> values) const;
  absl::Status store_range(std::size_t first, std::span<const double> values) const;

  // What is wrong with the list: a DataLoss for each slot that holds what no write of atoll leaves, or
  // whose buffers are not where creation puts them. Empty for a list that is sound, however many
  // processes write to it meanwhile or died while they did. Loads every value.
  std::vector<absl::Status> faults() const;

  // Who claims buffers for longer text just now: writers in the middle of a store, and writers that
  // were killed in one. Slots with faults are left out. A system call a claim.
  std::vector<Claim> claims() const;

  // Takes the claims of dead writers back, as the next writer that needs the buffer would, and returns
  // how many. Nobody needs this, but for the eye: a claim costs a later writer one system call.
  // PermissionDenied on a read-only attachment; FailedPrecondition if this process could not register
  // after a fork.
  absl::StatusOr<std::size_t> repair() const;

  // The types of the values now, as struct codes, one a slot in CPython's spelling: "q" int64, "d"
  // double, "xxxxxxx?" bool, "64s" text or bytes with that capacity, "xxxxxx?x" none.
  absl::StatusOr<std::string> format() const;

  // List([1, 0.5, "idle"], name='/jobs'). A slot whose bytes are impossible shows as <DataLoss>.
  std::string to_string() const;

 private:
  struct State;
  friend class ListFactory;  // src/list.cc
  explicit List(std::unique_ptr<State> state);

  const detail::View& view() const { return *view_; }
  template <typename Found>
  absl::Status find(const ValueView& value, Found found) const;
  absl::Status check_range(std::size_t first, std::size_t count) const;
  template <typename T>
  absl::StatusOr<std::vector<T>> snapshot_numbers(absl::Duration timeout) const;
  template <typename T>
  absl::Status load_numbers(std::size_t first, std::span<T> out) const;
  template <typename T>
  absl::Status store_numbers(std::size_t first, std::span<const T> values) const;
  [[noreturn]] void die_out_of_range(std::size_t index) const;
  std::unique_ptr<State> state_;
  const detail::View* view_;  // state_'s, one indirection nearer
};

// What `open_or_create` gives.
struct List::Opened {
  List list;
  bool created;
};

// What `inspect` tells.
struct List::Info {
  std::string name;  // with its slash
  std::size_t size = 0;
  std::size_t bytes = 0;  // of the segment
  Layout layout = Layout::kPadded;
  int buffers_per_slot = 0;
  uid_t owner = 0;
  mode_t mode = 0;
  absl::Time created;
  std::size_t participants = 0;  // handles that have the list open, in whatever process
};

// One buffer that a writer claims.
struct List::Claim {
  std::size_t slot = 0;
  std::size_t buffer = 0;
  std::uint64_t owner = 0;      // the number of the participant: `docs/algorithm.md`, "Who lives"
  bool owner_may_live = false;  // true also where nobody can tell: in the caller's memory
};

template <>
absl::StatusOr<std::vector<std::int64_t>> List::snapshot<std::int64_t>(absl::Duration) const;
template <>
absl::StatusOr<std::vector<double>> List::snapshot<double>(absl::Duration) const;

std::ostream& operator<<(std::ostream& out, const List& list);

}  // namespace libatoll

#endif  // ATOLL_LIST_H_
