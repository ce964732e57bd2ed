// atoll._atoll: a list as a Python type, and its segment as the `.shm` of CPython's class.
//
// Where calls are many and short (items, length, read-modify-write) the type has functions of the C
// API in its slots and its method table; everything else goes through pybind11.
//
// The GIL guards all that is here. It is released where a call may sleep or copy much. `Unlocked` does
// so, and counts: a list in use by another thread, or with views of its memory, refuses to be closed,
// because closing unmaps.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
// pybind11 includes Python.h as Python wants to be included; the others come after.

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "atoll/atoll.h"

#include "errors.h"
#include "values.h"

namespace py = pybind11;

namespace libatoll::python {
namespace {

// Values longer than this are copied without the GIL.
constexpr std::size_t kLongBytes = std::size_t{64} * 1024;
// How long Ctrl-C can go unnoticed.
constexpr absl::Duration kSignalInterval = absl::Milliseconds(50);

// How often this process has come out of a fork.
unsigned forks = 0;

// What a list shares with its `.shm` and with the views of its memory.
struct Shared {
  Shared(List opened, absl::Duration longest_claim)
      : list(std::move(opened)),
        name(list.name().substr(list.name().starts_with('/') ? 1 : 0)),
        bytes(list.bytes()),
        read_only(list.is_read_only()),
        claim_timeout(longest_claim) {}

  List list;
  std::string name;
  std::size_t bytes;
  bool read_only;
  absl::Duration claim_timeout;  // the user's; that of `list` is one slice of it
  std::size_t views = 0;         // buffers handed out

  // Calls that go on without the GIL. Those of other threads are not there any more after a fork.
  std::size_t& users() {
    if (users_since_ != forks) {
      users_since_ = forks;
      users_ = 0;
    }
    return users_;
  }

 private:
  std::size_t users_ = 0;
  unsigned users_since_ = forks;
};

// Releases the GIL, and keeps the list open meanwhile.
class Unlocked {
 public:
  explicit Unlocked(Shared& shared) : shared_(shared) {
    ++shared_.users();
    thread_ = PyEval_SaveThread();
  }
  ~Unlocked() {
    PyEval_RestoreThread(thread_);
    --shared_.users();
  }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  Shared& shared_;
  PyThreadState* thread_;
};

// The exporter of the segment's bytes: views keep it, and so the mapping, alive.
struct Memory {
  std::shared_ptr<Shared> shared;
};

struct Segment {
  std::shared_ptr<Shared> shared;
  py::object view = py::none();  // the one that `buf` hands out
};

struct Handle {
  std::shared_ptr<Shared> shared;
  py::object segment;
};

[[noreturn]] void raise() { throw py::error_already_set(); }
[[noreturn]] void raise(const absl::Status& status, Doing doing = Doing::kUsing) {
  fail(status, doing);
  raise();
}
[[noreturn]] void raise(PyObject* type, const std::string& message) {
  PyErr_SetString(type, message.c_str());
  raise();
}

template <typename T>
T value_or_raise(absl::StatusOr<T> result, Doing doing = Doing::kUsing) {
  if (!result.ok()) {
    raise(result.status(), doing);
  }
  return *std::move(result);
}

// The C++ object in an instance of `T`'s Python type: pybind11 keeps it, for a type with one C++ base,
// in the first place. nullptr, with an exception set, if `__init__` has not been called.
template <typename T>
T* held_by(PyObject* self) {
  void* value = reinterpret_cast<py::detail::instance*>(self)->simple_value_holder[0];
  if (value == nullptr) [[unlikely]] {
    PyErr_SetString(PyExc_ValueError, "the list was not initialized");
  }
  return static_cast<T*>(value);
}

// False, with an exception set, if the list is closed.
bool check_open(const Shared& shared) {
  if (!shared.list.is_open()) [[unlikely]] {
    PyErr_SetString(PyExc_ValueError, "the list is closed");
    return false;
  }
  return true;
}

Shared* open_list_of(PyObject* self) {
  const Handle* handle = held_by<Handle>(self);
  return handle != nullptr && check_open(*handle->shared) ? handle->shared.get() : nullptr;
}

const absl::Status& status_of(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& status_of(const absl::StatusOr<T>& result) {
  return result.status();
}

// What `attempt(slice)` answers, without the GIL; again and again until that is not DeadlineExceeded or
// `timeout` is over, in slices so short that a signal's handler runs soon. Nothing, with an exception set,
// if the handler raises or closes the list.
template <typename Attempt>
auto patiently(Shared& shared, absl::Duration timeout, const Attempt& attempt)
    -> std::optional<decltype(attempt(timeout))> {
  const auto started = std::chrono::steady_clock::now();
  for (absl::Duration left = timeout;;) {
    const absl::Duration slice = std::min(left, kSignalInterval);
    auto result = [&] {
      const Unlocked unlocked(shared);
      return attempt(slice);
    }();
    if (!absl::IsDeadlineExceeded(status_of(result))) {
      return result;
    }
    if (PyErr_CheckSignals() != 0 || !check_open(shared)) {
      return std::nullopt;
    }
    left = timeout - absl::FromChrono(std::chrono::steady_clock::now() - started);
    if (left <= absl::ZeroDuration()) {
      // The message ends in how long the last slice was.
      const absl::string_view message = status_of(result).message();
      return absl::DeadlineExceededError(
          absl::StrCat(message.substr(0, message.rfind(' ') + 1), absl::FormatDuration(timeout)));
    }
  }
}

// The same for what writes text, which may have to wait for a buffer.
template <typename Write>
auto write_patiently(Shared& shared, const Write& write) {
  return patiently(shared, shared.claim_timeout, [&](absl::Duration /*slice*/) { return write(); });
}

constexpr const char* kGetError = "index out of range";
constexpr const char* kSetError = "assignment index out of range";

std::optional<Slot> slot_at(Shared& shared, Py_ssize_t index, const char* error = kGetError) {
  const auto size = static_cast<Py_ssize_t>(shared.list.size());
  if (index < 0) {
    index += size;
  }
  if (index < 0 || index >= size) [[unlikely]] {
    PyErr_SetString(PyExc_IndexError, error);
    return std::nullopt;
  }
  return shared.list[static_cast<std::size_t>(index)];
}

std::optional<Slot> slot_at(Shared& shared, PyObject* index, const char* error = kGetError) {
  const Py_ssize_t number = PyNumber_AsSsize_t(index, PyExc_IndexError);
  if (number == -1 && PyErr_Occurred() != nullptr) [[unlikely]] {
    return std::nullopt;
  }
  return slot_at(shared, number, error);
}

bool may_be_long(const Shared& shared, Slot slot) {
  if (shared.bytes <= kLongBytes) {
    return false;
  }
  const auto capacity = slot.capacity();
  return capacity.ok() && *capacity > kLongBytes;
}

// Text that has a buffer may have to wait for one.
bool may_wait(const ValueView& value) { return value.contents().size() > 8; }

PyObject* get(Shared& shared, Slot slot) {
  const auto value = [&] {
    if (may_be_long(shared, slot)) [[unlikely]] {
      const Unlocked unlocked(shared);
      return slot.load();
    }
    return slot.load();
  }();
  return value.ok() ? to_object(*value) : fail(value.status());
}

// ---- Slots of the type --------------------------------------------------------------------------

Py_ssize_t length(PyObject* self) {
  const Shared* shared = open_list_of(self);
  return shared != nullptr ? static_cast<Py_ssize_t>(shared->list.size()) : -1;
}

PyObject* get_item(PyObject* self, PyObject* index) {
  Shared* shared = open_list_of(self);
  if (shared == nullptr) {
    return nullptr;
  }
  const auto slot = slot_at(*shared, index);
  return slot ? get(*shared, *slot) : nullptr;
}

PyObject* get_item_at(PyObject* self, Py_ssize_t index) {
  Shared* shared = open_list_of(self);
  if (shared == nullptr) {
    return nullptr;
  }
  if (index < 0) {  // the interpreter has added the length already
    PyErr_SetString(PyExc_IndexError, kGetError);
    return nullptr;
  }
  const auto slot = slot_at(*shared, index);
  return slot ? get(*shared, *slot) : nullptr;
}

int set_item(PyObject* self, PyObject* index, PyObject* object) {
  Shared* shared = open_list_of(self);
  if (shared == nullptr) {
    return -1;
  }
  if (object == nullptr) {
    PyErr_SetString(PyExc_TypeError, "items cannot be deleted: the length of the list is fixed");
    return -1;
  }
  const auto slot = slot_at(*shared, index, kSetError);
  if (!slot) {
    return -1;
  }
  const auto value = to_view(object);
  if (!value) {
    return -1;
  }
  const auto store = [&] { return slot->store(*value); };
  const auto stored = may_wait(*value) ? write_patiently(*shared, store) : store();
  if (!stored) {
    return -1;
  }
  if (!stored->ok()) [[unlikely]] {
    fail(*stored);
    return -1;
  }
  return 0;
}

// ---- Read-modify-write --------------------------------------------------------------------------

struct FetchAdd {
  auto operator()(Slot slot, auto operand) const { return slot.fetch_add(operand); }
};
struct FetchSub {
  auto operator()(Slot slot, auto operand) const { return slot.fetch_sub(operand); }
};
struct FetchAnd {
  auto operator()(Slot slot, std::int64_t operand) const { return slot.fetch_and(operand); }
};
struct FetchOr {
  auto operator()(Slot slot, std::int64_t operand) const { return slot.fetch_or(operand); }
};
struct FetchXor {
  auto operator()(Slot slot, std::int64_t operand) const { return slot.fetch_xor(operand); }
};
struct FetchMin {
  auto operator()(Slot slot, auto operand) const { return slot.fetch_min(operand); }
};
struct FetchMax {
  auto operator()(Slot slot, auto operand) const { return slot.fetch_max(operand); }
};

template <typename Fetch>
constexpr bool kTakesDouble = !std::is_same_v<Fetch, FetchAnd> && !std::is_same_v<Fetch, FetchOr> &&
                              !std::is_same_v<Fetch, FetchXor>;

// fetch(index, operand): the previous value.
template <typename Fetch>
PyObject* fetch(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
  if (count != 2) {
    PyErr_Format(PyExc_TypeError, "expected an index and an operand, got %zd arguments", count);
    return nullptr;
  }
  Shared* shared = open_list_of(self);
  if (shared == nullptr) {
    return nullptr;
  }
  const auto slot = slot_at(*shared, arguments[0]);
  if (!slot) {
    return nullptr;
  }
  PyObject* operand = arguments[1];
  if (PyLong_Check(operand)) {
    const auto number = to_int64(operand);
    if (!number) {
      return nullptr;
    }
    const auto previous = Fetch{}(*slot, *number);
    if (previous.ok()) [[likely]] {
      return PyLong_FromLongLong(*previous);
    }
    if constexpr (kTakesDouble<Fetch>) {
      // A float takes an int, as everywhere in Python.
      if (absl::IsFailedPrecondition(previous.status())) {
        const auto previous_double = Fetch{}(*slot, static_cast<double>(*number));
        if (previous_double.ok()) {
          return PyFloat_FromDouble(*previous_double);
        }
      }
    }
    return fail(previous.status());
  }
  if constexpr (kTakesDouble<Fetch>) {
    if (PyFloat_Check(operand)) {
      const auto previous = Fetch{}(*slot, PyFloat_AS_DOUBLE(operand));
      return previous.ok() ? PyFloat_FromDouble(*previous) : fail(previous.status());
    }
  }
  PyErr_Format(PyExc_TypeError, "the operand must be a number%s, not %.200s",
               kTakesDouble<Fetch> ? "" : " without a fraction", Py_TYPE(operand)->tp_name);
  return nullptr;
}

template <typename Fetch>
PyMethodDef fetch_method(const char* name, const char* doc) {
  // The C API's own way to store a function of another type.
  return {name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(&fetch<Fetch>)),
          METH_FASTCALL, doc};
}

void set_up_list_type(PyHeapTypeObject* type) {
  static PyMethodDef methods[] = {
      fetch_method<FetchAdd>("fetch_add", "Adds to a number; returns the previous value."),
      fetch_method<FetchSub>("fetch_sub", "Subtracts from a number; returns the previous value."),
      fetch_method<FetchAnd>("fetch_and", "Ands the bits of an int; returns the previous value."),
      fetch_method<FetchOr>("fetch_or", "Ors the bits of an int; returns the previous value."),
      fetch_method<FetchXor>("fetch_xor", "Xors the bits of an int; returns the previous value."),
      fetch_method<FetchMin>("fetch_min", "Stores the lesser number; returns the previous value."),
      fetch_method<FetchMax>("fetch_max", "Stores the greater number; returns the previous value."),
      {nullptr, nullptr, 0, nullptr},
  };
  type->ht_type.tp_methods = methods;
  type->as_mapping.mp_length = &length;
  type->as_mapping.mp_subscript = &get_item;
  type->as_mapping.mp_ass_subscript = &set_item;
  type->as_sequence.sq_length = &length;
  type->as_sequence.sq_item = &get_item_at;
}

// ---- The segment --------------------------------------------------------------------------------

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
  const Memory* memory = held_by<Memory>(self);
  if (memory == nullptr) {
    return -1;
  }
  Shared& shared = *memory->shared;
  if (!check_open(shared)) {
    return -1;
  }
  // The buffer protocol has no const; `readonly` says it.
  void* base = const_cast<std::byte*>(shared.list.memory().data());
  if (PyBuffer_FillInfo(view, self, base, static_cast<Py_ssize_t>(shared.bytes), 1, flags) != 0) {
    return -1;
  }
  ++shared.views;
  return 0;
}

void release_buffer(PyObject* self, Py_buffer* /*view*/) { --held_by<Memory>(self)->shared->views; }

// For what only lists hand out. pybind11 would let `T.__new__(T)` make one that holds nothing.
void forbid_new(PyHeapTypeObject* type) {
  type->ht_type.tp_flags |= Py_TPFLAGS_DISALLOW_INSTANTIATION;
}

void set_up_memory_type(PyHeapTypeObject* type) {
  forbid_new(type);
  type->as_buffer.bf_getbuffer = &get_buffer;
  type->as_buffer.bf_releasebuffer = &release_buffer;
  type->ht_type.tp_as_buffer = &type->as_buffer;
}

py::object buf_of(Segment& segment) {
  if (!segment.shared->list.is_open()) {
    return py::none();
  }
  if (segment.view.is_none()) {
    const py::object memory = py::cast(Memory{segment.shared});
    segment.view = py::reinterpret_steal<py::object>(PyMemoryView_FromObject(memory.ptr()));
    if (!segment.view) {
      segment.view = py::none();
      raise();
    }
  }
  return segment.view;
}

void close(Segment& segment) {
  Shared& shared = *segment.shared;
  if (!shared.list.is_open()) {
    return;
  }
  if (shared.users() > 0) {
    raise(PyExc_BufferError, "cannot close '" + shared.name + "': another thread is using it");
  }
  if (!segment.view.is_none()) {
    try {
      segment.view.attr("release")();
    } catch (py::error_already_set& error) {
      if (!error.matches(PyExc_BufferError)) {
        throw;
      }
      error.restore();
      PyErr_Clear();
    }
    segment.view = py::none();
  }
  if (shared.views > 0) {
    raise(PyExc_BufferError,
          "cannot close '" + shared.name + "': views of its shm.buf exist; release them first");
  }
  shared.list.close();
}

void unlink(const Segment& segment) {
  const absl::Status status = segment.shared->list.unlink();
  if (!status.ok()) {
    raise(status, Doing::kOpening);
  }
}

// ---- Opening ------------------------------------------------------------------------------------

std::size_t to_capacity(py::handle object) {
  const Py_ssize_t capacity = PyNumber_AsSsize_t(object.ptr(), PyExc_OverflowError);
  if (capacity == -1 && PyErr_Occurred() != nullptr) {
    raise();
  }
  if (capacity < 0) {
    raise(PyExc_ValueError, "capacity must not be negative");
  }
  return static_cast<std::size_t>(capacity);
}

// What CPython's class reserves, which counts characters, rounded up past the next 8; and never less
// than the text takes.
std::size_t default_capacity(PyObject* object, const ValueView& value) {
  const std::size_t needed = value.contents().size();
  const std::size_t counted =
      PyUnicode_Check(object) ? static_cast<std::size_t>(PyUnicode_GET_LENGTH(object)) : needed;
  return std::max(8 * (counted / 8 + 1), needed);
}

// `index` as it was given, below `size` or, from the end, negative.
std::size_t to_place(const py::handle index, std::size_t size, const char* option) {
  const Py_ssize_t given = PyNumber_AsSsize_t(index.ptr(), PyExc_IndexError);
  if (given == -1 && PyErr_Occurred() != nullptr) {
    raise();
  }
  const auto length = static_cast<Py_ssize_t>(size);
  if (given < -length || given >= length) {
    raise(PyExc_IndexError,
          absl::StrFormat("%s has index %d, the list has %d items", option, given, size));
  }
  return static_cast<std::size_t>(given < 0 ? given + length : given);
}

// None, bytes for every slot, a mapping from index to bytes, or a sequence of bytes for each slot.
std::vector<std::size_t> to_capacities(const py::object& capacity, std::size_t size) {
  std::vector<std::size_t> capacities(size);
  if (capacity.is_none()) {
    return capacities;
  }
  if (PyIndex_Check(capacity.ptr()) != 0) {
    std::ranges::fill(capacities, to_capacity(capacity));
  } else if (py::hasattr(capacity, "keys")) {
    for (const py::handle index : capacity.attr("keys")()) {
      capacities[to_place(index, size, "capacity")] = to_capacity(capacity[index]);
    }
  } else if (PySequence_Check(capacity.ptr()) != 0) {
    const py::tuple entries(capacity);
    if (entries.size() != size) {
      raise(PyExc_ValueError, absl::StrFormat("capacity has %d entries, the list has %d items",
                                              entries.size(), size));
    }
    std::transform(entries.begin(), entries.end(), capacities.begin(), &to_capacity);
  } else {
    raise(PyExc_TypeError,
          absl::StrFormat("capacity must be an int, a mapping from index to int, or a sequence of "
                          "ints, not %s",
                          Py_TYPE(capacity.ptr())->tp_name));
  }
  return capacities;
}

// True, False, or indices.
std::vector<bool> to_pinned(const py::object& pinned, std::size_t size) {
  if (PyBool_Check(pinned.ptr())) {
    return std::vector<bool>(size, pinned.is(py::bool_(true)));
  }
  std::vector<bool> is_pinned(size);
  for (const py::handle index : py::iter(pinned)) {
    if (PyBool_Check(index.ptr())) {
      raise(PyExc_TypeError, "pinned must be a bool or indices of slots, not a bool for each slot");
    }
    is_pinned[to_place(index, size, "pinned")] = true;
  }
  return is_pinned;
}

std::vector<Init> initial_values(const py::object& sequence, const py::object& capacity,
                                 const py::object& pinned) {
  const py::tuple items(sequence);  // what an __index__ below does to the sequence, it does in vain
  const std::vector<std::size_t> capacities = to_capacities(capacity, items.size());
  const std::vector<bool> is_pinned = to_pinned(pinned, items.size());
  const bool one_for_all = PyIndex_Check(capacity.ptr()) != 0;
  std::vector<Init> values;
  values.reserve(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    PyObject* item = PyTuple_GET_ITEM(items.ptr(), static_cast<Py_ssize_t>(i));
    const auto value = to_view(item);
    if (!value) {
      raise();
    }
    if (!is_pinned[i]) {
      values.push_back(
          with_capacity(to_value(*value), std::max(default_capacity(item, *value), capacities[i])));
      continue;
    }
    if (value->type() != Type::kInt64 && value->type() != Type::kDouble) {
      raise(PyExc_ValueError,
            absl::StrFormat("only an int or a float can be pinned, not item %d", i));
    }
    if (capacities[i] > 0 && !one_for_all) {
      raise(PyExc_ValueError, absl::StrFormat("item %d is pinned, so it has no capacity", i));
    }
    values.push_back(pinned_value(to_value(*value)));
  }
  return values;
}

Layout to_layout(const std::string& layout) {
  if (layout == "padded") {
    return Layout::kPadded;
  }
  if (layout == "dense") {
    return Layout::kDense;
  }
  raise(PyExc_ValueError, "layout must be 'padded' or 'dense', not '" + layout + "'");
}

absl::Duration to_timeout(const std::optional<double>& timeout_s) {
  if (!timeout_s) {
    return absl::InfiniteDuration();
  }
  if (std::isnan(*timeout_s)) {
    raise(PyExc_ValueError, "timeout must be a number of seconds, not NaN");
  }
  return absl::Seconds(std::max(*timeout_s, 0.0));
}

std::unique_ptr<Handle> open(const py::object& sequence, const std::optional<std::string>& name,
                             const py::object& capacity, const py::object& pinned,
                             std::optional<mode_t> mode, const std::optional<std::string>& layout,
                             std::optional<int> buffers_per_slot, bool unlink_on_close,
                             bool report_leak, bool read_only, bool allow_other_owner,
                             const std::optional<double>& claim_timeout_s) {
  if (name && name->empty()) {
    raise(PyExc_ValueError, "the name of a list must not be empty");
  }
  const bool attaching = name && sequence.is_none();
  for (const auto& [option, is_given] : {std::pair("capacity", !capacity.is_none()),
                                         {"pinned", !pinned.is(py::bool_(false))},
                                         {"mode", mode.has_value()},
                                         {"layout", layout.has_value()},
                                         {"buffers_per_slot", buffers_per_slot.has_value()},
                                         {"unlink_on_close", unlink_on_close},
                                         {"report_leak", !report_leak}}) {
    if (attaching && is_given) {
      raise(PyExc_ValueError,
            absl::StrCat(option, " is for a list that is created, not attached to"));
    }
  }
  for (const auto& [option, is_given] :
       {std::pair("read_only", read_only), {"allow_other_owner", allow_other_owner}}) {
    if (!attaching && is_given) {
      raise(PyExc_ValueError,
            absl::StrCat(option, " is for a list that is attached to, not created"));
    }
  }
  const absl::Duration claim_timeout = to_timeout(claim_timeout_s);
  const absl::Duration slice = std::min(claim_timeout, kSignalInterval);
  const AttachOptions attach_options = {
      .read_only = read_only, .allow_other_owner = allow_other_owner, .claim_timeout = slice};
  CreateOptions create_options = {
      .claim_timeout = slice, .unlink_on_close = unlink_on_close, .report_leak = report_leak};
  create_options.mode = mode.value_or(create_options.mode);
  create_options.layout = layout ? to_layout(*layout) : create_options.layout;
  create_options.buffers_per_slot = buffers_per_slot.value_or(create_options.buffers_per_slot);
  const std::vector<Init> values =
      attaching ? std::vector<Init>()
                : initial_values(sequence.is_none() ? py::tuple() : sequence, capacity, pinned);
  absl::StatusOr<List> list = [&] {
    const py::gil_scoped_release released;
    return attaching ? List::attach(*name, attach_options)
                     : List::create(name.value_or(""), values, create_options);
  }();
  auto shared =
      std::make_shared<Shared>(value_or_raise(std::move(list), Doing::kOpening), claim_timeout);
  auto segment = py::cast(std::make_unique<Segment>(Segment{shared}));
  return std::make_unique<Handle>(Handle{std::move(shared), std::move(segment)});
}

// ---- The other operations -----------------------------------------------------------------------

// pybind11 would make a reference to nothing of a list whose `__init__` has not been called.
const Handle& handle_of(const py::object& self) {
  if (!py::isinstance<Handle>(self)) {
    raise(PyExc_TypeError,
          absl::StrFormat("expected a list, not %s", Py_TYPE(self.ptr())->tp_name));
  }
  const Handle* handle = held_by<Handle>(self.ptr());
  if (handle == nullptr) {
    raise();
  }
  return *handle;
}

Shared& opened(const py::object& self) {
  Shared& shared = *handle_of(self).shared;
  if (!check_open(shared)) {
    raise();
  }
  return shared;
}

template <typename T>
T value_or_raise(std::optional<absl::StatusOr<T>> result) {
  if (!result) {
    raise();
  }
  return value_or_raise(*std::move(result));
}

Slot slot_or_raise(Shared& shared, const py::object& index) {
  const auto slot = slot_at(shared, index.ptr());
  if (!slot) {
    raise();
  }
  return *slot;
}

ValueView view_or_raise(const py::object& object) {
  const auto view = to_view(object.ptr());
  if (!view) {
    raise();
  }
  return *view;
}

py::object object_or_raise(const ValueView& value) {
  PyObject* object = to_object(value);
  if (object == nullptr) {
    raise();
  }
  return py::reinterpret_steal<py::object>(object);
}

py::object exchange(const py::object& self, const py::object& index, const py::object& desired) {
  Shared& shared = opened(self);
  const Slot slot = slot_or_raise(shared, index);
  const ValueView view = view_or_raise(desired);
  return object_or_raise(
      value_or_raise(write_patiently(shared, [&] { return slot.exchange(view); })));
}

bool compare_exchange(const py::object& self, const py::object& index, const py::object& expected,
                      const py::object& desired) {
  Shared& shared = opened(self);
  const Slot slot = slot_or_raise(shared, index);
  const ValueView view = view_or_raise(desired);
  if (py::isinstance<Stamp>(expected)) {
    auto stamp = expected.cast<Stamp>();
    return value_or_raise(
        write_patiently(shared, [&] { return slot.compare_exchange(stamp, view); }));
  }
  const ValueView expected_view = view_or_raise(expected);
  return value_or_raise(
      write_patiently(shared, [&] { return slot.compare_exchange(expected_view, view); }));
}

py::tuple load_stamped(const py::object& self, const py::object& index) {
  Shared& shared = opened(self);
  const Slot slot = slot_or_raise(shared, index);
  auto loaded = [&] {
    const Unlocked unlocked(shared);
    return slot.load_stamped();
  }();
  const StampedValue seen = value_or_raise(std::move(loaded));
  return py::make_tuple(object_or_raise(seen.value), seen.stamp);
}

Stamp wait(const py::object& self, const py::object& index, const Stamp& stamp,
           const std::optional<double>& timeout_s) {
  Shared& shared = opened(self);
  const Slot slot = slot_or_raise(shared, index);
  return value_or_raise(patiently(shared, to_timeout(timeout_s),
                                  [&](absl::Duration slice) { return slot.wait(stamp, slice); }));
}

template <typename T>
py::object numbers(Shared& shared, absl::Duration timeout, const char* code) {
  const std::vector<T> values = value_or_raise(patiently(
      shared, timeout, [&](absl::Duration slice) { return shared.list.snapshot<T>(slice); }));
  const py::bytearray bytes(reinterpret_cast<const char*>(values.data()),
                            values.size() * sizeof(T));
  auto view = py::reinterpret_steal<py::object>(PyMemoryView_FromObject(bytes.ptr()));
  if (!view) {
    raise();
  }
  return view.attr("cast")(code);
}

py::object snapshot(const py::object& self, const std::optional<std::string>& code,
                    const std::optional<double>& timeout_s) {
  Shared& shared = opened(self);
  const absl::Duration timeout = to_timeout(timeout_s);
  if (code == "q") {
    return numbers<std::int64_t>(shared, timeout, "q");
  }
  if (code == "d") {
    return numbers<double>(shared, timeout, "d");
  }
  if (code) {
    raise(PyExc_ValueError, "format must be 'q' (int), 'd' (float) or None");
  }
  const std::vector<Value> values = value_or_raise(patiently(
      shared, timeout, [&](absl::Duration slice) { return shared.list.snapshot(slice); }));
  py::list result;
  for (const Value& value : values) {
    result.append(object_or_raise(value));
  }
  return result;
}

void define(py::module_& module) {
  py::class_<Stamp>(module, "Stamp", "What a slot was at one moment.",
                    py::custom_type_setup(&forbid_new))
      .def_property_readonly("version", &Stamp::version)
      .def(
          "__eq__", [](const Stamp& a, const Stamp& b) { return a == b; }, py::is_operator());

  const py::class_<Memory> memory(module, "_Memory", py::custom_type_setup(&set_up_memory_type));

  py::class_<Segment>(module, "Segment", "The shared memory of a list.",
                      py::custom_type_setup(&forbid_new))
      .def_property_readonly("name", [](const Segment& segment) { return segment.shared->name; })
      .def_property_readonly("size", [](const Segment& segment) { return segment.shared->bytes; })
      .def_property_readonly("buf", &buf_of)
      .def("close", &close)
      .def("unlink", &unlink)
      .def("__repr__", [](const Segment& segment) {
        return py::str("Segment({!r}, size={})")
            .format(segment.shared->name, segment.shared->bytes);
      });

  py::class_<Handle>(module, "List", py::custom_type_setup(&set_up_list_type))
      .def(py::init(&open), py::arg("sequence") = py::none(), py::kw_only(),
           py::arg("name") = py::none(), py::arg("capacity") = py::none(),
           py::arg("pinned") = false, py::arg("mode") = py::none(), py::arg("layout") = py::none(),
           py::arg("buffers_per_slot") = py::none(), py::arg("unlink_on_close") = false,
           py::arg("report_leak") = true, py::arg("read_only") = false,
           py::arg("allow_other_owner") = false, py::arg("claim_timeout") = 10.0)
      .def_property_readonly("shm", [](const py::object& self) { return handle_of(self).segment; })
      .def_property_readonly(
          "read_only", [](const py::object& self) { return handle_of(self).shared->read_only; })
      .def_property_readonly(
          "format",
          [](const py::object& self) { return value_or_raise(opened(self).list.format()); })
      .def("exchange", &exchange, py::arg("index"), py::arg("value"))
      .def("compare_exchange", &compare_exchange, py::arg("index"), py::arg("expected"),
           py::arg("desired"))
      .def("load_stamped", &load_stamped, py::arg("index"))
      .def("wait", &wait, py::arg("index"), py::arg("stamp"), py::arg("timeout") = py::none())
      .def("snapshot", &snapshot, py::arg("format") = py::none(), py::arg("timeout") = 10.0)
      .def(
          "capacity",
          [](const py::object& self, const py::object& index) {
            return value_or_raise(slot_or_raise(opened(self), index).capacity());
          },
          py::arg("index"));
}

}  // namespace
}  // namespace libatoll::python

PYBIND11_MODULE(_atoll, module) {
  pthread_atfork(nullptr, nullptr, [] { ++libatoll::python::forks; });
  libatoll::python::define(module);
}
