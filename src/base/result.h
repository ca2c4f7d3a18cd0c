// Result<T>: a value or an Error, for everything that can fail because of the world outside (files,
// network, people). A programmer's mistake is a RETORT_CHECK (check.h) instead.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace retort::base {

// One code a kind of failure; exit_code() maps it to what the program ends with.
enum class ErrorCode {
  usage,             // wrong flag, wrong key, wrong value: exit 2
  refused_by_terms,  // permission is missing: exit 3
  bad_input,         // a file or a peer's bytes are not what they should be: exit 4
  not_found,         // a file or an entry is not there: exit 4
  upstream,          // the teacher or the network failed: exit 5
  storage,           // disk full, database locked or damaged: exit 6
  budget_reached,    // a budget stopped the work: exit 7
  refused_by_gate,   // a duty is unmet, an export is unequal, a model is frozen: exit 8
  internal,          // a mistake in this program: exit 70
  interrupted,       // Ctrl-C or SIGTERM: exit 130
};

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;  // what happened, a sentence without a full stop
  std::string where;    // file, key, URL, record: as exact as is known
  std::string hint;     // what to do now

  // "what (where); hint", for people.
  std::string text() const;
  // The same error with a place put in front of the one it has.
  Error at(std::string_view outer) const;
};

int exit_code(ErrorCode code);
const char* name(ErrorCode code);

Error bad_input(std::string message, std::string where = "", std::string hint = "");
Error not_found(std::string message, std::string where = "", std::string hint = "");
Error storage_error(std::string message, std::string where = "", std::string hint = "");
Error upstream_error(std::string message, std::string where = "", std::string hint = "");
Error usage_error(std::string message, std::string where = "", std::string hint = "");
Error interrupted(std::string message = "interrupted");
Error internal_error(std::string message, std::string where = "");
// From errno: "cannot WHAT: No space left on device".
Error errno_error(std::string_view what, std::string where);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  explicit operator bool() const { return state_.index() == 0; }
  bool ok() const { return state_.index() == 0; }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }

  const Error& error() const { return std::get<1>(state_); }
  T value_or(T other) const { return ok() ? value() : std::move(other); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  explicit operator bool() const { return !error_; }
  bool ok() const { return !error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace retort::base

namespace retort {
using base::Error;
using base::ErrorCode;
using base::Result;
}  // namespace retort

#define RETORT_CONCAT_(a, b) a##b
#define RETORT_CONCAT(a, b) RETORT_CONCAT_(a, b)

// RETORT_TRY(auto x, may_fail());  x is the value, or the error is returned to the caller.
#define RETORT_TRY(target, expression)                                                            \
  auto RETORT_CONCAT(retort_try_, __LINE__) = (expression);                                       \
  if (!RETORT_CONCAT(retort_try_, __LINE__)) return RETORT_CONCAT(retort_try_, __LINE__).error(); \
  target = std::move(*RETORT_CONCAT(retort_try_, __LINE__))

// RETORT_TRY_VOID(may_fail());  for Result<void>, or a value that is not wanted.
#define RETORT_TRY_VOID(expression)                                                \
  do {                                                                             \
    if (auto retort_try_ = (expression); !retort_try_) return retort_try_.error(); \
  } while (false)
