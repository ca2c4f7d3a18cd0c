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

// Whether it is a list of one or more token ids, and those of one that is.
bool is_ids(const json::Value& value);
std::vector<int32_t> read_ids(const json::Value& value);
// How many alternatives; the limit is the server's, so the refusal says what raises it.
std::optional<int64_t> read_alternatives(Fields& fields, const std::string& key, int64_t most);

// The body as an object, or why not.
Parsed<json::Value> parse_object(std::string_view body);
Generation read_generation(Fields& fields);
// Those of its members that SGLang names alike.
Generation read_sampling(Fields& fields);
void write_generation(json::Value& object, const Generation& generation);

}  // namespace retort::openai
