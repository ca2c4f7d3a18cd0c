#include "serve/answer_internal.h"

#include <fmt/core.h>

#include "base/clock.h"

namespace retort::serve {
namespace {

AnswerHead head_of(const ServedModel& model, const Plan& plan) {
  AnswerHead head;
  head.id = new_id(plan.chat ? "chatcmpl-" : "cmpl-");
  head.model = model.id;
  head.created = base::system_clock().wall_ms() / 1000;
  head.chat = plan.chat;
  head.logprobs = plan.logprobs;
  head.usage_follows = plan.stream && plan.include_usage;
  return head;
}

// Reserved before the work is given to the engine, so that parallel requests cannot pass the limit.
bool reserve(const Options& options, ServedModel& model, int64_t answers) {
  const int64_t limit = options.max_batch + options.max_waiting;
  if (model.in_flight.fetch_add(answers) + answers <= limit) return true;
  model.in_flight.fetch_sub(answers);
  return false;
}

// At most, and a prompt once however many answers it gets.
provider::Wish wish_of(const ServedModel& model, const Plan& plan) {
  provider::Wish wish{.model = model.id};
  for (size_t i = 0; i < plan.choices.size(); ++i) {
    const auto& request = plan.choices[i].request;
    wish.output_tokens += request.max_tokens;
    if (static_cast<int64_t>(i) % plan.answers_per_prompt == 0) {
      wish.input_tokens += std::ssize(request.prompt);
    }
  }
  return wish;
}

constexpr const char* kRefused = "refused";  // beside the engine's own reasons

engine::Event refused(const Error& error) {
  engine::Event event;
  event.done = true;
  event.finish_reason = error.code == ErrorCode::bad_input ? kRefused : "error";
  event.error = error.text();
  return event;
}

openai::ApiError error_of(const Door& door, const engine::Event& event) {
  if (event.finish_reason == "cancelled" || door.stopping) {
    return openai::make_error(503, "the server is stopping; ask again later", "",
                              "server_stopping");
  }
  if (event.finish_reason == kRefused) return openai::make_error(400, event.error);
  return openai::make_error(500, "the model failed on this request: " + event.error);
}

}  // namespace

Answer::Answer(Call call, ServedModel& model, const Plan& plan,
               std::optional<provider::Ticket> ticket)
    : call_(std::move(call)),
      model_(model),
      answers_per_prompt_(plan.answers_per_prompt),
      open_choices_(plan.choices.size()),
      ticket_(std::move(ticket)) {
  const auto& tokenizer = model.backend->tokenizer();
  for (const ChoicePlan& choice : plan.choices) {
    choices_.emplace_back(std::ssize(choices_), plan, choice, tokenizer);
  }
  const AnswerHead head = head_of(model, plan);
  if (plan.generate) {
    writer_ = generate_writer(call_, head, plan);
  } else {
    writer_ = plan.stream ? stream_writer(call_, head) : whole_writer(call_, head, plan);
  }
}

void Answer::start(Call call, ServedModel& model, Plan plan) {
  if (!reserve(call.door.options, model, std::ssize(plan.choices))) {
    reply_error(call, openai::make_error(429,
                                         "too many requests wait already; ask again in a "
                                         "moment",
                                         "", "queue_full"));
    return;
  }
  std::optional<provider::Ticket> ticket;
  if (call.door.provider) {
    auto wish = wish_of(model, plan);
    wish.seen = std::move(plan.seen);
    wish.seen.request = call.id;
    auto outcome = call.door.provider->admit(*call.visitor, std::move(wish));
    if (const auto* refused = std::get_if<provider::Refused>(&outcome)) {
      model.in_flight.fetch_sub(std::ssize(plan.choices));
      return reply_refused(call, *refused);
    }
    ticket = std::move(std::get<provider::Ticket>(outcome));
    call.headers = ticket->headers();
    call.told = true;
  }
  const auto responder = call.responder;
  const auto answer = std::make_shared<Answer>(std::move(call), model, plan, std::move(ticket));
  responder->on_gone([weak = std::weak_ptr<Answer>(answer)] {
    const auto alive = weak.lock();
    if (!alive) return;
    alive->call_.door.metrics.add_gone();
    alive->cancel();
  });
  answer->submit(std::move(plan));
}

void Answer::submit(Plan plan) {
  Door& door = call_.door;
  const uint64_t tenant =
      call_.visitor ? std::hash<std::string>()(call_.visitor->principal->account.id) | 1U : 0;
  for (size_t i = 0; i < plan.choices.size(); ++i) {
    engine::Request& request = plan.choices[i].request;
    request.tenant = tenant;
    request.on_event = [&door, answer = shared_from_this(), i](const engine::Event& event) {
      if (event.done) answer->model_.in_flight.fetch_sub(1);
      door.formatter.push({answer, i, event, base::monotonic_seconds()});
    };
    const auto id = model_.backend->submit(std::move(request));
    if (!id) {
      // The plan was checked, so this is rare: an answer that no cache of this size can hold.
      model_.in_flight.fetch_sub(1);
      door.formatter.push({shared_from_this(), i, refused(id.error()), base::monotonic_seconds()});
      continue;
    }
    bool late = false;
    {
      const std::lock_guard lock(mutex_);
      running_.push_back(*id);
      late = cancelled_;
    }
    if (late) model_.backend->cancel(*id);
  }
}

void Answer::cancel() {
  std::vector<engine::RequestId> running;
  {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    running.swap(running_);
  }
  for (const engine::RequestId id : running) model_.backend->cancel(id);
}

bool Answer::is_cancelled() {
  const std::lock_guard lock(mutex_);
  return cancelled_;
}

// What was produced until then counts as used.
void Answer::fail(const openai::ApiError& error) {
  over_ = true;
  if (ticket_) ticket_->fail(outcome_of(error));
  ticket_.reset();
  writer_->fail(error);
  cancel();
}

// A prompt counts once however many answers it gets.
void Answer::count(size_t choice, const engine::Event& event) {
  usage_.completion_tokens += event.generated_tokens;
  if (static_cast<int64_t>(choice) % answers_per_prompt_ != 0) return;
  usage_.prompt_tokens += event.prompt_tokens;
  usage_.cached_tokens += event.cached_tokens;
}

void Answer::take(size_t choice, const engine::Event& event, double at_seconds) {
  if (over_ || is_cancelled()) return;
  if (event.done && (!event.error.empty() || event.finish_reason == "error" ||
                     event.finish_reason == "cancelled")) {
    fail(error_of(call_.door, event));
    return;
  }
  produced_ += std::ssize(event.tokens);
  if (ticket_ && !ticket_->note(produced_)) return fail(ticket_->cut_error());
  if (!first_seen_ && !event.tokens.empty()) {
    first_seen_ = true;
    model_.latencies.add_first_token(at_seconds - call_.arrived_seconds);
    call_.door.traffic.add_first_token(at_seconds - call_.arrived_seconds);
  }
  Piece piece = choices_[choice].take(event);
  if (ticket_ && choice == 0) first_answer_ += piece.text;
  writer_->piece(std::move(piece));
  if (!event.done) return;
  count(choice, event);
  if (--open_choices_ > 0) return;
  over_ = true;
  if (ticket_) {
    ticket_->finish(usage_.prompt_tokens, usage_.completion_tokens, std::move(first_answer_));
  }
  ticket_.reset();
  writer_->end(usage_);
  const double took_seconds = at_seconds - call_.arrived_seconds;
  model_.latencies.add_answer(took_seconds);
  call_.door.traffic.add_answer(took_seconds, usage_.prompt_tokens, usage_.completion_tokens);
}

}  // namespace retort::serve
