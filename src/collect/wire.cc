#include "collect/wire.h"

#include "base/random.h"
#include "corpus/door.h"
#include "json/value.h"

namespace retort::collect {
namespace {

constexpr int64_t kMarksOfAChat = 128;     // tokens: begin, default system message, answer's header
constexpr int64_t kMarksOfAMessage = 16;   // role, newline, end
constexpr int64_t kBytesOfAToken = 4;      // of English
constexpr int64_t kLikelyShareOfMax = 60;  // percent

int64_t content_bytes(const corpus::Record& request) {
  int64_t bytes = 0;
  for (const auto& message : request.messages) {
    bytes += static_cast<int64_t>(message.content.size());
  }
  return bytes;
}

int64_t seed_of(const Options& options, const Prompt& prompt, int64_t sample) {
  uint64_t hash = base::mix64(static_cast<uint64_t>(options.sampling_seed));
  for (const auto& message : prompt.messages) {
    for (const char c : message.content) hash = base::mix64(hash ^ static_cast<unsigned char>(c));
  }
  // 31 bits: some servers keep the seed in an int.
  return static_cast<int64_t>(base::mix64(hash + static_cast<uint64_t>(sample)) >> 33);
}

}  // namespace

corpus::Door door_of(const Teacher& teacher) {
  return corpus::door_at(teacher.base_url, "/chat/completions");
}

corpus::Record request_of(const Teacher& teacher, const Options& options, const Prompt& prompt,
                          int64_t sample) {
  corpus::Record out;
  out.kind = corpus::Kind::teacher;
  out.door = door_of(teacher);
  out.model = teacher.model;
  out.messages = prompt.messages;
  out.slots = prompt.slots;
  out.template_index = prompt.template_index;
  out.sample = sample;
  out.sampling.temperature = options.temperature;
  out.sampling.top_p = options.top_p;
  out.sampling.top_k = options.top_k;
  out.sampling.repetition_penalty = options.repetition_penalty;
  out.sampling.max_tokens = options.max_tokens;
  out.sampling.top_logprobs = options.top_logprobs;
  if (options.sampling_seed >= 0) out.sampling.seed = seed_of(options, prompt, sample);
  return out;
}

std::string request_body(const corpus::Record& request) {
  json::Value messages = json::Value::array();
  for (const auto& message : request.messages) {
    messages.push(
        json::Value::object({{"role", dialog::name(message.role)}, {"content", message.content}}));
  }
  const corpus::Sampling& sampling = request.sampling;
  json::Value body = json::Value::object({{"model", request.model},
                                          {"messages", messages},
                                          {"temperature", sampling.temperature},
                                          {"max_tokens", sampling.max_tokens}});
  if (sampling.top_p != 1) body.set("top_p", sampling.top_p);
  if (sampling.top_k > 0) body.set("top_k", sampling.top_k);
  if (sampling.repetition_penalty != 1) {
    body.set("repetition_penalty", sampling.repetition_penalty);
  }
  if (sampling.seed) body.set("seed", *sampling.seed);
  if (sampling.top_logprobs > 0) {
    body.set("logprobs", true).set("top_logprobs", sampling.top_logprobs);
  }
  return json::dump(body);
}

Spend most_of(const corpus::Record& request, const Prices& prices) {
  const auto messages = static_cast<int64_t>(request.messages.size());
  return priced(prices, content_bytes(request) + kMarksOfAChat + messages * kMarksOfAMessage,
                request.sampling.max_tokens);
}

Spend likely_of(const corpus::Record& request, const Prices& prices) {
  const auto messages = static_cast<int64_t>(request.messages.size());
  return priced(prices,
                content_bytes(request) / kBytesOfAToken + messages * kMarksOfAMessage / 2 + 1,
                request.sampling.max_tokens * kLikelyShareOfMax / 100 + 1);
}

}  // namespace retort::collect
