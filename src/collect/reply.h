// What one request to a teacher ended in, and what follows from it. Pure: the bytes come in, a
// judgement comes out.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "collect/rate_headers.h"
#include "corpus/logprobs.h"

namespace retort::collect {

// One HTTP exchange as far as it got.
struct Exchange {
  enum class End {
    answered,   // status, headers and the whole body are here
    not_sent,   // the request never left: no connection, no name, no TLS
    uncertain,  // it left, and the answer did not come whole: timeout, cut, too long
  };
  End end = End::uncertain;
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in any case
  std::string body;
  std::string failure;  // for people, when end is not `answered`

  std::string header(std::string_view lower_name) const;
};

struct Answer {
  std::string text;
  std::string model;          // as the teacher names itself
  std::string id;             // its id for the answer, or the request-id header
  std::string finish_reason;  // "stop", "length", "content_filter", ...
  bool refused = false;       // the API's own refusal field was set
  bool usage_known = false;   // else the counts below are 0
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;
  std::string content_usage;  // headers that state the terms of use, empty when absent
  std::string licence_link;
  std::vector<corpus::TokenLogprobs> logprobs;  // of the answer's tokens; empty: none came, or
  std::string logprobs_fault;                   // what is wrong with those that came
};

enum class ReplyKind {
  answer,
  throttled,    // too many requests or overloaded: the whole lane slows down
  broken,       // the server failed or the answer is no answer: this job may be asked again
  unreachable,  // nothing was sent
  rejected,     // this request is wrong and will stay wrong
  stop,         // no request will do better: key, account, address
};

struct Reply {
  ReplyKind kind = ReplyKind::broken;
  Answer answer;
  std::string why;            // a sentence for people, without the key and without the prompt
  bool maybe_billed = false;  // charged at the reserved most
  std::optional<int64_t> retry_after_ms;
  // A case that the provider has against this account, in words: "case case_1, step warn".
  std::string policy_case{};
};

Reply judge(const Exchange& exchange, int64_t wall_now_ms);

// The same of a request for scores: what they are is read by score.h. Nothing where the exchange
// brought an answer.
std::optional<Reply> judge_refused(const Exchange& exchange, int64_t wall_now_ms);

}  // namespace retort::collect
