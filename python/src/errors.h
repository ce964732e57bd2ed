// How a failure of the library becomes a Python exception: the one place that decides.

#ifndef ATOLL_PYTHON_SRC_ERRORS_H_
#define ATOLL_PYTHON_SRC_ERRORS_H_

#include <Python.h>

#include "absl/status/status.h"

namespace libatoll::python {

// What was being done: the same code means another thing when a list is opened and when a slot of an
// open one is used.
enum class Doing : unsigned char { kOpening, kUsing };

// Sets the Python exception for `status`, which must not be OK. Returns nullptr, for `return fail(...)`.
//
//   NotFound            FileNotFoundError
//   AlreadyExists       FileExistsError
//   PermissionDenied    PermissionError
//   OutOfRange          IndexError
//   DeadlineExceeded    TimeoutError
//   Unavailable         BlockingIOError
//   InvalidArgument     ValueError
//   DataLoss            ValueError
//   ResourceExhausted   using: ValueError (text too long);  opening: OSError with ENOSPC
//   FailedPrecondition  using: TypeError (type of a value); opening: ValueError (another layout)
//   anything else       RuntimeError
PyObject* fail(const absl::Status& status, Doing doing = Doing::kUsing);

}  // namespace libatoll::python

#endif  // ATOLL_PYTHON_SRC_ERRORS_H_
