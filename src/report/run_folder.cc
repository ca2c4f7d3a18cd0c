#include "report/run_folder_internal.h"

#include <fmt/core.h>

#include "base/files.h"

namespace retort::report {
namespace {

constexpr int64_t kFileBytesMax = int64_t{64} << 20;

enum class Kind { array, object, number, string };

struct Shape {
  const char* path;
  Kind kind;
};

const std::vector<Shape> kSummaryShape = {{"stage", Kind::string},
                                          {"counts", Kind::object},
                                          {"seconds", Kind::number},
                                          {"notes", Kind::array}};
const std::vector<Shape> kPermissionShape = {{"purpose", Kind::object},
                                             {"terms", Kind::array},
                                             {"verdict", Kind::string},
                                             {"checks", Kind::array}};
const std::vector<Shape> kResultsShape = {{"held_out", Kind::object},
                                          {"bits_per_byte", Kind::object},
                                          {"named", Kind::object},
                                          {"readability", Kind::object},
                                          {"notes", Kind::array}};

bool is_kind(const json::Value& value, Kind kind) {
  switch (kind) {
    case Kind::array:
      return value.is_array();
    case Kind::object:
      return value.is_object();
    case Kind::number:
      return value.is_number();
    case Kind::string:
      return value.is_string();
  }
  return false;
}

Error damaged(std::string message, const std::string& path) {
  return base::bad_input(std::move(message), path,
                         "run the stage that writes this file again, or restore the file");
}

// "retort.summary/1": another name is not this file, a higher number is a newer program's.
Result<void> check_schema(const json::Value& value, const std::string& schema,
                          const std::string& path) {
  if (schema.empty()) return {};
  const std::string found = text(value, "schema");
  if (found == schema) return {};
  const size_t slash = schema.find('/') + 1;
  if (found.compare(0, slash, schema, 0, slash) == 0) {
    return base::bad_input(
        fmt::format("the file has schema {}, this program reads {}", found, schema), path,
        "use the version of retort that wrote the run, or a newer one");
  }
  return damaged(fmt::format("the file's schema is \"{}\" where {} belongs", found, schema), path);
}

struct Document {
  const char* name;
  const char* schema;  // "" for none
  std::vector<Shape> shape;
};

// Null when the file is not there.
Result<json::Value> read_document(const std::string& folder, const Document& document) {
  const std::string path = base::join(folder, document.name);
  if (!base::exists(path)) return json::Value();
  RETORT_TRY(const std::string content, base::read_file(path, kFileBytesMax));
  auto parsed = json::parse(content, path);
  if (!parsed) return damaged(parsed.error().message, parsed.error().where);
  if (!parsed->is_object()) return damaged("the file is no JSON object", path);
  RETORT_TRY_VOID(check_schema(*parsed, document.schema, path));
  for (const Shape& shape : document.shape) {
    const json::Value* member = parsed->find(shape.path);
    if (member != nullptr && !member->is_null() && !is_kind(*member, shape.kind)) {
      return damaged(fmt::format("\"{}\" has the wrong type", shape.path), path);
    }
  }
  return parsed;
}

// A file that is appended to may end in half a line when its writer was stopped: that is no damage.
Result<std::vector<json::Value>> read_lines(const std::string& folder, const std::string& name,
                                            bool may_end_early) {
  const std::string path = base::join(folder, name);
  std::vector<json::Value> lines;
  if (!base::exists(path)) return lines;
  RETORT_TRY(const std::string content, base::read_file(path, kFileBytesMax));
  int64_t line_number = 0;
  for (size_t begin = 0; begin < content.size();) {
    const size_t found = content.find('\n', begin);
    const size_t end = found == std::string::npos ? content.size() : found;
    const std::string_view line = std::string_view(content).substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.find_first_not_of(" \r\t") == std::string_view::npos) continue;
    auto parsed = json::parse(line);
    if (parsed && parsed->is_object()) {
      lines.push_back(std::move(*parsed));
    } else if (found != std::string::npos || !may_end_early) {
      return damaged(parsed ? "the line is no JSON object" : parsed.error().message,
                     fmt::format("{}:{}", path, line_number));
    }
  }
  return lines;
}

}  // namespace

const json::Value* at(const json::Value& value, std::string_view path) {
  const json::Value* current = &value;
  while (current != nullptr && !path.empty()) {
    const size_t slash = path.find('/');
    current = current->find(path.substr(0, slash));
    path = slash == std::string_view::npos ? "" : path.substr(slash + 1);
  }
  return current;
}

std::optional<double> number(const json::Value& value, std::string_view path) {
  const json::Value* found = at(value, path);
  if (found == nullptr || !found->is_number()) return std::nullopt;
  return found->as_number();
}

std::string text(const json::Value& value, std::string_view path, const std::string& otherwise) {
  const json::Value* found = at(value, path);
  if (found == nullptr || found->is_null()) return otherwise;
  return found->is_string() ? found->as_string() : json::dump(*found);
}

const json::Array& items(const json::Value& value, std::string_view path) {
  static const json::Array none;
  const json::Value* found = at(value, path);
  return found != nullptr && found->is_array() ? found->as_array() : none;
}

std::optional<double> count(const Run& run, const std::string& stage, const std::string& name) {
  const auto found = run.stages.find(stage);
  if (found == run.stages.end()) return std::nullopt;
  return number(found->second, "counts/" + name);
}

std::string model_name(const Run& run) {
  const std::string named = text(run.permission, "purpose/model_id");
  if (!named.empty()) return named;
  const std::string wanted = text(run.options, "purpose/model_id");
  if (!wanted.empty()) return wanted;
  const std::string folder = base::base_name(run.folder);
  return folder.empty() || folder == "." ? "this model" : folder;
}

std::string teacher_name(const Run& run) {
  const std::string model = text(run.options, "teacher/model");
  if (!model.empty()) return model;
  const std::string served = text(run.options, "teacher/serve");
  return served.empty() ? "the teacher" : base::base_name(served);
}

bool has_teacher(const Run& run) {
  const bool asks = !text(run.options, "collect/prompts").empty() ||
                    !items(run.options, "collect/template").empty();
  return asks || text(run.options, "collect/import").empty();
}

std::string reference_name(const Run& run) {
  return has_teacher(run) ? "teacher" : "own texts";
}

std::optional<Estimate> estimate(const json::Value& value, std::string_view path) {
  const json::Value* found = at(value, path);
  if (found == nullptr) return std::nullopt;
  const auto middle = number(*found, "value");
  if (!middle) return std::nullopt;
  return Estimate{*middle, number(*found, "low").value_or(*middle),
                  number(*found, "high").value_or(*middle)};
}

Result<Run> read_run(const std::string& folder) {
  if (!base::is_directory(folder)) {
    return base::not_found("there is no run folder", folder,
                           "give the `out` of a run file, after `retort run`");
  }
  Run run;
  run.folder = folder;
  const std::string options = base::join(folder, "run.toml");
  if (base::exists(options)) {
    RETORT_TRY(run.options_text, base::read_file(options, kFileBytesMax));
    RETORT_TRY(run.options, json::parse_toml(run.options_text, options));
  }
  for (const std::string& stage : kStages) {
    const std::string name = "summary/" + stage + ".json";
    RETORT_TRY(auto summary,
               read_document(folder, {name.c_str(), "retort.summary/1", kSummaryShape}));
    if (!summary.is_null()) run.stages.emplace(stage, std::move(summary));
  }
  RETORT_TRY(run.permission, read_document(folder, {"summary/permission.json",
                                                    "retort.permission/1", kPermissionShape}));
  RETORT_TRY(run.funnel,
             read_document(folder, {"curated/funnel.json", "", {{"steps", Kind::array}}}));
  RETORT_TRY(run.results, read_document(folder, {"evaluate/results.json", "retort.evaluation/1",
                                                 kResultsShape}));
  RETORT_TRY(run.machine, read_document(folder, {"summary/machine.json", "", {}}));
  RETORT_TRY(run.metrics, read_lines(folder, "train/metrics.jsonl", /*may_end_early=*/true));
  RETORT_TRY(run.samples, read_lines(folder, "evaluate/samples.jsonl", /*may_end_early=*/false));
  return run;
}

}  // namespace retort::report
