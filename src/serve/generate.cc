// The routes that make the model work.
#include "openai/request.h"
#include "openai/sglang.h"
#include "serve/answer_internal.h"
#include "serve/relayed_internal.h"
#include "serve/seen_internal.h"

namespace retort::serve {

void answer_chat(Call call) {
  if (answer_relayed(call, relay::Kind::chat)) return;
  const auto request =
      openai::parse_chat_request(call.request.body, call.door.options.max_logprobs);
  if (!request) return reply_error(call, request.error());
  const auto model = call.door.models.find(request->generation.model);
  if (!model) return reply_error(call, model.error());
  auto plan = plan_chat(*request, *(*model)->backend, call.door.options);
  if (!plan) return reply_error(call, plan.error());
  if (call.door.provider) plan->seen = seen_of(*request);
  call.request.body.clear();
  Answer::start(std::move(call), **model, std::move(*plan));
}

void answer_completion(Call call) {
  if (answer_relayed(call, relay::Kind::completion)) return;
  const auto request =
      openai::parse_completion_request(call.request.body, call.door.options.max_logprobs);
  if (!request) return reply_error(call, request.error());
  const auto model = call.door.models.find(request->generation.model);
  if (!model) return reply_error(call, model.error());
  auto plan = plan_completion(*request, *(*model)->backend, call.door.options);
  if (!plan) return reply_error(call, plan.error());
  if (call.door.provider) plan->seen = seen_of(*request, *(*model)->backend);
  call.request.body.clear();
  Answer::start(std::move(call), **model, std::move(*plan));
}

void answer_generate(Call call) {
  const auto request =
      openai::parse_generate_request(call.request.body, call.door.options.max_logprobs);
  if (!request) return reply_error(call, request.error());
  const auto model = call.door.models.find_or_only(std::nullopt);
  if (!model) return reply_error(call, model.error());
  auto plan = plan_generate(*request, *(*model)->backend, call.door.options);
  if (!plan) return reply_error(call, plan.error());
  if (call.door.provider) plan->seen = seen_of(*request, *(*model)->backend);
  call.request.body.clear();
  Answer::start(std::move(call), **model, std::move(*plan));
}

}  // namespace retort::serve
