#include "errors.h"

#include <cerrno>
#include <string>

namespace libatoll::python {

namespace {

// OSError itself picks the subclass that goes with the number.
PyObject* fail_as_os_error(int number, const std::string& message) {
  PyObject* arguments = Py_BuildValue("(is)", number, message.c_str());
  if (arguments != nullptr) {
    PyErr_SetObject(PyExc_OSError, arguments);
    Py_DECREF(arguments);
  }
  return nullptr;
}

PyObject* fail_as(PyObject* type, const std::string& message) {
  PyErr_SetString(type, message.c_str());
  return nullptr;
}

}  // namespace

PyObject* fail(const absl::Status& status, Doing doing) {
  const std::string message(status.message());
  const bool opening = doing == Doing::kOpening;
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return fail_as_os_error(ENOENT, message);
    case absl::StatusCode::kAlreadyExists:
      return fail_as_os_error(EEXIST, message);
    case absl::StatusCode::kPermissionDenied:
      return fail_as_os_error(EACCES, message);
    case absl::StatusCode::kDeadlineExceeded:
      return fail_as_os_error(ETIMEDOUT, message);
    case absl::StatusCode::kUnavailable:
      return fail_as_os_error(EAGAIN, message);
    case absl::StatusCode::kOutOfRange:
      return fail_as(PyExc_IndexError, message);
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
      return fail_as(PyExc_ValueError, message);
    case absl::StatusCode::kResourceExhausted:
      return opening ? fail_as_os_error(ENOSPC, message)
                     : fail_as(PyExc_ValueError,
                               "bytes/str item exceeds available storage: " + message);
    case absl::StatusCode::kFailedPrecondition:
      return fail_as(opening ? PyExc_ValueError : PyExc_TypeError, message);
    default:
      return fail_as(PyExc_RuntimeError, message);
  }
}

}  // namespace libatoll::python
