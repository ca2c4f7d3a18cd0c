#include "collect/reply.h"
#include "base/ascii.h"

#include <fmt/core.h>

#include <algorithm>

#include "collect/token_logprobs.h"
#include "json/value.h"
#include "openai/text.h"

namespace retort::collect {
namespace {

constexpr size_t kMostQuoted = 200;

bool contains_any(std::string_view text, std::initializer_list<std::string_view> needles) {
  return std::any_of(needles.begin(), needles.end(), [&](std::string_view needle) {
    return text.find(needle) != std::string_view::npos;
  });
}

// A server's words, short and without anything that could steer a terminal.
std::string quoted(std::string_view text) {
  std::string out = openai::printable(text, kMostQuoted);
  if (text.size() > kMostQuoted) out += "...";
  return out;
}

// The error object of an answer, if it has one: {"error": {...}} or {"error": "..."}.
struct ApiError {
  std::string message;
  std::string code;    // code and type, lower case
  std::string policy;  // " (case ..., clause ..., appeal at ...)" of a provider that has them
};

// A provider with policies says which case it acts on and where to appeal.
std::string policy_words(const json::Value& error) {
  std::string out;
  const std::pair<const char*, const char*> members[] = {
      {"case_id", "case"}, {"clause", "clause"}, {"appeal_url", "appeal at"}, {"appeal_by", "by"}};
  for (const auto& [key, word] : members) {
    const json::Value* value = error.find(key);
    if (value == nullptr || !value->is_string()) continue;
    out += fmt::format("{}{} {}", out.empty() ? " (" : ", ", word, quoted(value->as_string()));
  }
  return out.empty() ? out : out + ")";
}

std::optional<ApiError> api_error(const json::Value& body) {
  const json::Value* error = body.find("error");
  if (error == nullptr || error->is_null()) return std::nullopt;
  ApiError out;
  if (error->is_string()) out.message = error->as_string();
  for (const char* key : {"code", "type"}) {
    const json::Value* value = error->find(key);
    if (value != nullptr && value->is_string()) out.code += base::lower(value->as_string()) + " ";
  }
  const json::Value* message = error->find("message");
  if (message != nullptr && message->is_string()) out.message = message->as_string();
  out.policy = policy_words(*error);
  return out;
}

std::string said(const std::optional<ApiError>& error) {
  if (!error || error->message.empty()) return "";
  return fmt::format(": \"{}\"{}", quoted(error->message), error->policy);
}

// A quota or an account that waiting does not bring back, or a provider that says by its policy
// that this gathering is not wanted: waiting and going on would be to work around it.
bool is_final_refusal(const std::optional<ApiError>& error) {
  if (!error) return false;
  return contains_any(error->code,
                      {"insufficient_quota", "billing", "account_deactivated", "account_suspended",
                       "suspended", "access_terminated", "policy_throttled"});
}

Reply make(ReplyKind kind, std::string why) {
  Reply reply;
  reply.kind = kind;
  reply.why = std::move(why);
  return reply;
}

Reply judge_refusal(const Exchange& exchange, const std::optional<ApiError>& error,
                    int64_t wall_now_ms) {
  const int status = exchange.status;
  const std::string words = said(error);
  if (status >= 300 && status < 400) {
    return make(ReplyKind::stop,
                fmt::format("the teacher sends requests on to another address (HTTP {}, \"{}\"), "
                            "and the key goes to the configured one only",
                            status, quoted(exchange.header("location"))));
  }
  if (status == 401 || status == 402 || status == 403 || is_final_refusal(error)) {
    return make(ReplyKind::stop,
                fmt::format("the teacher refuses this account (HTTP {}){}", status, words));
  }
  if (status == 404 || status == 405) {
    return make(ReplyKind::stop,
                fmt::format("the teacher has no such address or model (HTTP {}){}", status, words));
  }
  if (status == 429 || status == 503 || status == 529) {
    Reply reply =
        make(ReplyKind::throttled, fmt::format("the teacher is busy (HTTP {}){}", status, words));
    const auto lookup = [&](std::string_view name) { return exchange.header(name); };
    reply.retry_after_ms = retry_after_ms(lookup, wall_now_ms);
    return reply;
  }
  if (status == 408 || status == 409 || status == 425 || status >= 500) {
    return make(ReplyKind::broken, fmt::format("the teacher failed (HTTP {}){}", status, words));
  }
  return make(ReplyKind::rejected,
              fmt::format("the teacher rejects the request (HTTP {}){}", status, words));
}

Reply no_answer(std::string why) {
  Reply reply = make(ReplyKind::broken, std::move(why));
  reply.maybe_billed = true;
  return reply;
}

int64_t count_at(const json::Value& usage, const char* key) {
  const json::Value* value = usage.find(key);
  return value != nullptr && value->is_int() ? value->as_int() : -1;
}

void read_usage(const json::Value& body, Answer& answer) {
  const json::Value* usage = body.find("usage");
  if (usage == nullptr) return;
  const int64_t prompt = count_at(*usage, "prompt_tokens");
  const int64_t completion = count_at(*usage, "completion_tokens");
  if (prompt < 0 || completion < 0) return;  // null, missing or nonsense: not known
  answer.usage_known = true;
  answer.prompt_tokens = prompt;
  answer.answer_tokens = completion;
}

std::string text_or_empty(const json::Value& value, const char* key) {
  const json::Value* member = value.find(key);
  return member != nullptr && member->is_string() ? member->as_string() : "";
}

Reply judge_answer(const Exchange& exchange, const json::Value& body) {
  const json::Value* choices = body.find("choices");
  if (choices == nullptr || !choices->is_array() || choices->as_array().empty()) {
    return no_answer("the teacher's answer has no choices");
  }
  const json::Value& choice = choices->as_array().front();
  const json::Value* message = choice.find("message");
  if (message == nullptr || !message->is_object()) {
    return no_answer("the teacher's answer has no message");
  }
  Reply reply;
  reply.kind = ReplyKind::answer;
  Answer& answer = reply.answer;
  answer.finish_reason = text_or_empty(choice, "finish_reason");
  if (answer.finish_reason.empty()) return no_answer("the teacher's answer has no finish_reason");
  answer.text = text_or_empty(*message, "content");
  answer.refused = !text_or_empty(*message, "refusal").empty();
  answer.model = text_or_empty(body, "model");
  answer.id = text_or_empty(body, "id");
  if (answer.id.empty()) answer.id = exchange.header("x-request-id");
  read_usage(body, answer);
  auto logprobs = read_logprobs(choice);
  if (logprobs) answer.logprobs = std::move(*logprobs);
  if (!logprobs) answer.logprobs_fault = logprobs.error().message;
  answer.content_usage = exchange.header("content-usage");
  const std::string link = exchange.header("link");
  if (base::lower(link).find("license") != std::string::npos) answer.licence_link = link;
  return reply;
}

}  // namespace

std::string Exchange::header(std::string_view lower_name) const {
  for (const auto& [name, value] : headers) {
    if (std::equal(name.begin(), name.end(), lower_name.begin(), lower_name.end(),
                   [](char a, char b) { return base::lower(a) == b; })) {
      return value;
    }
  }
  return "";
}

namespace {

// What is there instead of an answer. `body`: as it was parsed.
std::optional<Reply> refused(const Exchange& exchange, const Result<json::Value>& body,
                             int64_t wall_now_ms) {
  const auto error = body && body->is_object() ? api_error(*body) : std::nullopt;
  if (exchange.status != 200) return judge_refusal(exchange, error, wall_now_ms);
  if (error) {
    if (is_final_refusal(error)) {
      return make(ReplyKind::stop, "the teacher refuses this account" + said(error));
    }
    if (contains_any(error->code, {"rate_limit", "overloaded"})) {
      return make(ReplyKind::throttled, "the teacher is busy" + said(error));
    }
    return no_answer("the teacher answered with an error" + said(error));
  }
  if (!body) return no_answer("the teacher's answer is not JSON: " + body.error().message);
  if (!body->is_object()) return no_answer("the teacher's answer is not a JSON object");
  return std::nullopt;
}

std::optional<Reply> unanswered(const Exchange& exchange) {
  if (exchange.end == Exchange::End::not_sent) {
    return make(ReplyKind::unreachable, exchange.failure);
  }
  if (exchange.end == Exchange::End::uncertain) return no_answer(exchange.failure);
  return std::nullopt;
}

Reply judged(const Exchange& exchange, int64_t wall_now_ms) {
  if (auto nothing = unanswered(exchange)) return std::move(*nothing);
  const auto body = json::parse(exchange.body);
  if (auto no = refused(exchange, body, wall_now_ms)) return std::move(*no);
  return judge_answer(exchange, *body);
}

}  // namespace

Reply judge(const Exchange& exchange, int64_t wall_now_ms) {
  Reply reply = judged(exchange, wall_now_ms);
  const std::string subject = exchange.header("retort-policy-case");
  if (!subject.empty()) {
    reply.policy_case = fmt::format("case {}, step {}", quoted(subject),
                                    quoted(exchange.header("retort-policy-step")));
  }
  return reply;
}

std::optional<Reply> judge_refused(const Exchange& exchange, int64_t wall_now_ms) {
  if (auto nothing = unanswered(exchange)) return nothing;
  return refused(exchange, json::parse(exchange.body), wall_now_ms);
}

}  // namespace retort::collect
