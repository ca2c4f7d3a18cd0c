// Collecting over real HTTP from a teacher that misbehaves (tests/fakellm): what each fault ends
// in.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "base/cancel.h"
#include "base/clock.h"
#include "collect/ask_all.h"
#include "collect/wire.h"
#include "fakellm/fakellm.h"

namespace retort::collect {
namespace {

using fakellm::FakeLlm;

class MemoryNotebook : public Notebook {
 public:
  struct Waiting {
    std::string body;
    Spend most;
    int64_t ready_ms = 0;
  };
  std::map<int64_t, Waiting> planned, in_flight;
  std::map<int64_t, Answer> answers;
  std::map<int64_t, std::string> failures;
  Spend spent;
  int64_t unknown = 0;

  static int64_t now_ms() { return base::system_clock().monotonic_ms(); }

  Result<std::vector<Claimed>> claim(int64_t limit) override {
    std::vector<Claimed> out;
    for (const auto& [job, waiting] : planned) {
      if (static_cast<int64_t>(out.size()) < limit && waiting.ready_ms <= now_ms()) {
        out.push_back({job, waiting.most, "job-" + std::to_string(job), false});
      }
    }
    for (const auto& one : out) in_flight.insert(planned.extract(one.job));
    return out;
  }
  Result<void> release(int64_t job) override {
    planned.insert(in_flight.extract(job));
    return {};
  }
  Result<void> ended(int64_t job, const Reply& reply, const Step& step) override {
    spent.add(step.charge);
    unknown += step.unknown ? 1 : 0;
    auto node = in_flight.extract(job);
    if (step.outcome == Outcome::answered) {
      EXPECT_TRUE(answers.emplace(job, reply.answer).second) << "answered twice";
    }
    if (step.outcome == Outcome::failed) failures[job] = reply.why;
    if (step.outcome == Outcome::again) {
      node.mapped().ready_ms = now_ms() + step.again_in_ms;
      planned.insert(std::move(node));
    }
    return {};
  }
  Result<void> commit() override { return {}; }
  Result<int64_t> next_in_ms() override {
    int64_t next = -1;
    for (const auto& [job, waiting] : planned) {
      const int64_t in_ms = std::max<int64_t>(0, waiting.ready_ms - now_ms());
      next = next < 0 ? in_ms : std::min(next, in_ms);
    }
    return next;
  }
  std::string body(int64_t job) override { return in_flight.at(job).body; }
};

Prompt prompt_of(const std::string& text) {
  Prompt out;
  out.messages = {{dialog::Role::user, text}};
  return out;
}

struct Rig {
  Rig() {
    options.concurrency = 8;
    options.max_tokens = 30;
    options.timeout_s = 1;
    teacher.model = "fake-1";
    teacher.base_url = server.base_url();
    pacing.first_wait_ms = 5;
    pacing.longest_wait_ms = 50;
  }

  Result<void> ask(const std::vector<std::string>& texts) {
    std::vector<Prompt> prompts;
    for (const auto& text : texts) prompts.push_back(prompt_of(text));
    RETORT_TRY(AskingOptions asking_settings, asking_options(teacher, options));
    asking_settings.pacing.first_wait_ms = pacing.first_wait_ms;
    asking_settings.pacing.longest_wait_ms = pacing.longest_wait_ms;
    asking_settings.pacing.patience_ms = patience_ms;
    asking_settings.pacing.connect_patience_ms = patience_ms;
    asking_settings.max_attempts = options.attempts;
    for (const auto& prompt : prompts) {
      const auto request = request_of(teacher, options, prompt, 0);
      notebook.planned[static_cast<int64_t>(notebook.planned.size())] = {
          request_body(request), most_of(request, asking_settings.prices)};
    }
    auto& clock = base::system_clock();
    Asking asking(asking_settings, {}, clock.monotonic_ms());
    RETORT_TRY(const auto sender, open_http_sender(teacher, options));
    auto result = ask_all(asking, {*sender, notebook, clock, {}});
    tally = asking.tally();
    return result;
  }

  FakeLlm server;
  Teacher teacher;
  Options options;
  PacingOptions pacing;
  int64_t patience_ms = 5000;
  MemoryNotebook notebook;
  Tally tally;
};

std::vector<std::string> prompts_like(const std::string& directive, int count) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) {
    out.push_back("Tell me of thing " + std::to_string(i) + " " + directive);
  }
  return out;
}

TEST(Faults, NoneAtAll) {
  Rig rig;
  const auto result = rig.ask(prompts_like("", 60));
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(rig.notebook.answers.size(), 60U);
  EXPECT_EQ(rig.server.requests(), 60);
  EXPECT_LE(rig.server.most_in_flight(), 8);
  int64_t tokens = 0;
  for (const auto& entry : rig.server.log()) tokens += entry.prompt_tokens + entry.answer_tokens;
  EXPECT_EQ(rig.notebook.spent.tokens(), tokens);
}

// Faults that pass: the answer comes in the end, and each request is counted.
class PassingFault : public testing::TestWithParam<const char*> {};

TEST_P(PassingFault, IsSurvived) {
  Rig rig;
  const auto result = rig.ask(prompts_like(std::string("[[times=1 ") + GetParam() + "]]", 6));
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(rig.notebook.answers.size(), 6U);
  EXPECT_EQ(rig.server.requests(), 12);
  for (const auto& [job, answer] : rig.notebook.answers) {
    EXPECT_FALSE(answer.text.empty());
    EXPECT_EQ(answer.finish_reason, "stop");
  }
  for (const auto& entry : rig.server.log()) {
    EXPECT_FALSE(entry.idempotency_key.empty());
  }
  EXPECT_EQ(rig.notebook.spent.requests, 12);
}

INSTANTIATE_TEST_SUITE_P(
    All, PassingFault,
    testing::Values("status=500", "status=502", "status=408", "status=409",
                    "status=503 retry-after=0.05", "status=429", "status=429 retry-after=0.1",
                    "status=429 retry-after-ms=30", "status=429 retry-after=-5",
                    "status=429 retry-after=nan", "status=429 reset-tokens=40ms", "status=529",
                    "body=garbage", "body=truncated", "body=error", "body=no-choices", "body=deep",
                    "short=20", "cut=before", "cut=head", "cut=body", "reset", "never"));

// Answers that are no good as training data are kept with what is wrong with them.
TEST(Faults, PoorAnswersAreStoredWithTheirStatus) {
  Rig rig;
  const auto result =
      rig.ask({"a [[body=empty]]", "b [[finish=length]]", "c [[finish=content_filter]]",
               "d [[refusal]]", "e [[model=other]]", "f [[body=no-usage]]", "g [[body=null-usage]]",
               "h [[usage=train-ai=n license=https://example.com/terms]]"});
  ASSERT_TRUE(result) << result.error().text();
  ASSERT_EQ(rig.notebook.answers.size(), 8U);
  auto& answers = rig.notebook.answers;
  EXPECT_EQ(answers[0].text, "");
  EXPECT_EQ(answers[1].finish_reason, "length");
  EXPECT_EQ(answers[2].finish_reason, "content_filter");
  EXPECT_TRUE(answers[3].refused);
  EXPECT_EQ(answers[4].model, "other");
  EXPECT_FALSE(answers[5].usage_known);
  EXPECT_FALSE(answers[6].usage_known);
  EXPECT_EQ(rig.notebook.unknown, 2);
  EXPECT_EQ(answers[7].content_usage, "train-ai=n");
  EXPECT_NE(answers[7].licence_link.find("https://example.com/terms"), std::string::npos);
}

TEST(Faults, ABadKeyStopsAtOnceAndIsNotShown) {
  for (const int status : {401, 403}) {
    Rig rig;
    rig.teacher.api_key_env = "RETORT_TEST_KEY";
    setenv("RETORT_TEST_KEY", "sk-canary-5551", 1);
    rig.server.set_status(status);
    const auto result = rig.ask(prompts_like("", 50));
    ASSERT_FALSE(result);
    EXPECT_EQ(base::exit_code(result.error().code), 5);
    EXPECT_LE(rig.server.requests(), 8);
    EXPECT_EQ(result.error().text().find("canary"), std::string::npos) << result.error().text();
    EXPECT_EQ(rig.server.log()[0].authorization, "Bearer sk-canary-5551");
  }
  unsetenv("RETORT_TEST_KEY");
  Rig rig;
  rig.teacher.api_key_env = "RETORT_TEST_KEY";
  const auto result = rig.ask({"a"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::usage);
}

TEST(Faults, AnEmptyAccountIsNotAskedAgain) {
  Rig rig;
  const auto result = rig.ask(prompts_like("[[status=429 code=insufficient_quota]]", 50));
  ASSERT_FALSE(result);
  EXPECT_EQ(base::exit_code(result.error().code), 5);
  EXPECT_LE(rig.server.requests(), 8);
}

TEST(Faults, ARedirectIsNotFollowed) {
  Rig rig;
  FakeLlm other;
  const auto result =
      rig.ask({"a [[status=307 location=" + other.base_url() + "/chat/completions]]"});
  ASSERT_FALSE(result);
  EXPECT_EQ(other.requests(), 0);
  EXPECT_NE(result.error().text().find("another address"), std::string::npos);
}

TEST(Faults, ARejectedRequestFailsAloneAndIsNotAskedAgain) {
  Rig rig;
  auto texts = prompts_like("", 20);
  texts[3] += "[[status=400]]";
  texts[4] += "[[status=413]]";
  const auto result = rig.ask(texts);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(rig.notebook.failures.size(), 2U);
  EXPECT_EQ(rig.notebook.answers.size(), 18U);
  EXPECT_EQ(rig.server.requests(), 20);
}

TEST(Faults, LogprobsComeWithEachAnswer) {
  Rig rig;
  rig.options.top_logprobs = 4;
  ASSERT_TRUE(rig.ask(prompts_like("", 5)).ok());
  ASSERT_EQ(rig.notebook.answers.size(), 5U);
  EXPECT_EQ(rig.tally.without_logprobs, 0);
  for (const auto& [job, answer] : rig.notebook.answers) {
    std::string text;
    for (const auto& token : answer.logprobs) {
      ASSERT_EQ(token.entries.size(), 4U);
      EXPECT_NEAR(token.tail, 1.0 / 16, 1e-6);
      text += token.entries[static_cast<size_t>(token.chosen)].bytes;
    }
    EXPECT_EQ(text, answer.text);
  }
}

// The first such answer stops the run and says why; what was answered stays.
TEST(Faults, ATeacherWithoutLogprobsIsToldAtOnce) {
  const std::pair<const char*, const char*> faults[] = {
      {"[[logprobs=ignored]]", "answers without the log-probabilities that top_logprobs = 5"},
      {"[[logprobs=positive]]", "a log-probability is above 0"},
      {"[[logprobs=refused]]",
       "refuses top_logprobs = 5: the teacher rejects the request (HTTP "
       "400): \"logprobs are not supported\""}};
  for (const auto& [directive, said] : faults) {
    Rig rig;
    rig.options.top_logprobs = 5;
    rig.options.concurrency = 2;
    const auto result = rig.ask(prompts_like(directive, 40));
    ASSERT_FALSE(result.ok()) << directive;
    EXPECT_EQ(result.error().code, ErrorCode::upstream);
    EXPECT_NE(result.error().text().find(said), std::string::npos) << result.error().text();
    EXPECT_EQ(result.error().where, "collect.top_logprobs");
    EXPECT_LE(rig.server.requests(), 4);
  }
  // Not asked for, they are nobody's concern.
  Rig rig;
  EXPECT_TRUE(rig.ask(prompts_like("[[logprobs=ignored]]", 3)).ok());
}

TEST(Faults, OneAnswerWithoutLogprobsAmongOthersIsCounted) {
  Rig rig;
  rig.options.top_logprobs = 2;
  rig.options.concurrency = 1;
  auto prompts = prompts_like("", 3);
  prompts.push_back("Last. [[logprobs=ignored]]");
  prompts.push_back("Empty. [[body=empty]]");
  ASSERT_TRUE(rig.ask(prompts).ok());
  EXPECT_EQ(rig.notebook.answers.size(), 5U);
  EXPECT_EQ(rig.tally.without_logprobs, 1);
}

TEST(Faults, AnswersBeyondAllMeasureAndSilenceAreBounded) {
  Rig rig;
  rig.options.attempts = 2;
  rig.options.timeout_s = 1;
  const double start_s = base::monotonic_seconds();
  const auto result = rig.ask({"a", "b [[body=huge]]", "c [[never]]", "d [[drip=150]]", "e"});
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(rig.notebook.answers.size(), 2U);
  EXPECT_EQ(rig.tally.exhausted, 3);
  EXPECT_EQ(rig.notebook.unknown, 6) << "each attempt may have been billed";
  EXPECT_EQ(rig.tally.unknown, 6);
  EXPECT_LT(base::monotonic_seconds() - start_s, 8);
}

TEST(Faults, NobodyThere) {
  Rig rig;
  rig.patience_ms = 300;
  {
    FakeLlm gone;
    rig.teacher.base_url = gone.base_url();
  }
  const auto result = rig.ask(prompts_like("", 20));
  ASSERT_FALSE(result);
  EXPECT_EQ(base::exit_code(result.error().code), 5);
  EXPECT_NE(result.error().text().find("base_url"), std::string::npos) << result.error().text();
  EXPECT_EQ(rig.notebook.spent, Spend{});
}

// The server counts: not one request, token or micro-dollar above the budget, at any concurrency.
TEST(Faults, TheBudgetHoldsUnderConcurrency) {
  for (const int concurrency : {1, 5, 32}) {
    Rig rig;
    rig.options.concurrency = concurrency;
    rig.options.budget_tokens = 3000;
    const auto result = rig.ask(prompts_like("", 200));
    ASSERT_FALSE(result);
    EXPECT_EQ(base::exit_code(result.error().code), 7);
    int64_t tokens = 0;
    for (const auto& entry : rig.server.log()) tokens += entry.prompt_tokens + entry.answer_tokens;
    EXPECT_LE(tokens, 3000);
    EXPECT_EQ(rig.notebook.spent.tokens(), tokens);
    EXPECT_GT(tokens, 3000 - 250) << "and little of it is left over";
    EXPECT_EQ(static_cast<int64_t>(rig.notebook.answers.size()), rig.server.requests());
  }
  Rig rig;
  rig.options.budget_requests = 17;
  EXPECT_FALSE(rig.ask(prompts_like("[[status=500 times=1]]", 40)));
  EXPECT_EQ(rig.server.requests(), 17);

  Rig money;
  money.options.budget_usd = "0.01";
  money.options.price_prompt_usd = "2.50";
  money.options.price_answer_usd = "10";
  EXPECT_FALSE(money.ask(prompts_like("", 200)));
  int64_t picodollars = 0;
  for (const auto& entry : money.server.log()) {
    picodollars += entry.prompt_tokens * 2'500'000 + entry.answer_tokens * 10'000'000;
  }
  EXPECT_LE(picodollars, kDollar / 100);
  EXPECT_EQ(money.notebook.spent.money, picodollars);
}

TEST(Faults, ALimitOfParallelRequestsIsFound) {
  fakellm::Settings settings;
  settings.most_at_once = 3;
  settings.delay_ms = 5;
  FakeLlm narrow(settings);
  Rig rig;
  rig.teacher.base_url = narrow.base_url();
  rig.options.concurrency = 16;
  const auto result = rig.ask(prompts_like("", 120));
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(rig.notebook.answers.size(), 120U);
  EXPECT_LT(rig.tally.throttled, 120) << "it must learn the limit, not knock at it";
}

TEST(Wire, SendsOnlyWhatIsNotOff) {
  Options options;
  Teacher teacher;
  teacher.model = "m";
  const Prompt prompt = prompt_of("hi");
  EXPECT_EQ(request_body(request_of(teacher, options, prompt, 0)),
            R"({"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.7,)"
            R"("max_tokens":256})");
  options.top_p = 0.9;
  options.top_k = 40;
  options.repetition_penalty = 1.15;
  options.sampling_seed = 3;
  options.top_logprobs = 20;
  const auto body = json::parse(request_body(request_of(teacher, options, prompt, 0)));
  EXPECT_EQ(body->number_at("top_p").value_or(0), 0.9);
  EXPECT_EQ(body->int_at("top_k").value_or(0), 40);
  EXPECT_TRUE(body->bool_at("logprobs").value_or(false));
  EXPECT_EQ(body->int_at("top_logprobs").value_or(0), 20);
  EXPECT_EQ(body->number_at("repetition_penalty").value_or(0), 1.15);
  const auto other = json::parse(request_body(request_of(teacher, options, prompt, 1)));
  EXPECT_NE(body->int_at("seed").value_or(0), other->int_at("seed").value_or(0));
}

TEST(Wire, MostIsNeverLessThanAnyTokenizerMakes) {
  Prompt prompt = prompt_of("hello");
  prompt.messages.insert(prompt.messages.begin(), {dialog::Role::system, "abc"});
  const Spend most = most_of(request_of({}, {}, prompt, 0), {});
  EXPECT_GE(most.prompt_tokens, 8 + 2 * 5);
  EXPECT_EQ(most.answer_tokens, 256);
}

TEST(Wire, TheDoorHoldsNoPasswordAndNoPortOfThisMachine) {
  const auto door = [](const char* url) {
    Teacher teacher;
    teacher.base_url = url;
    return door_of(teacher);
  };
  EXPECT_EQ(door("https://me:secret@api.example.com/v1/").endpoint,
            "https://api.example.com/v1/chat/completions");
  EXPECT_EQ(door("https://api.example.com:8443/v1?key=1").endpoint,
            "https://api.example.com:8443/v1/chat/completions");
  EXPECT_EQ(door("https://api.example.com/v1").provider, "api.example.com");
  EXPECT_EQ(door("http://127.0.0.1:4711/v1"), door("http://localhost:80/v1"));
  EXPECT_EQ(door("http://[::1]:80/v1").provider, "local");
}

}  // namespace
}  // namespace retort::collect
