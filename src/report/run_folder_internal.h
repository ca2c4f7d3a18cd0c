// All that a run folder says, read once; what is not there stays null or empty.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/value.h"

namespace retort::report {

// The stages in the order of a run.
inline const std::vector<std::string> kStages = {"serve", "collect",  "curate", "tokenizer",
                                                 "train", "evaluate", "export"};

struct Run {
  std::string folder;
  std::string options_text;  // run.toml as it is
  json::Value options;
  json::Value permission;
  json::Value funnel;
  json::Value results;
  json::Value machine;
  std::map<std::string, json::Value> stages;
  std::vector<json::Value> metrics;
  std::vector<json::Value> samples;
};

Result<Run> read_run(const std::string& folder);

// The value at "counts/done", or nullptr; keys may hold dots, not slashes.
const json::Value* at(const json::Value& value, std::string_view path);
std::optional<double> number(const json::Value& value, std::string_view path);
// The text at the path, or `otherwise`; numbers and truth values as JSON prints them.
std::string text(const json::Value& value, std::string_view path,
                 const std::string& otherwise = "");
// The array's items, or none.
const json::Array& items(const json::Value& value, std::string_view path);
// A count of a stage's summary.
std::optional<double> count(const Run& run, const std::string& stage, const std::string& name);
std::string model_name(const Run& run);
std::string teacher_name(const Run& run);
// False for a run that learns from texts of the user's own and asks nobody.
bool has_teacher(const Run& run);
// Whose answers the student is measured by: "teacher", or "own texts".
std::string reference_name(const Run& run);

// An estimate with its 95 % interval.
struct Estimate {
  double value = 0, low = 0, high = 0;
};
std::optional<Estimate> estimate(const json::Value& value, std::string_view path);

}  // namespace retort::report
