// What all routes share, and one request on its way through them.
#pragma once
#include <atomic>
#include <memory>
#include <string>

#include "http/server.h"
#include "openai/error.h"
#include "provider/provider.h"
#include "serve/formatter_internal.h"
#include "serve/models_internal.h"
#include "serve/options.h"
#include "serve/replays_internal.h"
#include "serve/traffic_internal.h"

namespace retort::serve {

struct Door {
  Door(const Options& its_options, int64_t created_s, std::vector<Model> its_models,
       std::unique_ptr<provider::Provider> its_provider)
      : options(its_options),
        created(created_s),
        provider(std::move(its_provider)),
        models(std::move(its_models)) {}

  const Options options;
  const int64_t created;  // Unix seconds
  // None: whoever holds the door's one key may ask what it likes. Outlives all answers.
  const std::unique_ptr<provider::Provider> provider;
  DoorMetrics metrics;
  Traffic traffic{base::system_clock()};
  const std::shared_ptr<Replays> replays = std::make_shared<Replays>();
  std::atomic<bool> stopping{false};
  // The engines' last events still go to the formatter, so it is there for longer.
  Formatter formatter;
  Models models;
};

struct Call {
  Door& door;
  http::ServerRequest request;
  std::shared_ptr<http::Responder> responder;
  std::string id;     // x-request-id
  std::string route;  // its name in the metrics
  double arrived_seconds = 0;
  std::shared_ptr<const provider::Visitor> visitor = {};  // where the door has a provider
  http::Headers headers = {};                             // of the answer, besides the usual
  bool told = false;  // the audit learns of it by a ticket, or has learnt of it
};

// "req_", "chatcmpl-" and the like with 24 random characters behind.
std::string new_id(const char* prefix);

// Status and headers of every answer: request id and terms among them.
http::Reply reply_head(const Call& call, int status, const std::string& content_type);
// The same for an answer that may never be sent: it counts in no figure.
http::Reply uncounted_head(const Call& call, int status, const std::string& content_type);
void reply_json(const Call& call, std::string body);
void reply_error(const Call& call, const openai::ApiError& error);
void reply_refused(const Call& call, const provider::Refused& refused);
// For the audit, where there is one and no ticket tells of the request.
void tell(const Call& call, const std::string& outcome);
// An error's code, or its status where it has none.
std::string outcome_of(const openai::ApiError& error);

// The handler of the HTTP server: finds the route, checks the key, never throws.
void route(Door& door, http::ServerRequest request, std::shared_ptr<http::Responder> responder);

// One a route; each answers on call.responder, now or later.
void answer_chat(Call call);
void answer_completion(Call call);
void answer_generate(Call call);
void answer_model_info(Call call);
void answer_models(Call call);
void answer_model(Call call);
void answer_tokenize(Call call);
void answer_detokenize(Call call);
void answer_cases(Call call);
void answer_case(Call call);
void answer_appeal(Call call);
void answer_policy(Call call);
void answer_health(Call call);
void answer_metrics(Call call);

}  // namespace retort::serve
