#include "evaluate/answers.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/cancel.h"
#include "base/progress.h"
#include "base/random.h"

namespace retort::evaluate {
Result<std::vector<Answer>> student_answers(const model::Weights& weights,
                                            std::shared_ptr<const tokenizer::Tokenizer> tokenizer,
                                            const std::vector<dialog::Messages>& prompts,
                                            const AnswerOptions& options) {
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(*tokenizer));
  RETORT_TRY(const auto engine, engine::Engine::from_weights(weights, tokenizer, options.engine));
  std::vector<Answer> answers(prompts.size());
  std::vector<engine::Request> requests;
  std::vector<size_t> asked;
  for (size_t i = 0; i < prompts.size(); ++i) {
    engine::Request request;
    RETORT_TRY(auto prompt, format.render(*tokenizer, prompts[i], /*open_assistant=*/true));
    request.prompt = std::move(prompt.ids);
    const int64_t room = engine->context_length() - static_cast<int64_t>(request.prompt.size());
    answers[i].skipped = room < 1;
    if (answers[i].skipped) continue;
    request.max_tokens = std::min(options.max_tokens, room);
    request.sampling = options.sampling;
    request.sampling.seed = base::mix64(options.sampling.seed ^ base::mix64(i));
    request.stop_tokens = {format.stop_token()};
    requests.push_back(std::move(request));
    asked.push_back(i);
  }
  base::Progress progress("evaluate", static_cast<int64_t>(asked.size()), "answers");
  const auto on_wait = [&](int64_t done) -> Result<void> {
    if (base::cancelled()) return base::cancelled_error("evaluate");
    progress.update(done);
    return {};
  };
  RETORT_TRY(auto given, engine->generate_all(std::move(requests), on_wait));
  for (size_t i = 0; i < asked.size(); ++i) {
    answers[asked[i]].text = std::move(given[i].text);
    answers[asked[i]].ended = given[i].finish_reason == "stop";
  }
  progress.finish(fmt::format("{} answers of the student", asked.size()));
  return answers;
}

}  // namespace retort::evaluate
