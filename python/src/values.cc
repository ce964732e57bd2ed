#include "values.h"

#include <cstddef>
#include <string_view>
#include <variant>

namespace libatoll::python {

std::optional<std::int64_t> to_int64(PyObject* object) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow != 0) {
    PyErr_SetString(PyExc_OverflowError, "int does not fit a slot, which has 64 bits");
    return std::nullopt;
  }
  if (number == -1 && PyErr_Occurred() != nullptr) {
    return std::nullopt;
  }
  return number;
}

std::optional<ValueView> to_view(PyObject* object) {
  if (PyBool_Check(object)) {
    return ValueView(object == Py_True);
  }
  if (PyLong_Check(object)) {
    const auto number = to_int64(object);
    return number ? std::optional<ValueView>(*number) : std::nullopt;
  }
  if (PyUnicode_Check(object)) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(object, &size);
    return text != nullptr
               ? std::optional<ValueView>(std::string_view(text, static_cast<std::size_t>(size)))
               : std::nullopt;
  }
  if (PyFloat_Check(object)) {
    return ValueView(PyFloat_AS_DOUBLE(object));
  }
  if (object == Py_None) {
    return ValueView(nullptr);
  }
  if (PyBytes_Check(object)) {
    return ValueView(
        BytesView(PyBytes_AS_STRING(object), static_cast<std::size_t>(PyBytes_GET_SIZE(object))));
  }
  PyErr_Format(PyExc_TypeError, "a list holds int, float, bool, str, bytes and None, not %.200s",
               Py_TYPE(object)->tp_name);
  return std::nullopt;
}

PyObject* to_object(const ValueView& value) {
  const ValueView::Variant& held = value.variant();
  if (const auto* number = std::get_if<std::int64_t>(&held)) {
    return PyLong_FromLongLong(*number);
  }
  if (const auto* text = std::get_if<std::string_view>(&held)) {
    return PyUnicode_DecodeUTF8(text->data(), static_cast<Py_ssize_t>(text->size()), nullptr);
  }
  if (const auto* number = std::get_if<double>(&held)) {
    return PyFloat_FromDouble(*number);
  }
  if (const auto* truth = std::get_if<bool>(&held)) {
    return PyBool_FromLong(*truth ? 1 : 0);
  }
  if (const auto* bytes = std::get_if<BytesView>(&held)) {
    return PyBytes_FromStringAndSize(bytes->data(), static_cast<Py_ssize_t>(bytes->size()));
  }
  Py_INCREF(Py_None);
  return Py_None;
}

}  // namespace libatoll::python
