// Errors as OpenAI's API words them: {"error": {"message", "type", "param", "code"}}.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace retort::openai {

struct ApiError {
  int status = 400;
  std::string message = {};
  std::string type = "invalid_request_error";
  std::string param = {};  // the field at fault; "" prints null
  std::string code = {};   // "model_not_found", "context_length_exceeded", ...; "" prints null
  // Further members of the error: "case_id".
  std::vector<std::pair<std::string, std::string>> more = {};
  bool operator==(const ApiError&) const = default;
};

// The type that goes with a status: "rate_limit_error" for 429, "server_error" from 500 on, ...
const char* error_type(int status);
ApiError make_error(int status, std::string message, std::string param = "", std::string code = "");

std::string print_error(const ApiError& error);
// What a peer's body says of an error, whatever its shape (OpenAI, vLLM, FastAPI, plain text).
// Never fails; the message is printable, valid UTF-8 and at most 500 bytes.
ApiError parse_error(int status, std::string_view body);

// A value, or the error to answer with.
template <class T>
class [[nodiscard]] Parsed {
 public:
  Parsed(T value) : value_(std::move(value)) {}         // NOLINT: implicit
  Parsed(ApiError error) : error_(std::move(error)) {}  // NOLINT: implicit
  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  const ApiError& error() const { return error_; }

 private:
  std::optional<T> value_;
  ApiError error_;
};

}  // namespace retort::openai
