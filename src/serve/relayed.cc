#include "serve/relayed_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "openai/sse.h"
#include "relay/fault.h"
#include "relay/meter.h"
#include "serve/answer_internal.h"

namespace retort::serve {
namespace {

detect::Speaker speaker_of(const std::string& role) {
  if (role == "system" || role == "developer") return detect::Speaker::system;
  if (role == "assistant") return detect::Speaker::assistant;
  if (role == "tool" || role == "function") return detect::Speaker::tool;
  return detect::Speaker::user;
}

provider::Wish wish_of(const Call& call, const ServedModel& model, relay::Asked& asked) {
  provider::Wish wish{.model = model.id,
                      .input_tokens = asked.input_tokens_most,
                      .output_tokens = asked.output_tokens_most};
  wish.seen.request = call.id;
  for (auto& [role, text] : asked.turns) {
    wish.seen.turns.emplace_back(speaker_of(role), std::move(text));
  }
  wish.seen.sampling = {.answers = static_cast<int>(asked.answers),
                        .logprobs = asked.logprobs,
                        .temperature = asked.temperature,
                        .max_tokens = asked.max_tokens,
                        .tools = asked.tools};
  asked.turns.clear();
  return wish;
}

bool is_stream(const http::Response& head) {
  const std::string* type = head.find("content-type");
  return type != nullptr && type->starts_with("text/event-stream");
}

// Once it is read it is not held while the upstream works.
Call without_request(Call call) {
  call.request = {};
  return call;
}

// Threads: the callbacks of the upstream's client alone, but for leave().
class Relayed : public std::enable_shared_from_this<Relayed> {
 public:
  Relayed(Call call, ServedModel& model, const relay::Asked& asked,
          std::optional<provider::Ticket> ticket)
      : call_(without_request(std::move(call))),
        model_(model),
        meter_(asked),
        stream_asked_(asked.stream),
        ticket_(std::move(ticket)) {}
  ~Relayed() { model_.in_flight.fetch_sub(1); }

  void start(relay::Kind kind, relay::Asked asked) {
    call_.responder->on_gone([weak = weak_from_this()] {
      if (const auto alive = weak.lock()) alive->leave();
    });
    // Until on_done, which comes once whatever happens, it holds itself.
    self_ = shared_from_this();
    http::Handlers handlers;
    handlers.on_head = [this](const http::Response& head) { take_head(head); };
    handlers.on_chunk = [this](std::string_view bytes) { take(bytes); };
    handlers.on_done = [this](const http::Outcome& outcome) { end(outcome); };
    // The lock keeps somebody who leaves at once from finding no exchange to cancel.
    const std::lock_guard lock(mutex_);
    exchange_ = model_.upstream->ask(kind, std::move(asked), std::move(handlers));
    if (gone_) model_.upstream->cancel(exchange_);
  }

 private:
  void leave() {
    call_.door.metrics.add_gone();
    cancel();
  }

  void cancel() {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    if (exchange_ != 0) model_.upstream->cancel(exchange_);
  }

  bool is_gone() {
    const std::lock_guard lock(mutex_);
    return gone_;
  }

  void take_head(const http::Response& head) {
    good_ = head.status == 200;
    streams_ = good_ && stream_asked_ && is_stream(head);
  }

  void take(std::string_view bytes) {
    if (over_) return;
    if (!streams_) return take_whole(bytes);
    auto passed = meter_.stream(bytes);
    if (!note()) return fail(ticket_->cut_error());
    if (!passed) {
      base::log_warning("request {}: {}", call_.id, passed.error().message);
      return fail(relay::broken_answer());
    }
    if (passed->empty()) return;
    if (!begun_) {
      model_.latencies.add_first_token(seconds());
      call_.door.traffic.add_first_token(seconds());
      begin_events(call_);
    }
    begun_ = true;
    // A reader so slow that the server stops keeping bytes for it is as one who left.
    if (!call_.responder->write(*passed)) cancel();
    if (meter_.whole()) finish();
  }

  // Of an answer that is no success its beginning is enough.
  void take_whole(std::string_view bytes) {
    constexpr size_t kErrorBytes = 64 << 10;
    if (!good_) bytes = bytes.substr(0, kErrorBytes - std::min(body_.size(), kErrorBytes));
    body_ += bytes;
  }

  // False: the account was suspended meanwhile.
  bool note() {
    if (!ticket_) return true;
    const auto usage = meter_.usage();
    // What an upstream refused it did not read; the request itself counts.
    ticket_->read(refused_ ? 0 : usage.input_tokens);
    return ticket_->note(usage.output_tokens);
  }

  void end(const http::Outcome& outcome) {
    const auto self = std::move(self_);
    refused_ = !good_ && !outcome.ok() ? !outcome.sent : !good_;
    if (!over_ && !is_gone()) conclude(outcome);
    over_ = true;
    if (ticket_) note();
    ticket_.reset();
  }

  void conclude(const http::Outcome& outcome) {
    if (!outcome.ok()) {
      auto fault = relay::fault_of(outcome);
      if (outcome.failure != http::Failure::cancelled) tell(fault, outcome.error.message);
      return fail(fault.error, fault.headers);
    }
    if (!good_) {
      auto fault = relay::fault_of(outcome.response, body_);
      tell(fault, "it answered with status " + std::to_string(outcome.response.status));
      return fail(fault.error, fault.headers);
    }
    if (streams_) return fail(relay::broken_answer());  // it ended before its end
    if (const auto read = meter_.body(body_); !read) {
      base::log_warning("request {}: {}", call_.id, read.error().message);
      return fail(relay::broken_answer());
    }
    if (!note()) return fail(ticket_->cut_error());
    finish();
  }

  // Of the provider's own trouble with its upstream it learns here; no word of the request is in
  // it.
  void tell(const relay::Fault& fault, const std::string& what) const {
    if (fault.own) base::log_error("the upstream of {}: {}", model_.id, what);
  }

  void finish() {
    over_ = true;
    const auto usage = meter_.usage();
    if (ticket_) ticket_->finish(usage.input_tokens, usage.output_tokens, meter_.answer());
    ticket_.reset();
    model_.latencies.add_answer(seconds());
    call_.door.traffic.add_answer(seconds(), usage.input_tokens, usage.output_tokens);
    if (streams_) return call_.responder->finish();
    reply_json(call_, std::move(body_));
  }

  // What was passed on until then counts as used.
  void fail(const openai::ApiError& error, const http::Headers& headers = {}) {
    over_ = true;
    if (ticket_) ticket_->fail(outcome_of(error));
    if (begun_) {
      call_.responder->write(openai::sse_event(openai::print_error(error)));
      call_.responder->cut();
    } else {
      Call call = call_;
      for (const auto& header : headers) call.headers.push_back(header);
      reply_error(call, error);
    }
    cancel();
  }

  double seconds() const { return base::monotonic_seconds() - call_.arrived_seconds; }

  Call call_;
  ServedModel& model_;
  relay::Meter meter_;
  const bool stream_asked_;
  std::optional<provider::Ticket> ticket_;
  bool good_ = false, streams_ = false, begun_ = false, over_ = false;
  bool refused_ = false;  // by the upstream, or never sent
  std::string body_;
  std::shared_ptr<Relayed> self_;

  std::mutex mutex_;  // of what follows
  http::ExchangeId exchange_ = 0;
  bool gone_ = false;
};

}  // namespace

namespace {

void relay_to(ServedModel& model, Call call, relay::Kind kind, json::Value request) {
  auto asked = relay::read_request(kind, std::move(request), model.upstream->model(),
                                   model.upstream->bounds());
  if (!asked) return reply_error(call, asked.error());
  call.request.body.clear();
  const auto& options = call.door.options;
  if (model.in_flight.fetch_add(1) >= options.max_batch + options.max_waiting) {
    model.in_flight.fetch_sub(1);
    return reply_error(call, openai::make_error(429,
                                                "too many requests wait already; ask again in a "
                                                "moment",
                                                "", "queue_full"));
  }
  std::optional<provider::Ticket> ticket;
  if (call.door.provider) {
    auto outcome = call.door.provider->admit(*call.visitor, wish_of(call, model, *asked));
    if (const auto* refused = std::get_if<provider::Refused>(&outcome)) {
      model.in_flight.fetch_sub(1);
      return reply_refused(call, *refused);
    }
    ticket = std::move(std::get<provider::Ticket>(outcome));
    call.headers = ticket->take_headers();
    call.told = true;
  }
  std::make_shared<Relayed>(std::move(call), model, *asked, std::move(ticket))
      ->start(kind, std::move(*asked));
}

}  // namespace

// What is no JSON and what names no upstream's model is for the routes of the engine to judge.
bool answer_relayed(Call& call, relay::Kind kind) {
  if (!call.door.models.has_upstream()) return false;
  auto request = relay::parse_request(call.request.body);
  const std::string* name = request ? relay::model_of(*request) : nullptr;
  ServedModel* model = name != nullptr ? call.door.models.relayed(*name) : nullptr;
  if (model == nullptr) return false;
  relay_to(*model, std::move(call), kind, std::move(*request));
  return true;
}

}  // namespace retort::serve
