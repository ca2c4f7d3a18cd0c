// The door over real sockets, before a scripted model.
#include "serve/server.h"

#include <gtest/gtest.h>

#include "openai/answer.h"
#include "serve/server_testing_internal.h"

namespace retort::serve {
namespace {

using http::RawSocket;

bool soon(const std::function<bool()>& holds) {
  for (int i = 0; i < 300; ++i) {
    if (holds()) return true;
    http::pause_ms(10);
  }
  return false;
}

TEST(ServerTest, AnswersAChatWholeAndStreamedAlike) {
  const Started door = started();
  const Got whole = post(door, "/v1/chat/completions", chat_body());
  EXPECT_EQ(whole.status, 200) << whole.body;
  EXPECT_NE(whole.head.find("x-request-id: req_"), std::string::npos);
  const auto answer = openai::parse_chat_answer(whole.body);
  ASSERT_TRUE(answer.ok()) << whole.body;
  EXPECT_EQ(answer->choices[0].content, "One boat sailed home.");
  EXPECT_EQ(answer->choices[0].finish_reason, "stop");
  EXPECT_EQ(answer->model, "model");
  EXPECT_EQ(answer->usage->completion_tokens, 22) << "the stop token is one";
  const auto scored = openai::parse_chat_answer(
      post(door, "/v1/chat/completions", chat_body(R"("logprobs":true)")).body);
  ASSERT_EQ(scored->choices[0].logprobs->size(), 22u);
  EXPECT_EQ(scored->choices[0].logprobs->back().bytes, "<|im_end|>");

  const Got stream = post(door, "/v1/chat/completions",
                          chat_body(R"("stream":true,"stream_options":{"include_usage":true})"));
  EXPECT_NE(stream.head.find("text/event-stream"), std::string::npos);
  const auto events = events_of(stream.body);
  ASSERT_GT(events.size(), 3u);
  EXPECT_TRUE(events.back().done());
  std::string text;
  std::string reason;
  for (size_t i = 0; i + 2 < events.size(); ++i) {
    const auto piece = openai::parse_chat_piece(events[i].data);
    ASSERT_TRUE(piece.ok()) << events[i].data;
    EXPECT_EQ(piece->choices[0].opens, i == 0);
    text += piece->choices[0].content.value_or("");
    reason += piece->choices[0].finish_reason;
  }
  EXPECT_EQ(text, "One boat sailed home.");
  EXPECT_EQ(reason, "stop");
  const auto last = openai::parse_chat_piece(events[events.size() - 2].data);
  EXPECT_EQ(last->usage, answer->usage);
  EXPECT_TRUE(last->choices.empty());
}

TEST(ServerTest, SeveralPromptsAndAnswersKeepTheirPlaces) {
  const Started door = started();
  const Got got =
      post(door, "/v1/completions",
           R"({"model":"model","prompt":[[65],[66]],"n":2,"max_tokens":3,"echo":true})");
  const auto answer = openai::parse_completion(got.body);
  ASSERT_TRUE(answer.ok()) << got.body;
  ASSERT_EQ(answer->choices.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(answer->choices[i].index, static_cast<int64_t>(i));
    EXPECT_EQ(answer->choices[i].text, i < 2 ? "AOne" : "BOne");
    EXPECT_EQ(answer->choices[i].finish_reason, "length");
  }
  EXPECT_EQ(answer->usage->prompt_tokens, 2);  // once a prompt, not once an answer
  EXPECT_EQ(answer->usage->completion_tokens, 12);
}

TEST(ServerTest, ScoresAsLmEvalReads) {
  const Started door = started({.text = ""});  // the model would end the text at once
  const Got got = post(door, "/v1/completions",
                       R"({"prompt":[[65,66,67]],"model":"model","max_tokens":1,"temperature":0,)"
                       R"("logprobs":1,"seed":1234,"echo":true})");
  const auto answer = openai::parse_completion(got.body);
  ASSERT_TRUE(answer.ok()) << got.body;
  const auto& logprobs = *answer->choices[0].logprobs;
  // One entry a prompt token and one for the token that it drops.
  ASSERT_EQ(logprobs.token_logprobs.size(), 4u);
  EXPECT_EQ(logprobs.token_logprobs[0], std::nullopt);
  EXPECT_EQ(logprobs.top_logprobs[1][0].first, "A");
  EXPECT_EQ(logprobs.top_logprobs.size(), 4u);
  EXPECT_EQ(answer->choices[0].text, "ABC");
}

TEST(ServerTest, RefusalsAreOpenAisErrors) {
  const Started door = started();
  const auto code = [&](const Got& got) {
    EXPECT_NE(got.head.find("x-request-id: "), std::string::npos) << got.head;
    EXPECT_NE(got.head.find("application/json"), std::string::npos);
    EXPECT_FALSE(got.error("message").empty()) << got.body;
    return std::to_string(got.status) + "|" + got.error("type") + "|" + got.error("code") + "|" +
           got.error("param");
  };
  const auto chat = [&](const std::string& body) {
    return code(post(door, "/v1/chat/completions", body));
  };
  EXPECT_EQ(chat("{"), "400|invalid_request_error||");
  EXPECT_EQ(chat(chat_body(R"("tools":[{}])")),
            "400|invalid_request_error|unsupported_parameter|tools");
  EXPECT_EQ(chat(R"({"model":"other","messages":[{"role":"user","content":"x"}]})"),
            "404|invalid_request_error|model_not_found|model");
  EXPECT_EQ(chat(chat_body(R"("max_tokens":1000)")),
            "400|invalid_request_error|context_length_exceeded|messages");
  EXPECT_EQ(code(ask(door, request_text("GET /v1/none", ""))),
            "404|invalid_request_error|unknown_url|");
  EXPECT_EQ(code(ask(door, request_text("GET /v1/models/other", ""))),
            "404|invalid_request_error|model_not_found|model");
  const Got wrong = ask(door, request_text("GET /v1/chat/completions", ""));
  EXPECT_EQ(wrong.status, 405);
  EXPECT_NE(wrong.head.find("Allow: POST"), std::string::npos);
  // Refused before routing, in the same words.
  EXPECT_EQ(code(ask(door, "GET /v1/../x HTTP/1.1\r\nHost: localhost\r\n\r\n")).substr(0, 4),
            "400|");
  EXPECT_EQ(code(ask(door,
                     "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Length: 99999999\r\n\r\n"))
                .substr(0, 4),
            "413|");
  EXPECT_EQ(code(ask(door,
                     "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Type: text/plain\r\nContent-Length: 2\r\n"
                     "Connection: close\r\n\r\n{}"))
                .substr(0, 4),
            "415|");
  EXPECT_EQ(post(door, "/v1/completions", "{}", "Content-Encoding: gzip\r\n").status, 415);
}

TEST(ServerTest, KeyIsAskedEverywhereButAtHealth) {
  const Started door = started({}, {.api_key = "secret-key"});
  const auto with = [&](const std::string& headers) {
    return ask(door, request_text("GET /v1/models", "", headers));
  };
  EXPECT_EQ(with("Authorization: Bearer secret-key\r\n").status, 200);
  EXPECT_EQ(with("authorization: bearer secret-key\r\n").status, 200);
  for (const char* headers :
       {"", "Authorization: Bearer secret-kez\r\n", "Authorization: Bearer secret-key2\r\n",
        "Authorization: Bearer\r\n", "Authorization: secret-key\r\n",
        "Authorization: Bearer secret-key\r\nAuthorization: Bearer secret-key\r\n"}) {
    const Got got = with(headers);
    EXPECT_EQ(got.status, 401) << headers;
    EXPECT_EQ(got.error("code"), "invalid_api_key");
    EXPECT_EQ(got.body.find("secret"), std::string::npos);
  }
  for (const char* line : {"GET /metrics", "GET /none", "POST /tokenize"}) {
    EXPECT_EQ(ask(door, request_text(line, "{}")).status, 401) << line;
  }
  EXPECT_EQ(ask(door, request_text("GET /health", "")).status, 200);
}

TEST(ServerTest, ClientThatLeavesStopsTheWork) {
  for (const char* more : {R"("stream":true)", R"("stream":false)", R"("n":4,"stream":true)"}) {
    const Started door = started({.text = std::string(200, 'x'), .step_ms = 5});
    {
      RawSocket socket = RawSocket::connect(door.server->port());
      socket.write(request_text("POST /v1/chat/completions", chat_body(more)));
      EXPECT_TRUE(soon([&] { return door.backend->generated > 4; }));
      socket.reset();
    }
    EXPECT_TRUE(soon([&] { return door.backend->live == 0; }));
    EXPECT_LT(door.backend->generated, 150) << more;
    const Got metrics = ask(door, request_text("GET /metrics", ""));
    EXPECT_NE(metrics.body.find("retort_clients_gone_total 1\n"), std::string::npos);
    EXPECT_NE(metrics.body.find("retort_answers_in_flight 0\n"), std::string::npos);
  }
}

TEST(ServerTest, EachRequestCountsOnceInTheFigures) {
  const Started door = started();
  EXPECT_EQ(post(door, "/v1/chat/completions", chat_body()).status, 200);
  EXPECT_EQ(post(door, "/v1/chat/completions", "{}").status, 400);
  EXPECT_EQ(ask(door, "GET /a//b HTTP/1.1\r\nHost: localhost\r\n\r\n").status, 400);
  const json::Value traffic = door.server->traffic();
  const auto sum = [&traffic](const char* key) {
    int64_t total = 0;
    for (const auto& one : traffic.find(key)->as_array()) total += one.as_int();
    return total;
  };
  EXPECT_EQ(sum("requests"), 3);
  EXPECT_EQ(sum("refused"), 2);
  EXPECT_EQ(sum("failed"), 0) << "the answer kept for a request that nobody answers is none";
  EXPECT_EQ(sum("answers"), 1);
  EXPECT_GT(sum("output_tokens"), 0);
  EXPECT_EQ(traffic.find("models")->as_array().size(), 1U);
  const Got metrics = ask(door, request_text("GET /metrics", ""));
  EXPECT_EQ(metrics.body.find("status=\"500\""), std::string::npos) << metrics.body;
}

TEST(ServerTest, QueueIsBounded) {
  const Started door =
      started({.text = std::string(200, 'x'), .step_ms = 5}, {.max_batch = 1, .max_waiting = 1});
  RawSocket first = RawSocket::connect(door.server->port());
  first.write(request_text("POST /v1/chat/completions", chat_body(R"("n":2)")));
  ASSERT_TRUE(soon([&] { return door.backend->live == 2; }));
  const Got second = post(door, "/v1/chat/completions", chat_body());
  EXPECT_EQ(second.status, 429);
  EXPECT_NE(second.head.find("Retry-After: 1"), std::string::npos);
  EXPECT_EQ(second.error("type"), "rate_limit_error");
  first.close();
  ASSERT_TRUE(soon([&] { return door.backend->live == 0; }));
  EXPECT_EQ(post(door, "/v1/chat/completions", chat_body(R"("max_tokens":2)")).status, 200);
}

TEST(ServerTest, FailureOfTheModelIsItsOwnStatus) {
  const Started door = started({.error = "it broke"});
  for (const char* more : {R"("stream":true)", R"("stream":false)"}) {
    const Got got = post(door, "/v1/chat/completions", chat_body(more));
    EXPECT_EQ(got.status, 500) << got.body;
    EXPECT_EQ(got.error("type"), "server_error");
  }
}

TEST(ServerTest, AlternativesAreAsManyAsTheOptionSays) {
  const std::string body =
      R"({"model":"model","prompt":[65,66],"max_tokens":1,"prompt_logprobs":100})";
  const Got refused = post(started(), "/v1/completions", body);
  EXPECT_EQ(refused.status, 400);
  EXPECT_EQ(refused.error("param"), "prompt_logprobs");
  const Started wide = started({}, {.max_logprobs = 128});
  EXPECT_EQ(post(wide, "/v1/completions", body).status, 200);
  EXPECT_EQ(
      post(wide, "/v1/chat/completions", chat_body(R"("logprobs":true,"top_logprobs":128)")).status,
      200);
  EXPECT_FALSE(check({.max_logprobs = 1025}).ok());
}

TEST(ServerTest, WhatTheEngineRefusesIsTheRequestsFault) {
  const Started door = started({.cache_tokens = 100});
  for (const char* more : {R"("stream":true)", R"("n":3)"}) {
    const Got got = post(door, "/v1/chat/completions", chat_body(more));
    EXPECT_EQ(got.status, 400) << got.body;
    EXPECT_NE(got.error("message").find("cache"), std::string::npos);
  }
  const Got echo = post(door, "/v1/completions",
                        R"({"model":"model","prompt":"AB","echo":true,"max_tokens":0})");
  EXPECT_EQ(openai::parse_completion(echo.body)->choices[0].text, "AB") << echo.body;
}

TEST(ServerTest, StoppingCutsWhatTakesTooLong) {
  Started door = started({.text = std::string(200, 'x'), .step_ms = 100});
  RawSocket socket = RawSocket::connect(door.server->port());
  socket.write(request_text("POST /v1/chat/completions", chat_body(R"("stream":true)")));
  EXPECT_NE(socket.read_until("data: "), "");
  door.server->stop();
  const std::string rest = socket.read_all(1000);
  EXPECT_EQ(rest.find("[DONE]"), std::string::npos);
}

TEST(ServerTest, TellsItsTermsModelsTokensAndFigures) {
  const Started door = started(
      {}, {.terms_url = "https://example.com/t", .content_usage = "train-ai=n"}, "org/model");
  const Got models = ask(door, request_text("GET /v1/models", ""));
  EXPECT_EQ(*openai::parse_models(models.body), std::vector<std::string>{"org/model"});
  EXPECT_NE(models.head.find("Link: <https://example.com/t>; rel=\"license\""), std::string::npos);
  EXPECT_NE(models.head.find("Content-Usage: train-ai=n"), std::string::npos);
  EXPECT_EQ(ask(door, request_text("GET /v1/models/org/model", "")).status, 200);
  const Got tokens = post(door, "/tokenize", R"({"model":"org/model","prompt":"AB"})");
  EXPECT_EQ(tokens.body, R"({"count":2,"max_model_len":256,"tokens":[65,66]})");
  EXPECT_EQ(post(door, "/detokenize", R"({"tokens":[65,66]})").body, R"({"prompt":"AB"})");
  EXPECT_EQ(post(door, "/detokenize", R"({"tokens":[259]})").status, 400);
  EXPECT_EQ(post(door, "/tokenize", R"({"model":"org/model","messages":[]})").status, 400);
  const Got metrics = ask(door, request_text("GET /metrics", ""));
  for (const char* line :
       {"retort_requests_total{route=\"models\",status=\"200\"} 1\n", "retort_memory_bytes 1000\n",
        "retort_time_to_first_token_seconds_count 0\n",
        "retort_answer_seconds_bucket{le=\"+Inf\"}"}) {
    EXPECT_NE(metrics.body.find(line), std::string::npos) << line << metrics.body;
  }
}

Started two_models() {
  std::vector<Model> models;
  models.push_back({"one", std::make_unique<ScriptedBackend>(Script{.text = "First."})});
  models.push_back({"org/\"two\"", std::make_unique<ScriptedBackend>(
                                       Script{.text = "Second.", .context_length = 128})});
  auto server = Server::start({.port = 0}, std::move(models));
  EXPECT_TRUE(server.ok()) << server.error().text();
  return {nullptr, std::move(*server)};
}

TEST(ServerTest, SeveralModelsAnswerUnderTheirNames) {
  const Started door = two_models();
  const auto said = [&](const std::string& name) {
    return post(door, "/v1/completions", R"({"model":")" + name + R"(","prompt":"a"})");
  };
  EXPECT_EQ(openai::parse_completion(said("one").body)->choices[0].text, "First.");
  const auto second = openai::parse_completion(said(R"(org/\"two\")").body);
  EXPECT_EQ(second->choices[0].text, "Second.");
  EXPECT_EQ(second->model, "org/\"two\"");
  for (const Got& unknown : {said("three"), ask(door, request_text("GET /v1/models/three", "")),
                             post(door, "/tokenize", R"({"model":"three","prompt":"a"})")}) {
    EXPECT_EQ(unknown.status, 404);
    EXPECT_EQ(unknown.error("code"), "model_not_found");
    EXPECT_EQ(unknown.error("message"),
              "The model `three` does not exist here; there are `one`, `org/\"two\"`.");
  }
  EXPECT_EQ(*openai::parse_models(ask(door, request_text("GET /v1/models", "")).body),
            (std::vector<std::string>{"one", "org/\"two\""}));
  EXPECT_EQ(ask(door, request_text("GET /v1/models/one", "")).status, 200);
  EXPECT_EQ(post(door, "/tokenize", R"({"model":"org/\"two\"","prompt":"AB"})").body,
            R"({"count":2,"max_model_len":128,"tokens":[65,66]})");
  const Got unnamed = post(door, "/tokenize", R"({"prompt":"AB"})");
  EXPECT_EQ(unnamed.status, 400);
  EXPECT_EQ(unnamed.error("param"), "model");
  const Got metrics = ask(door, request_text("GET /metrics", ""));
  for (const char* line : {"retort_answers_in_flight{model=\"one\"} 0\n",
                           "retort_generated_tokens_total{model=\"one\"} 6\n",
                           "retort_generated_tokens_total{model=\"org/\\\"two\\\"\"} 7\n",
                           "retort_answer_seconds_count{model=\"one\"} 1\n",
                           "retort_answer_seconds_bucket{model=\"one\",le=\"+Inf\"} 1\n"}) {
    EXPECT_NE(metrics.body.find(line), std::string::npos) << line << metrics.body;
  }
}

TEST(ServerTest, AnEnginesFiguresAreSaidOnce) {
  std::vector<Model> models;
  models.push_back({"plain", std::make_unique<ScriptedBackend>()});
  models.push_back({"tuned", std::make_unique<ScriptedBackend>(), /*shares_engine=*/true});
  auto server = Server::start({.port = 0}, std::move(models));
  ASSERT_TRUE(server.ok());
  const Got metrics = ask({nullptr, std::move(*server)}, request_text("GET /metrics", ""));
  for (const auto& [line, said] : std::vector<std::pair<const char*, bool>>{
           {"retort_memory_bytes{model=\"plain\"}", true},
           {"retort_memory_bytes{model=\"tuned\"}", false},
           {"retort_answers_in_flight{model=\"tuned\"}", true},
           {"retort_answer_seconds_count{model=\"tuned\"}", true}}) {
    EXPECT_EQ(metrics.body.find(line) != std::string::npos, said) << line;
  }
}

TEST(ServerTest, ModelsNeedNamesOfTheirOwn) {
  const auto start = [](std::vector<std::string> names) {
    std::vector<Model> models;
    for (auto& name : names) models.push_back({name, std::make_unique<ScriptedBackend>()});
    return Server::start({.port = 0}, std::move(models)).ok();
  };
  EXPECT_TRUE(start({"a", "b"}));
  EXPECT_FALSE(start({"a", "a"}));
  EXPECT_FALSE(start({"a", ""}));
  EXPECT_FALSE(start({}));
}

}  // namespace
}  // namespace retort::serve
