// Python objects as values of a list, and back.

#ifndef ATOLL_PYTHON_SRC_VALUES_H_
#define ATOLL_PYTHON_SRC_VALUES_H_

#include <Python.h>

#include <cstdint>
#include <optional>

#include "atoll/value.h"

namespace libatoll::python {

// Nothing, with OverflowError set, for an int that 64 bits do not hold.
std::optional<std::int64_t> to_int64(PyObject* object);

// Borrows from `object`. Nothing, with an exception set: TypeError for a type that no slot holds,
// OverflowError, UnicodeEncodeError for text with lone surrogates.
std::optional<ValueView> to_view(PyObject* object);

// A new reference, or nullptr with an exception set.
PyObject* to_object(const ValueView& value);

}  // namespace libatoll::python

#endif  // ATOLL_PYTHON_SRC_VALUES_H_
