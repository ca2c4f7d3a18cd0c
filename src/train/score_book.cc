#include "train/score_book_internal.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cmath>

#include "crypto/hash.h"
#include "json/value.h"

namespace retort::train {
namespace {

Result<std::pair<std::string, std::vector<float>>> read_line(const std::string& text,
                                                             const std::string& where) {
  RETORT_TRY(const json::Value line, json::parse(text, where));
  RETORT_TRY(auto name, line.string_at("text"));
  const json::Value* list = line.find("logprobs");
  std::vector<float> values;
  if (list != nullptr && list->is_array()) {
    for (const json::Value& one : list->as_array()) {
      if (one.is_number()) values.push_back(static_cast<float>(one.as_number()));
    }
  }
  const bool whole = list != nullptr && list->is_array() && !values.empty() &&
                     values.size() == list->as_array().size();
  if (!whole) return base::bad_input("the line holds no scores", where, "remove the file");
  return std::pair(std::move(name), std::move(values));
}

Result<void> append_synced(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return base::errno_error("open", path);
  auto done = base::write_all(file, text, path);
  if (done.ok() && ::fsync(file) != 0) done = base::errno_error("sync", path);
  ::close(file);
  return done;
}

}  // namespace

std::string ScoreBook::name_of(const std::string& endpoint, const std::string& model,
                               const std::vector<int32_t>& ids) {
  json::Value text = json::Value::array();
  text.push(endpoint);
  text.push(model);
  for (const int32_t id : ids) text.push(static_cast<int64_t>(id));
  return crypto::sha256_hex(json::dump(text));
}

Result<ScoreBook> ScoreBook::open(const std::string& path) {
  ScoreBook book;
  book.path_ = path;
  if (!base::exists(path)) return book;
  RETORT_TRY(std::string text, base::read_file(path));
  const size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0
  if (whole < text.size()) {
    text.resize(whole);
    RETORT_TRY_VOID(base::write_file_atomic(path, text));
  }
  int64_t number = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const std::string where = fmt::format("{}:{}", path, ++number);
    auto line = read_line(text.substr(at, end - at), where);
    if (!line) return line.error().at(where);
    book.scores_.insert(std::move(*line));
    at = end + 1;
  }
  return book;
}

const std::vector<float>* ScoreBook::find(const std::string& name) const {
  const auto found = scores_.find(name);
  return found == scores_.end() ? nullptr : &found->second;
}

Result<void> ScoreBook::add(const std::map<std::string, std::vector<float>>& scores) {
  if (scores.empty()) return {};
  std::string text;
  for (const auto& [name, values] : scores) {
    json::Value list = json::Value::array();
    for (const float value : values) list.push(static_cast<double>(value));
    text += json::dump(json::Value::object({{"text", name}, {"logprobs", std::move(list)}})) + "\n";
  }
  RETORT_TRY_VOID(append_synced(path_, text));
  scores_.insert(scores.begin(), scores.end());
  return {};
}

}  // namespace retort::train
