#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "base/cancel.h"
#include "engine/testing_internal.h"
#include "engine/testing_requests_internal.h"
#include "kernels/gradient_check.h"
#include "model/network.h"

namespace retort::engine {
namespace {

using artifact::TensorType;
using testing::HasSubstr;
using tokenizer::TokenId;

std::vector<float> network_logits(const model::Weights& weights, const std::vector<TokenId>& ids) {
  model::Network network(weights, static_cast<int64_t>(ids.size()), model::Precision::fp32);
  return network.logits(
      {ids, std::vector<int32_t>(ids.size(), -1), {0, static_cast<int32_t>(ids.size())}});
}

TEST(EngineTest, ScoringAgreesWithTheTrainersForwardPass) {
  for (const bool tied : {true, false}) {
    const auto weights = small_weights({.tied = tied});
    const auto engine = engine_of(weights);
    for (const int64_t size : {1, 15, 16, 17, 100, 700}) {
      const auto prompt = random_prompt(size, 3);
      const auto logits = engine->logits(prompt);
      ASSERT_TRUE(logits.ok());
      EXPECT_LT(kernels::relative_difference(*logits, network_logits(weights, prompt)), 1e-4)
          << size;
      EXPECT_LT(divergence(network_logits(weights, prompt), *logits,
                           static_cast<size_t>(weights.config().vocab)),
                1e-8);
    }
  }
}

TEST(EngineTest, AnswersToManyAreThoseToEach) {
  const auto engine = engine_of(small_weights({.seed = 4}));
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 5; ++i) {
    requests.push_back(request_of(random_prompt(10 + static_cast<int64_t>(i), i), 8));
    requests.back().sampling.seed = i;
  }
  const auto whole = engine->generate(requests[2]);
  ASSERT_TRUE(whole.ok());
  requests[2].stop_tokens = {whole->tokens[5]};
  int64_t seen = 0;
  const auto many = engine->generate_all(requests, [&](int64_t done) -> Result<void> {
    seen = done;
    return {};
  });
  ASSERT_TRUE(many.ok());
  EXPECT_EQ(seen, 5);
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto alone = engine->generate(requests[i]);
    ASSERT_TRUE(alone.ok());
    EXPECT_EQ((*many)[i].tokens, alone->tokens);
    EXPECT_EQ((*many)[i].chosen.size(), alone->tokens.size());
    EXPECT_EQ((*many)[i].stop.id, i == 2 ? whole->tokens[5] : -1);
  }
  EXPECT_EQ((*many)[2].stop.logprob, whole->chosen[5].logprob);
  const auto left = engine->generate_all(
      requests, [](int64_t) -> Result<void> { return base::cancelled_error("test"); });
  ASSERT_FALSE(left.ok());
  EXPECT_EQ(left.error().code, ErrorCode::interrupted);
}

// Decoding and scoring take different products: within a bound they say the same.
TEST(EngineTest, DecodingAgreesWithScoring) {
  const auto weights = small_weights({.tied = false, .seed = 4});
  const auto engine = engine_of(weights);
  auto request = request_of(random_prompt(40, 5), 30);
  request.sampling.temperature = 0;
  auto heard = run_all(*engine, {request})[0];
  ASSERT_EQ(heard.tokens.size(), 30u);
  auto all = request.prompt;
  all.insert(all.end(), heard.tokens.begin(), heard.tokens.end());
  auto scoring = request_of(all, 0);
  scoring.prompt_logprobs = 5;
  const auto scored = run_all(*engine, {scoring})[0].scores;
  ASSERT_EQ(scored.prompt_chosen.size(), all.size());
  EXPECT_TRUE(std::isnan(scored.prompt_chosen[0].logprob));
  for (size_t i = 0; i < 30; ++i) {
    const auto& chosen = scored.prompt_chosen[40 + i];
    EXPECT_EQ(chosen.id, heard.tokens[i]);
    EXPECT_NEAR(chosen.logprob, heard.logprobs[i], 5e-3);
    EXPECT_NEAR(scored.prompt_top[40 + i][0].logprob, chosen.logprob, 5e-3);
  }
}

TEST(EngineTest, ScoresAreLogSoftmaxOfTheLogits) {
  const auto weights = small_weights();
  const auto engine = engine_of(weights);
  const auto prompt = random_prompt(80, 9);
  const auto logits = *engine->logits(prompt);
  auto scoring = request_of(prompt, 0);
  scoring.prompt_logprobs = 2;
  const auto scores = run_all(*engine, {scoring})[0].scores;
  const auto vocab = static_cast<size_t>(weights.config().vocab);
  for (size_t i = 1; i < prompt.size(); ++i) {
    const float* row = logits.data() + (i - 1) * vocab;
    double sum = 0;
    for (size_t v = 0; v < vocab; ++v) sum += std::exp(static_cast<double>(row[v]));
    EXPECT_NEAR(scores.prompt_chosen[i].logprob, row[prompt[i]] - std::log(sum), 1e-5);
    EXPECT_EQ(scores.prompt_top[i][0].id, std::max_element(row, row + vocab) - row);
    EXPECT_GE(scores.prompt_top[i][0].logprob, scores.prompt_top[i][1].logprob);
  }
}

class Types : public ::testing::TestWithParam<std::pair<TensorType, double>> {
 protected:
  std::string path_ = testing::TempDir() + "/engine_types." + std::to_string(getpid()) + ".gguf";
};
constexpr std::pair<TensorType, double> kTypes[] = {
    {TensorType::f32, 1e-8},  {TensorType::f16, 1e-4},  {TensorType::bf16, 1e-4},
    {TensorType::q8_0, 2e-3}, {TensorType::q4_0, 2e-3}, {TensorType::q4_1, 2e-3},
    {TensorType::q5_0, 2e-3}, {TensorType::q5_1, 2e-3}, {TensorType::iq4_nl, 2e-3},
    {TensorType::q2_k, 2e-3}, {TensorType::q3_k, 2e-3}, {TensorType::q4_k, 2e-3},
    {TensorType::q5_k, 2e-3}, {TensorType::q6_k, 2e-3}};
INSTANTIATE_TEST_SUITE_P(Files, Types, ::testing::ValuesIn(kTypes), [](const auto& given) {
  return std::string(artifact::name(given.param.first));
});

// Against the trainer's fp32 forward pass over the same dequantised weights; decoding of quantised
// files rounds activations to 8 bits, and its bound is the larger one.
void expect_file_says(const model::Weights& held, const std::string& path, double bound) {
  const auto prompt = random_prompt(60, 8);
  const auto vocab = static_cast<size_t>(held.config().vocab);
  for (const bool exact : {false, true}) {
    const auto engine = Engine::open(path, {.exact = exact});
    ASSERT_TRUE(engine.ok()) << engine.error().text();
    EXPECT_EQ((*engine)->config().vocab, held.config().vocab);
    EXPECT_LT(divergence(network_logits(held, prompt), *(*engine)->logits(prompt), vocab),
              exact ? 1e-8 : 2e-3);
    EXPECT_LT(divergence(network_logits(held, prompt), *(*engine)->decode_logits(prompt), vocab),
              exact ? 1e-8 : bound);
    auto request = request_of(prompt, 20);
    request.sampling.seed = 3;
    const auto heard = run_all(**engine, {request})[0];
    auto all = prompt;
    all.insert(all.end(), heard.tokens.begin(), heard.tokens.end());
    const auto reference = network_logits(held, all);
    double total = 0;
    for (size_t i = 0; i < heard.tokens.size(); ++i) {
      const float* row = reference.data() + (prompt.size() - 1 + i) * vocab;
      double sum = 0;
      for (size_t v = 0; v < vocab; ++v) sum += std::exp(static_cast<double>(row[v]));
      total += std::abs(row[heard.tokens[i]] - std::log(sum) - heard.logprobs[i]);
    }
    EXPECT_LT(total / 20, exact ? 1e-4 : 5e-3 + std::sqrt(bound));
  }
}

TEST_P(Types, FilesOfEveryTypeSayWhatTheirWeightsSay) {
  const auto [type, bound] = GetParam();
  const auto held = write_gguf(small_weights(small_model_for(type, 6)), type, path_);
  expect_file_says(held, path_, bound);
}

TEST(EngineTest, AFileOfManyTypesSaysWhatItsWeightsSay) {
  const std::string path =
      testing::TempDir() + "/engine_mixed." + std::to_string(getpid()) + ".gguf";
  for (const bool tied : {true, false}) {
    auto shape = small_model_for(TensorType::q4_k, 6);
    shape.tied = tied;
    expect_file_says(write_mixed_gguf(small_weights(shape), some_type, path), path, 2e-3);
  }
}

// An answer is a function of the request: not of neighbours, chunks, or who computed its beginning.
TEST_P(Types, NeighboursChangeNoBitOfAnAnswer) {
  const TensorType type = GetParam().first;
  write_gguf(small_weights(small_model_for(type, 11)), type, path_);
  const auto open = [&] { return std::move(*Engine::open(path_, {.max_batch = 7})); };
  std::vector<Request> requests;
  const auto common = random_prompt(48, 1);
  for (uint64_t i = 0; i < 19; ++i) {
    auto prompt = i % 3 == 0 ? common : random_prompt(1 + 37 * static_cast<int64_t>(i), i);
    if (i % 3 == 0) prompt.push_back(static_cast<TokenId>(i));
    requests.push_back(request_of(prompt, 5 + 3 * static_cast<int64_t>(i)));
    requests.back().sampling = {
        .temperature = 0.8, .top_p = 0.95, .repetition_penalty = 1.1, .seed = i};
  }
  const auto together = run_all(*open(), requests);
  for (size_t i = 0; i < requests.size(); i += 2) {
    const auto alone = run_all(*open(), {requests[i]})[0];
    EXPECT_TRUE(same_bits(together[i], alone)) << "request " << i;
  }
  const auto again = open();
  run_all(*again, {requests[0]});
  const auto cached = run_all(*again, {requests[0]})[0];
  EXPECT_EQ(cached.last.cached_tokens, 48);
  EXPECT_TRUE(same_bits(cached, together[0]));
}

TEST(EngineTest, ACommonBeginningIsComputedOnce) {
  const auto engine = engine_of(small_weights(), {.max_batch = 8});
  const auto common = random_prompt(64, 2);
  std::vector<Request> requests;
  for (TokenId i = 0; i < 8; ++i) {
    auto prompt = common;
    prompt.insert(prompt.end(), {i, i, i});
    requests.push_back(request_of(prompt, 2));
  }
  run_all(*engine, requests);
  EXPECT_GE(engine->stats().cached_tokens,
            4 * 64);  // the first ones may start before all are there
  EXPECT_LE(engine->stats().prompt_tokens, 8 * 67 - 4 * 64);
}

TEST(EngineTest, MoreRequestsThanMemoryWaitAndAllEnd) {
  const auto weights = small_weights();
  // Room for about three of these requests.
  const int64_t page = 2 * 16 * 16 * 2 * 3 * 4;
  const auto engine = engine_of(weights, {.max_batch = 16, .kv_cache_bytes = 12 * page});
  EXPECT_EQ(engine->context_length(), 12 * 16);
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 20; ++i) requests.push_back(request_of(random_prompt(40, i), 20));
  for (const Heard& heard : run_all(*engine, requests)) {
    EXPECT_EQ(heard.reason, "length");
    EXPECT_EQ(heard.tokens.size(), 20u);
  }
  EXPECT_EQ(engine->stats().running, 0);
  EXPECT_EQ(engine->stats().waiting, 0);
  EXPECT_EQ(engine->stats().generated_tokens, 400);
  EXPECT_EQ(engine->stats().cache_pages_held, 0) << "every page was given back";
  EXPECT_GT(engine->stats().cache_pages, 0);
  EXPECT_GE(engine->stats().decode_rows, engine->stats().decode_steps);
}

TEST(EngineTest, StopsAtStringsTokensAndLength) {
  const auto engine = engine_of(small_weights({.seed = 12}));
  auto request = request_of(random_prompt(10, 1), 40);
  request.sampling.temperature = 0;
  const auto whole = run_all(*engine, {request})[0];
  EXPECT_EQ(whole.reason, "length");
  EXPECT_EQ(whole.last.generated_tokens, 40);
  auto by_token = request;
  by_token.stop_tokens = {whole.tokens[7]};
  const auto first = std::find(whole.tokens.begin(), whole.tokens.end(), whole.tokens[7]);
  const auto heard = run_all(*engine, {by_token})[0];
  EXPECT_EQ(heard.reason, "stop");
  EXPECT_EQ(heard.tokens, std::vector<TokenId>(whole.tokens.begin(), first));
  // The model chose to stop: that choice is scored as every other.
  ASSERT_EQ(heard.logprobs.size(), heard.tokens.size() + 1);
  EXPECT_EQ(heard.logprobs.back(), whole.logprobs[heard.tokens.size()]);
  EXPECT_EQ(heard.last.top.size(), 1u);
  EXPECT_EQ(heard.last.stop_token, whole.tokens[7]);
}

TEST(EngineTest, WhatCannotBeIsRefusedWithTheField) {
  const auto engine = engine_of(small_weights());
  const auto refusal = [&](auto change) {
    Request request = request_of({1, 2, 3}, 4);
    change(request);
    const auto submitted = engine->submit(std::move(request));
    return submitted ? std::string() : submitted.error().text();
  };
  EXPECT_THAT(refusal([](Request& r) { r.prompt.clear(); }), HasSubstr("prompt"));
  EXPECT_THAT(refusal([](Request& r) { r.prompt = {-1}; }), HasSubstr("-1"));
  EXPECT_THAT(refusal([](Request& r) { r.prompt = {100000}; }), HasSubstr("vocabulary"));
  EXPECT_THAT(refusal([](Request& r) { r.max_tokens = 2046; }), HasSubstr("2048"));
  EXPECT_THAT(refusal([](Request& r) { r.max_tokens = INT64_MAX; }), HasSubstr("2048"));
  EXPECT_THAT(refusal([](Request& r) { r.max_tokens = 0; }), HasSubstr("max_tokens"));
  EXPECT_THAT(refusal([](Request& r) { r.sampling.temperature = NAN; }), HasSubstr("temperature"));
  EXPECT_THAT(refusal([](Request& r) { r.sampling.top_p = 1.5; }), HasSubstr("top_p"));
  EXPECT_THAT(refusal([](Request& r) { r.top_logprobs = 5000; }), HasSubstr("top_logprobs"));
  EXPECT_THAT(refusal([](Request& r) {
                r.sampling.logit_bias = {{9999, 1.0f}};
              }),
              HasSubstr("logit_bias"));
  EXPECT_EQ(engine->stats().waiting, 0);
}

TEST(EngineTest, CancelEndsOneAndTheOthersGoOn) {
  const auto engine = engine_of(small_weights());
  std::mutex mutex;
  std::condition_variable changed;
  int64_t seen = 0;
  std::string reason;
  Request endless = request_of(random_prompt(5, 1), 2000);
  endless.on_event = [&](const Event& event) {
    const std::lock_guard lock(mutex);
    ++seen;
    if (event.done) reason = event.finish_reason;
    changed.notify_all();
  };
  const auto id = engine->submit(std::move(endless));
  ASSERT_TRUE(id.ok());
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return seen >= 3; });
  }
  engine->cancel(*id);
  const auto other = run_all(*engine, {request_of(random_prompt(5, 2), 10)})[0];
  EXPECT_EQ(other.tokens.size(), 10u);
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return !reason.empty(); });
  EXPECT_EQ(reason, "cancelled");
  EXPECT_LT(seen, 1500);
}

TEST(EngineTest, TheEndOfAnEngineTellsWhatWasRunning) {
  std::vector<std::string> reasons;
  {
    const auto engine = engine_of(small_weights(), {.max_batch = 2});
    for (uint64_t i = 0; i < 5; ++i) {
      Request request = request_of(random_prompt(600, i), 1400);
      request.on_event = [&](const Event& event) {
        if (event.done) reasons.push_back(event.finish_reason);
      };
      ASSERT_TRUE(engine->submit(std::move(request)).ok());
    }
  }
  EXPECT_EQ(reasons, std::vector<std::string>(5, "cancelled"));
}

TEST(EngineTest, ANamedChatTemplateOverrulesTheModels) {
  const auto as = [](const char* name) {
    Options options;
    options.chat_template = name;
    return engine_of(small_weights(), options);
  };
  EXPECT_EQ(as("")->chat()->family(), tokenizer::ChatTemplate::chatml);
  EXPECT_EQ(as("qwen2")->chat()->family(), tokenizer::ChatTemplate::qwen2);
  EXPECT_THAT(as("llama3")->chat().error().text(), HasSubstr("<|start_header_id|>"));
  Options odd;
  odd.chat_template = "alpaca";
  EXPECT_THAT(Engine::open("/no/such/model", odd).error().text(), HasSubstr("chatml, smollm2"));
}

TEST(EngineTest, OpeningNamesWhatIsWrong) {
  EXPECT_THAT(Engine::open("/no/such/model").error().text(), HasSubstr("/no/such/model"));
  const std::string path = testing::TempDir() + "/" + std::to_string(getpid()) + ".cut.gguf";
  write_gguf(small_weights(), TensorType::q8_0, path);
  EXPECT_THAT(Engine::open(path, {.max_batch = 0}).error().text(), HasSubstr("max_batch"));
  EXPECT_THAT(Engine::open(path, {.kv_cache_bytes = 10}).error().text(), HasSubstr("page"));
  EXPECT_THAT(Engine::open(path, {.context_length = 4096}).error().text(), HasSubstr("2048"));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  EXPECT_THAT(Engine::open(path).error().text(), HasSubstr("cut.gguf"));
}

// Two models on one team: whatever the other does, an answer has the bits that it has alone.
TEST(EngineTest, EnginesThatTakeTurnsAnswerAsAlone) {
  const auto turns = std::make_shared<Turns>();
  const Options options{.turns = turns};
  const auto first = engine_of(small_weights({.seed = 1}), options);
  const auto second = engine_of(small_weights({.seed = 2}), options);
  const auto requests = [](uint64_t seed) {
    std::vector<Request> made;
    for (uint64_t i = 0; i < 6; ++i) {
      made.push_back(request_of(random_prompt(20 + 90 * static_cast<int64_t>(i), seed + i), 40));
      made.back().sampling.seed = i;
    }
    return made;
  };
  const auto first_alone = run_all(*first, requests(10));
  const auto second_alone = run_all(*second, requests(50));
  std::vector<Heard> second_beside;
  std::thread other([&] { second_beside = run_all(*second, requests(50)); });
  const auto first_beside = run_all(*first, requests(10));
  other.join();
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_TRUE(same_bits(first_alone[i], first_beside[i])) << i;
    EXPECT_TRUE(same_bits(second_alone[i], second_beside[i])) << i;
  }
}

TEST(EngineTest, ComputesInItsTurnsAlone) {
  const auto turns = std::make_shared<Turns>();
  const auto engine = engine_of(small_weights(), {.turns = turns});
  std::atomic<bool> said{false};
  std::promise<void> done;
  Request request = request_of(random_prompt(4, 1), 3);
  request.on_event = [&](const Event& event) {
    said = true;
    if (event.done) done.set_value();
  };
  {
    const Turns::Turn turn(turns.get());
    ASSERT_TRUE(engine->submit(std::move(request)).ok());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_FALSE(said);
  }
  done.get_future().wait();
}

// Whoever waits is next, though the other asks again at once.
TEST(TurnsTest, GoInTheOrderOfAsking) {
  for (int round = 0; round < 10; ++round) {
    Turns turns;
    std::atomic<int> order{0};
    int waiting = 0, again = 0;
    auto first = std::make_unique<Turns::Turn>(&turns);
    std::thread other([&] {
      const Turns::Turn turn(&turns);
      waiting = ++order;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(order, 0);
    first.reset();
    {
      const Turns::Turn turn(&turns);
      again = ++order;
    }
    other.join();
    EXPECT_EQ(waiting, 1);
    EXPECT_EQ(again, 2);
  }
}

}  // namespace
}  // namespace retort::engine
