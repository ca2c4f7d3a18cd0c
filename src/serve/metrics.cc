#include "serve/metrics_internal.h"

#include <fmt/format.h>

#include <iterator>

namespace retort::serve {
namespace {

void print_head(std::string& out, const char* name, const char* kind, const char* help) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {2}\n# TYPE {0} {1}\n", name, kind, help);
}

void print_one(std::string& out, const char* name, const char* kind, const char* help,
               int64_t value) {
  print_head(out, name, kind, help);
  fmt::format_to(std::back_inserter(out), "{} {}\n", name, value);
}

}  // namespace

void Histogram::add(double seconds) {
  size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
  ++counts_[bucket];
  sum_ += seconds;
}

void Histogram::print(std::string& out, const char* name, const char* help) const {
  print_head(out, name, "histogram", help);
  const auto into = std::back_inserter(out);
  int64_t below = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    below += counts_[i];
    fmt::format_to(into, "{}_bucket{{le=\"{}\"}} {}\n", name, kBounds[i], below);
  }
  below += counts_.back();
  fmt::format_to(into, "{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, below,
                 sum_);
}

void Metrics::add_request(const std::string& route, int status) {
  const std::lock_guard lock(mutex_);
  ++requests_[{route, status}];
}

void Metrics::add_first_token(double seconds) {
  const std::lock_guard lock(mutex_);
  first_token_.add(seconds);
}

void Metrics::add_answer(double seconds) {
  const std::lock_guard lock(mutex_);
  answer_.add(seconds);
}

void Metrics::add_gone() {
  const std::lock_guard lock(mutex_);
  ++gone_;
}

std::string Metrics::print(const engine::Stats& stats, int64_t answers_in_flight) const {
  const std::lock_guard lock(mutex_);
  std::string out;
  print_head(out, "retort_requests_total", "counter", "Requests by route and status.");
  for (const auto& [key, count] : requests_) {
    fmt::format_to(std::back_inserter(out),
                   "retort_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first,
                   key.second, count);
  }
  print_one(out, "retort_clients_gone_total", "counter", "Clients that left before their answer.",
            gone_);
  print_one(out, "retort_prompt_tokens_total", "counter", "Tokens of prompts.",
            stats.prompt_tokens);
  print_one(out, "retort_cached_tokens_total", "counter", "Of these, found in the prefix cache.",
            stats.cached_tokens);
  print_one(out, "retort_generated_tokens_total", "counter", "Tokens generated.",
            stats.generated_tokens);
  print_one(out, "retort_answers_in_flight", "gauge", "Answers promised and not finished.",
            answers_in_flight);
  print_one(out, "retort_answers_running", "gauge", "Answers that the model works on.",
            stats.running);
  print_one(out, "retort_answers_waiting", "gauge", "Answers that wait for their turn.",
            stats.waiting);
  print_one(out, "retort_decode_steps_total", "counter", "Steps that decoded.", stats.decode_steps);
  print_one(out, "retort_decode_rows_total", "counter",
            "Answers in all of these steps; divided by the steps, the batch size.",
            stats.decode_rows);
  print_one(out, "retort_kv_pages", "gauge", "Pages of the attention cache.", stats.cache_pages);
  print_one(out, "retort_kv_pages_held", "gauge", "Of these, held by answers under way.",
            stats.cache_pages_held);
  print_one(out, "retort_memory_bytes", "gauge", "Weights and cache.", stats.memory_bytes);
  first_token_.print(out, "retort_time_to_first_token_seconds",
                     "From a request's arrival to the first token of its answer.");
  answer_.print(out, "retort_answer_seconds", "From a request's arrival to the end of its answer.");
  return out;
}

}  // namespace retort::serve
