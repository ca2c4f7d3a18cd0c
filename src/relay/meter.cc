#include "relay/meter.h"

#include <algorithm>
#include <array>

namespace retort::relay {
namespace {

constexpr size_t kAnswerBytesKept = 8192;
constexpr json::ParseLimits kEventLimits = {.depth = 64, .size_bytes = int64_t{64} << 20};

Error broken(const std::string& what) {
  return base::upstream_error("the upstream's answer " + what);
}

// What a choice says, wherever it says it: `delta` and `message` of a chat, `text` of a completion.
const json::Value* spoken(const json::Value& choice) {
  for (const char* key : {"delta", "message"}) {
    const auto* part = choice.find(key);
    if (part != nullptr && part->is_object()) return part;
  }
  return &choice;
}

constexpr std::array kTexts = {"content", "text", "reasoning_content", "reasoning", "refusal"};
constexpr std::array kCalls = {"tool_calls", "function_call"};

}  // namespace

Meter::Meter(const Asked& asked)
    : input_likely_(std::min(asked.input_tokens_likely, asked.input_tokens_most)),
      input_most_(asked.input_tokens_most),
      output_most_(asked.output_tokens_most),
      usage_wanted_(asked.usage_wanted) {}

Result<std::string> Meter::stream(std::string_view bytes) {
  RETORT_TRY(const auto events, decoder_.feed(bytes));
  std::string out;
  for (const auto& one : events) {
    if (done_) break;  // behind the end stands nothing
    if (one.done()) {
      done_ = true;
      out += openai::kSseDone;
      continue;
    }
    RETORT_TRY(const bool passed, event(one.data));
    if (passed) out += openai::sse_event(one.data);
  }
  return out;
}

// Whether the client gets it.
Result<bool> Meter::event(const std::string& data) {
  const auto value = json::parse(data, "", kEventLimits);
  if (!value || !value->is_object()) return broken("is no stream of this API");
  const auto* error = value->find("error");
  if (error != nullptr && !error->is_null()) return broken("ended with an error");
  count_choices(*value);
  const auto* usage = value->find("usage");
  if (usage == nullptr || !usage->is_object()) return true;
  take_usage(*usage);
  const auto* choices = value->find("choices");
  const bool counts_alone =
      choices == nullptr || (choices->is_array() && choices->as_array().empty());
  return usage_wanted_ || !counts_alone;
}

Result<void> Meter::body(std::string_view bytes) {
  const auto value = json::parse(bytes, "", kEventLimits);
  if (!value || !value->is_object()) return broken("is no JSON object");
  const auto* error = value->find("error");
  if (error != nullptr && !error->is_null()) return broken("is an error that calls itself success");
  count_choices(*value);
  const auto* usage = value->find("usage");
  if (usage != nullptr && usage->is_object()) take_usage(*usage);
  done_ = true;
  return {};
}

void Meter::count_choices(const json::Value& value) {
  const auto* choices = value.find("choices");
  if (choices == nullptr || !choices->is_array()) return;
  for (const auto& choice : choices->as_array()) {
    const auto* index = choice.find("index");
    const bool first = index == nullptr || !index->is_int() || index->as_int() == 0;
    const auto* part = spoken(choice);
    int64_t said = 0;
    for (const char* key : kTexts) {
      const auto* text = part->find(key);
      if (text == nullptr || !text->is_string()) continue;
      said += std::ssize(text->as_string());
      if (!first || answer_.size() >= kAnswerBytesKept) continue;
      answer_.append(text->as_string(), 0, kAnswerBytesKept - answer_.size());
    }
    for (const char* key : kCalls) {
      const auto* calls = part->find(key);
      if (calls != nullptr && !calls->is_null()) said += std::ssize(json::dump(*calls));
    }
    pieces_ += said > 0 ? 1 : 0;
    bytes_ += said;
  }
}

// Some upstreams repeat the counts with every piece: the highest is the last.
void Meter::take_usage(const json::Value& value) {
  const auto* input = value.find("prompt_tokens");
  const auto* output = value.find("completion_tokens");
  const auto sensible = [](const json::Value* one) {
    return one != nullptr && one->is_int() && one->as_int() >= 0;
  };
  if (!sensible(input)) return;
  told_ = true;
  told_input_ = std::max(told_input_, input->as_int());
  if (sensible(output)) told_output_ = std::max(told_output_, output->as_int());
}

Usage Meter::usage() const {
  const int64_t estimate = std::max(pieces_, (bytes_ + kBytesPerToken - 1) / kBytesPerToken);
  // A piece has a token or more; of a stream that broke off the counts may be of its beginning.
  const int64_t told_output = done_ ? told_output_ : std::max(told_output_, pieces_);
  Usage out;
  out.told = told_;
  out.input_tokens = std::min(told_ ? told_input_ : input_likely_, input_most_);
  out.output_tokens = std::min(told_ ? told_output : estimate, output_most_);
  return out;
}

}  // namespace retort::relay
