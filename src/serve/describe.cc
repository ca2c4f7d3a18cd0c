// The routes that answer at once: what is served, its tokens, its state.
#include <algorithm>
#include <initializer_list>

#include "json/value.h"
#include "openai/answer.h"
#include "openai/request.h"
#include "serve/door_internal.h"
#include "serve/plan_internal.h"

namespace retort::serve {
namespace {

using openai::ApiError;
using openai::make_error;

// A member that nobody reads would be an option ignored.
std::optional<ApiError> check_members(const json::Value& object,
                                      std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.as_object()) {
    if (value.is_null() || std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string name = key.size() > 64 ? "a member with a long name" : key;
    return make_error(400, name + " is not supported here", name, "unsupported_parameter");
  }
  return std::nullopt;
}

// The ids of a /tokenize request: {"prompt": text} or {"messages": [...]}, as vLLM has it.
openai::Parsed<std::vector<tokenizer::TokenId>> ids_of(const Call& call, const Backend& backend,
                                                       const json::Value& object) {
  if (object.find("messages") != nullptr) {
    const auto request =
        openai::parse_chat_request(call.request.body, call.door.options.max_logprobs);
    if (!request) return request.error();
    return rendered(*request, backend);
  }
  const json::Value* prompt = object.find("prompt");
  if (prompt == nullptr || !prompt->is_string()) {
    return make_error(400, "prompt must be a string, or give messages", "prompt");
  }
  if (auto error = check_members(object, {"model", "prompt", "add_special_tokens"})) return *error;
  const json::Value* adds = object.find("add_special_tokens");
  if (adds != nullptr && !adds->is_null() && !adds->is_bool()) {
    return make_error(400, "add_special_tokens must be true or false", "add_special_tokens");
  }
  std::vector<tokenizer::TokenId> ids = backend.tokenizer().encode(prompt->as_string());
  const auto& vocabulary = backend.tokenizer().vocabulary();
  const bool bare = adds != nullptr && adds->is_bool() && !adds->as_bool();
  if (!bare && vocabulary.add_bos && vocabulary.bos >= 0) ids.insert(ids.begin(), vocabulary.bos);
  return ids;
}

// The body of a request about one model's tokens, and the model.
struct Asked {
  json::Value object;
  const ServedModel* model = nullptr;
};

openai::Parsed<Asked> read(const Call& call) {
  auto parsed = json::parse(call.request.body);
  if (!parsed || !parsed->is_object()) return make_error(400, "the body must be a JSON object");
  const json::Value* name = parsed->find("model");
  const auto model = call.door.models.find_or_only(
      name != nullptr && name->is_string() ? std::optional(name->as_string()) : std::nullopt);
  if (!model) return model.error();
  return Asked{std::move(*parsed), *model};
}

openai::ModelCard card_of(const Door& door, const ServedModel& model) {
  return {.id = model.id, .created = door.created};
}

}  // namespace

void answer_models(Call call) {
  std::vector<openai::ModelCard> cards;
  for (const auto& model : call.door.models.all()) cards.push_back(card_of(call.door, *model));
  reply_json(call, openai::print_models(cards));
}

// SGLang's client asks this first, and takes its chat template by the name.
void answer_model_info(Call call) {
  const auto model = call.door.models.find_or_only(std::nullopt);
  if (!model) return reply_error(call, model.error());
  const std::string& id = (*model)->id;
  reply_json(call, json::dump(json::Value::object({{"model_path", id},
                                                   {"served_model_name", id},
                                                   {"tokenizer_path", id},
                                                   {"is_generation", true}})));
}

// Names of models may hold slashes, which clients leave as they are.
void answer_model(Call call) {
  std::string name;
  for (size_t i = 2; i < call.request.path.size(); ++i) {
    name += (i > 2 ? "/" : "") + call.request.path[i];
  }
  const auto model = call.door.models.find(name);
  if (!model) return reply_error(call, model.error());
  reply_json(call, openai::print_model(card_of(call.door, **model)));
}

void answer_tokenize(Call call) {
  const auto asked = read(call);
  if (!asked) return reply_error(call, asked.error());
  const Backend& backend = *asked->model->backend;
  const auto ids = ids_of(call, backend, asked->object);
  if (!ids) return reply_error(call, ids.error());
  json::Value tokens = json::Value::array();
  for (const auto id : *ids) tokens.push(int64_t{id});
  reply_json(call, json::dump(json::Value::object({{"count", std::ssize(*ids)},
                                                   {"max_model_len", backend.context_length()},
                                                   {"tokens", std::move(tokens)}})));
}

void answer_detokenize(Call call) {
  const auto asked = read(call);
  if (!asked) return reply_error(call, asked.error());
  if (const auto error = check_members(asked->object, {"model", "tokens"})) {
    return reply_error(call, *error);
  }
  const tokenizer::Tokenizer& tokenizer = asked->model->backend->tokenizer();
  const json::Value* tokens = asked->object.find("tokens");
  bool fits = tokens != nullptr && tokens->is_array();
  std::vector<tokenizer::TokenId> ids;
  for (size_t i = 0; fits && i < tokens->as_array().size(); ++i) {
    const json::Value& item = tokens->as_array()[i];
    fits = item.is_int() && item.as_int() >= 0 && item.as_int() < tokenizer.size();
    if (fits) ids.push_back(static_cast<tokenizer::TokenId>(item.as_int()));
  }
  if (!fits) {
    return reply_error(
        call, make_error(400, "tokens must be an array of the model's token ids", "tokens"));
  }
  reply_json(call, json::dump(json::Value::object({{"prompt", tokenizer.decode(ids)}})));
}

void answer_health(Call call) {
  if (call.door.stopping) {
    return reply_error(call, make_error(503, "the server is stopping"));
  }
  reply_json(call, "{\"status\":\"ok\"}");
}

void answer_metrics(Call call) {
  http::Reply reply = reply_head(call, 200, "text/plain; version=0.0.4; charset=utf-8");
  reply.body = print_metrics(call.door.metrics, call.door.models);
  call.responder->reply(std::move(reply));
}

}  // namespace retort::serve
