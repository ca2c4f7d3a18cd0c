#include "train/metrics.h"

#include <unistd.h>

#include <string_view>

#include "base/files.h"
#include "json/value.h"

namespace retort::train {
namespace {

// The lines whose step is at most `last_step`.
std::string kept_lines(const std::string& text, int64_t last_step) {
  std::string kept;
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    const auto parsed = json::parse(line);
    if (!parsed) continue;
    const auto step = parsed->int_at("step");
    if (step && *step <= last_step) kept += std::string(line) + "\n";
  }
  return kept;
}

// Of what the loss is made, where it is more than the targets' own.
void add_parts(json::Value& line, const auto& m) {
  if (m.nll != m.loss) line.set("nll", m.nll);
  if (m.divergence != 0) line.set("divergence", m.divergence);
}

}  // namespace

Result<Metrics> Metrics::open(const std::string& path, int64_t last_step) {
  std::string kept;
  if (base::exists(path)) {
    RETORT_TRY(const std::string text, base::read_file(path));
    kept = kept_lines(text, last_step);
  }
  RETORT_TRY_VOID(base::write_file_atomic(path, kept));
  std::FILE* file = std::fopen(path.c_str(), "ae");
  if (file == nullptr) return base::errno_error("open", path);
  return Metrics(file, path);
}

Result<void> Metrics::add(const StepMetrics& m) {
  json::Value line = json::Value::object({{"step", m.step},
                                          {"epoch", m.epoch},
                                          {"loss", m.loss},
                                          {"lr", m.lr},
                                          {"grad_norm", m.grad_norm},
                                          {"tokens", m.tokens},
                                          {"tokens_per_second", m.tokens_per_second},
                                          {"seconds", m.seconds}});
  add_parts(line, m);
  return write_line(json::dump(line));
}

Result<void> Metrics::add_held_out(const HeldOutMetrics& m) {
  json::Value line = json::Value::object(
      {{"step", m.step}, {"held_out_loss", m.loss}, {"held_out_tokens", m.tokens}});
  add_parts(line, m);
  return write_line(json::dump(line));
}

Result<void> Metrics::add_refused(int64_t step, const std::string& what,
                                  const std::vector<std::string>& keys) {
  json::Value records = json::Value::array();
  for (const std::string& key : keys) records.push(key);
  return write_line(json::dump(json::Value::object(
      {{"step", step}, {"refused", what + " is not finite"}, {"records", std::move(records)}})));
}

Result<void> Metrics::write_line(const std::string& line) {
  const std::string whole = line + "\n";
  if (std::fwrite(whole.data(), 1, whole.size(), file_.get()) != whole.size() ||
      std::fflush(file_.get()) != 0) {
    return base::errno_error("write", path_);
  }
  return {};
}

Result<void> Metrics::sync() {
  if (::fsync(::fileno(file_.get())) != 0) return base::errno_error("sync", path_);
  return {};
}

}  // namespace retort::train
