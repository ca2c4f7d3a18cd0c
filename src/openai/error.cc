#include "openai/error.h"

#include <fmt/core.h>

#include "json/value.h"
#include "openai/text.h"

namespace retort::openai {
namespace {

constexpr size_t kMessageBytesMax = 500;

// Text of any scalar; "" for null, arrays and objects.
std::string scalar_text(const json::Value* value) {
  if (value == nullptr) return "";
  if (value->is_string()) return value->as_string();
  if (value->is_number() || value->is_bool()) return json::dump(*value);
  return "";
}

ApiError read_error(int status, const json::Value& root) {
  ApiError error = make_error(status, "");
  const json::Value* inner = root.find("error");
  const json::Value& source = inner != nullptr && inner->is_object() ? *inner : root;
  error.message = scalar_text(source.find("message"));
  if (error.message.empty()) error.message = scalar_text(inner);
  if (error.message.empty()) error.message = scalar_text(root.find("detail"));
  if (std::string type = scalar_text(source.find("type")); !type.empty()) error.type = type;
  error.param = printable(scalar_text(source.find("param")), kMessageBytesMax);
  error.code = printable(scalar_text(source.find("code")), kMessageBytesMax);
  error.type = printable(error.type, kMessageBytesMax);
  return error;
}

}  // namespace

const char* error_type(int status) {
  if (status == 401) return "authentication_error";
  if (status == 403) return "permission_error";
  if (status == 429) return "rate_limit_error";
  if (status >= 500) return "server_error";
  return "invalid_request_error";
}

ApiError make_error(int status, std::string message, std::string param, std::string code) {
  return {status, std::move(message), error_type(status), std::move(param), std::move(code), {}};
}

std::string print_error(const ApiError& error) {
  const auto or_null = [](const std::string& text) {
    return text.empty() ? json::Value() : json::Value(text);
  };
  auto inner = json::Value::object({{"message", error.message},
                                    {"type", error.type},
                                    {"param", or_null(error.param)},
                                    {"code", or_null(error.code)}});
  for (const auto& [name, value] : error.more) inner.set(name, value);
  return json::dump(json::Value::object({{"error", std::move(inner)}}));
}

ApiError parse_error(int status, std::string_view body) {
  ApiError error = make_error(status, "");
  const auto parsed = json::parse(body, "", {.depth = 16, .size_bytes = 1 << 20});
  if (parsed && parsed->is_object()) {
    error = read_error(status, *parsed);
  } else {
    error.message = body.substr(0, 4 * kMessageBytesMax);
  }
  error.message = printable(error.message, kMessageBytesMax);
  if (error.message.empty()) error.message = fmt::format("status {} without a message", status);
  return error;
}

}  // namespace retort::openai
