// The answers of SGLang's /generate: whole, or a stream of which each event says all that was said
// so far, as its client wants it.
#include <limits>

#include "openai/sglang.h"
#include "openai/sse.h"
#include "serve/answer_internal.h"

namespace retort::serve {
namespace {

class GenerateWriter : public Writer {
 public:
  GenerateWriter(const Call& call, AnswerHead head, const Plan& plan)
      : call_(without_body(call)),
        head_(std::move(head)),
        asked_(*plan.generate),
        streams_(plan.stream),
        choices_(plan.choices.size()) {
    for (const ChoicePlan& choice : plan.choices) {
      prompt_tokens_.push_back(std::ssize(choice.request.prompt));
    }
  }

  void piece(Piece piece) override {
    const auto at = static_cast<size_t>(piece.index);
    const bool says_nothing = piece.says_nothing();
    choices_[at].append(std::move(piece));
    if (!streams_ || says_nothing) return;
    begin();
    openai::GenerateAnswer answer = answer_of(at);
    if (asked_.many) answer.index = static_cast<int64_t>(at);
    call_.responder->write(openai::sse_event(openai::print_generate_answer(answer)));
  }

  void end(const openai::Usage& /*of_all*/) override {
    if (streams_) {
      begin();
      call_.responder->write(openai::kSseDone);
      return call_.responder->finish();
    }
    std::vector<openai::GenerateAnswer> answers;
    for (size_t i = 0; i < choices_.size(); ++i) answers.push_back(answer_of(i));
    reply_json(call_, asked_.many ? openai::print_generate_answers(answers)
                                  : openai::print_generate_answer(answers[0]));
  }

  void fail(const openai::ApiError& error) override {
    if (!begun_) return reply_error(call_, error);
    call_.responder->write(openai::sse_event(openai::print_error(error)));
    call_.responder->cut();
  }

 private:
  void begin() {
    if (begun_) return;
    begun_ = true;
    begin_events(call_);
  }

  openai::GenerateAnswer answer_of(size_t at) const {
    const Piece& choice = choices_[at];
    openai::GenerateAnswer answer;
    answer.id = head_.id;
    answer.text = choice.text;
    answer.output_ids = choice.ids;
    answer.finish_reason = choice.finish_reason;
    answer.stop_token = choice.stop_token;
    answer.stop_string = choice.stop_string;
    answer.usage = {prompt_tokens_[at], std::ssize(choice.ids), choice.usage.cached_tokens};
    answer.logprobs = head_.logprobs;
    answer.top_logprobs = asked_.top_logprobs;
    answer.text_in_logprobs = asked_.text_in_logprobs;
    // The tokens of a scored prompt stand before those of the answer.
    const auto scored = asked_.logprob_start < 0 ? 0 : prompt_tokens_[at];
    const auto output = choice.tokens.begin() + scored;
    if (scored > 0)
      answer.input_tokens.assign(choice.tokens.begin() + asked_.logprob_start, output);
    // The first of them has no context among those that were asked for.
    if (!answer.input_tokens.empty()) {
      answer.input_tokens[0].logprob = std::numeric_limits<double>::quiet_NaN();
    }
    answer.output_tokens.assign(output, choice.tokens.end());
    return answer;
  }

  Call call_;
  AnswerHead head_;
  GeneratePlan asked_;
  bool streams_;
  bool begun_ = false;
  std::vector<Piece> choices_;
  std::vector<int64_t> prompt_tokens_;  // of each
};

}  // namespace

std::unique_ptr<Writer> generate_writer(const Call& call, AnswerHead head, const Plan& plan) {
  return std::make_unique<GenerateWriter>(call, std::move(head), plan);
}

}  // namespace retort::serve
