#include "serve/metrics_internal.h"

#include <fmt/format.h>

#include <functional>
#include <iterator>

#include "serve/models_internal.h"

namespace retort::serve {
namespace {

void print_head(std::string& out, const char* name, const char* kind, const char* help) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, kind, help);
}

// Names come from whoever started the server; a quote in one must not end the label.
std::string escaped(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

struct Figures {
  std::string label;  // model="...", or "" where there is one model
  const ServedModel* model = nullptr;
  engine::Stats stats = {};
};

struct Line {
  const char* name;
  const char* kind;
  const char* help;
  std::function<int64_t(const Figures&)> value;
  bool of_engine = true;  // said once of each engine
};

const std::vector<Line>& lines() {
  using F = const Figures&;
  static const std::vector<Line> all = {
      {"retort_prompt_tokens_total", "counter", "Tokens of prompts.",
       [](F f) { return f.stats.prompt_tokens; }},
      {"retort_cached_tokens_total", "counter", "Of these, found in the prefix cache.",
       [](F f) { return f.stats.cached_tokens; }},
      {"retort_generated_tokens_total", "counter", "Tokens generated.",
       [](F f) { return f.stats.generated_tokens; }},
      {"retort_answers_in_flight", "gauge", "Answers promised and not finished.",
       [](F f) { return f.model->in_flight.load(); }, /*of_engine=*/false},
      {"retort_answers_running", "gauge", "Answers that the model works on.",
       [](F f) { return f.stats.running; }},
      {"retort_answers_waiting", "gauge", "Answers that wait for their turn.",
       [](F f) { return f.stats.waiting; }},
      {"retort_decode_steps_total", "counter", "Steps that decoded.",
       [](F f) { return f.stats.decode_steps; }},
      {"retort_decode_rows_total", "counter",
       "Answers in all of these steps; divided by the steps, the batch size.",
       [](F f) { return f.stats.decode_rows; }},
      {"retort_kv_pages", "gauge", "Pages of the attention cache.",
       [](F f) { return f.stats.cache_pages; }},
      {"retort_kv_pages_held", "gauge", "Of these, held by answers under way.",
       [](F f) { return f.stats.cache_pages_held; }},
      {"retort_memory_bytes", "gauge", "Weights and cache.",
       [](F f) { return f.stats.memory_bytes; }}};
  return all;
}

}  // namespace

void Histogram::add(double seconds) {
  size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
  ++counts_[bucket];
  sum_ += seconds;
}

void Histogram::print(std::string& out, const char* name, const std::string& label) const {
  const auto into = std::back_inserter(out);
  const std::string before = label.empty() ? "" : label + ",";
  const std::string alone = label.empty() ? "" : "{" + label + "}";
  int64_t below = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    below += counts_[i];
    fmt::format_to(into, "{}_bucket{{{}le=\"{}\"}} {}\n", name, before, kBounds[i], below);
  }
  below += counts_.back();
  fmt::format_to(into, "{0}_bucket{{{1}le=\"+Inf\"}} {3}\n{0}_sum{2} {4}\n{0}_count{2} {3}\n", name,
                 before, alone, below, sum_);
}

void Latencies::add_first_token(double seconds) {
  const std::lock_guard lock(mutex_);
  first_token_.add(seconds);
}

void Latencies::add_answer(double seconds) {
  const std::lock_guard lock(mutex_);
  answer_.add(seconds);
}

Histogram Latencies::first_token() const {
  const std::lock_guard lock(mutex_);
  return first_token_;
}

Histogram Latencies::answer() const {
  const std::lock_guard lock(mutex_);
  return answer_;
}

void DoorMetrics::add_request(const std::string& route, int status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
}

void DoorMetrics::add_gone() {
  const std::lock_guard lock(mutex_);
  ++gone_;
}

void DoorMetrics::print(std::string& out) const {
  const std::lock_guard lock(mutex_);
  print_head(out, "retort_requests_total", "counter", "Requests by route and status.");
  for (const auto& [key, count] : requests_) {
    fmt::format_to(std::back_inserter(out),
                   "retort_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first,
                   key.second, count);
  }
  print_head(out, "retort_clients_gone_total", "counter", "Clients that left before their answer.");
  fmt::format_to(std::back_inserter(out), "retort_clients_gone_total {}\n", gone_);
}

std::string print_metrics(const DoorMetrics& door, const Models& models) {
  std::string out;
  door.print(out);
  std::vector<Figures> figures;
  for (const auto& model : models.all()) {
    const bool alone = models.all().size() == 1;
    figures.push_back({alone ? "" : "model=\"" + escaped(model->id) + "\"", model.get(),
                       model->backend ? model->backend->stats() : engine::Stats{}});
  }
  for (const Line& line : lines()) {
    print_head(out, line.name, line.kind, line.help);
    for (const Figures& f : figures) {
      if (line.of_engine && (f.model->shares_engine || f.model->upstream)) continue;
      const std::string label = f.label.empty() ? "" : "{" + f.label + "}";
      fmt::format_to(std::back_inserter(out), "{}{} {}\n", line.name, label, line.value(f));
    }
  }
  const auto histogram = [&](const char* name, const char* help, auto of) {
    print_head(out, name, "histogram", help);
    for (const Figures& f : figures) (f.model->latencies.*of)().print(out, name, f.label);
  };
  histogram("retort_time_to_first_token_seconds",
            "From a request's arrival to the first token of its answer.", &Latencies::first_token);
  histogram("retort_answer_seconds", "From a request's arrival to the end of its answer.",
            &Latencies::answer);
  return out;
}

}  // namespace retort::serve
