// The members of a request's object, read one by one: the first fault is kept, everything read is
// ticked off, and what is left over is judged at the end.
#pragma once
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "openai/request.h"

namespace retort::openai {

class Fields {
 public:
  explicit Fields(const json::Value& object) : object_(object) {}

  // The member; nullptr when it is missing or null.
  const json::Value* get(const std::string& key);
  std::optional<std::string> text(const std::string& key);
  std::optional<bool> boolean(const std::string& key);
  std::optional<int64_t> integer(const std::string& key, int64_t lowest, int64_t highest);
  std::optional<double> number(const std::string& key, double lowest, double highest);

  void fail(const std::string& param, std::string message, std::string code = "");
  // Members that were not asked for: harmless, neutral, or an error that names them.
  void judge_rest();
  const std::optional<ApiError>& error() const { return error_; }

 private:
  const json::Value& object_;
  std::set<std::string> seen_;
  std::optional<ApiError> error_;
};

// The body as an object, or why not.
Parsed<json::Value> parse_object(std::string_view body);
Generation read_generation(Fields& fields);
void write_generation(json::Value& object, const Generation& generation);

}  // namespace retort::openai
