// From gathered answers through the clearance to a student's targets.
#include "train/logprob_rows.h"

#include <gtest/gtest.h>

#include <cmath>

#include "corpus/gathering.h"
#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

constexpr const char* kTerms = R"(schema = "retort.terms/1"
assigner = "A"
series = "door"
version = "1"
[time]
effective = 2026-01-01
[source]
basis = "express"
[[rule]]
effect = "permit"
action = "train.generative"
clause = "1"
text = "yes"
[[rule]]
effect = "permit"
action = "store"
clause = "1"
text = "yes"
[review]
reader = "R"
)";

struct Teacher {
  std::vector<std::string> pieces;
  std::string finish = "stop";
};

// Answers of a teacher that cuts its words so, sealed and cleared for training.
struct Gathered {
  std::string folder;
  base::ManualClock clock{1'790'000'000'000};
  std::unique_ptr<ledger::Ledger> log;
  terms::TermsSet terms;

  Gathered(const std::string& name, const std::vector<Teacher>& answers)
      : folder(fresh_folder(name)) {
    log = *ledger::Ledger::open(base::join(folder, "ledger"), {.create = true, .clock = &clock});
    auto parsed = terms::parse_terms(kTerms, "test.toml");
    EXPECT_TRUE(parsed.ok()) << parsed.error().text();
    const std::string id = parsed->id;
    terms.add(std::move(*parsed));
    auto gathering =
        *corpus::Gathering::open(base::join(folder, "corpus.db"), {.group_ms = 1, .clock = &clock});
    std::vector<corpus::Record> requests;
    for (size_t i = 0; i < answers.size(); ++i) {
      corpus::Record request;
      request.model = "m";
      request.messages = {{dialog::Role::user, "Question " + std::to_string(i)}};
      request.terms = {{id, terms::Object::outputs}};
      requests.push_back(std::move(request));
    }
    EXPECT_TRUE(gathering->plan(requests).ok());
    const auto jobs = *gathering->claim(std::ssize(answers));
    for (size_t i = 0; i < answers.size(); ++i) {
      EXPECT_TRUE(gathering->commit(jobs[i], answer_of(answers[i])).ok());
    }
    EXPECT_TRUE(corpus::seal(*gathering, *log, terms, {.folder = base::join(folder, "s")}).ok());
  }
  static corpus::Answer answer_of(const Teacher& teacher) {
    corpus::Answer answer;
    answer.finish_reason = teacher.finish;
    for (const auto& piece : teacher.pieces) {
      if (piece != "<end>") answer.text += piece;
      answer.logprobs.push_back({{{piece, -0.25F}, {"z", -3}},
                                 0,
                                 static_cast<float>(1 - std::exp(-0.25) - std::exp(-3))});
    }
    return answer;
  }
  Result<corpus::Cleared<terms::TrainGenerative>> clear() {
    corpus::Clearance clearance(
        *log, terms, {.actions = {terms::Action::train_generative}, .model_id = "student"}, &clock);
    return clearance.clear<terms::TrainGenerative>(
        {.folder = base::join(folder, "s"), .path_label = "optimizer", .logprobs = true});
  }
};

struct Student {
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  std::optional<tokenizer::ChatFormat> format;

  Student() {
    tokenizer::Vocabulary made;
    for (int byte = 0; byte < 256; ++byte) made.tokens.emplace_back(1, static_cast<char>(byte));
    made.special.assign(256, false);
    for (const char* spelling : {"<|im_start|>", "<|im_end|>"}) {
      made.tokens.emplace_back(spelling);
      made.special.push_back(true);
    }
    made.chat_template = tokenizer::chatml_template_text();
    tokenizer = *tokenizer::Tokenizer::create(std::move(made));
    format = *tokenizer::ChatFormat::detect(*tokenizer);
  }
  Examples examples(const corpus::Cleared<terms::TrainGenerative>& data) const {
    ExampleBuilder builder(*tokenizer, *format, 1000);
    for (const auto& record : data.records()) {
      auto messages = record.messages;
      messages.push_back({dialog::Role::assistant, record.answer});
      EXPECT_TRUE(builder.add(record.key, messages).ok());
    }
    return builder.take();
  }
  Result<LogprobRows> rows(const corpus::Cleared<terms::TrainGenerative>& data) const {
    return logprob_rows(data, examples(data), *tokenizer, *format);
  }
};

TEST(LogprobRows, ATargetForEachTrainedIdOfEachExample) {
  Gathered gathered("rows", {{{"a", "b", "<end>"}}, {{}}, {{"c", "<end>"}, "length"}});
  const auto data = gathered.clear();
  ASSERT_TRUE(data.ok()) << data.error().text();
  const Student student;
  const auto made = student.rows(*data);
  ASSERT_TRUE(made.ok()) << made.error().text();
  ASSERT_EQ(made->of_example.size(), 3U);
  const tensor::SparseTargets& first = made->of_example[0];
  ASSERT_EQ(first.rows(), 3);
  EXPECT_EQ(first.ids,
            (std::vector<int32_t>{'a', 'z', 'b', 'z', student.format->stop_token(), 'z'}));
  EXPECT_NEAR(first.logprobs[0], -0.25, 1.0 / 4096);
  EXPECT_NEAR(first.tails[0], 1 - std::exp(-0.25) - std::exp(-3), 1e-3);
  EXPECT_EQ(made->of_example[1].rows(), 1) << "an empty answer: its end, of which nothing is known";
  EXPECT_TRUE(made->of_example[1].ids.empty());
  EXPECT_EQ(made->of_example[2].ids, (std::vector<int32_t>{'c', 'z'})) << "no end was reached";
  EXPECT_EQ(made->counts.records, 2);
  EXPECT_EQ(made->counts.without, 1);
  EXPECT_EQ(made->counts.tokens, 3);
  EXPECT_EQ(made->counts.aligned, 3);
  EXPECT_EQ(made->counts.stops, 1);
}

TEST(LogprobRows, TooFewTokensInCommonAreRefused) {
  Gathered gathered("few", {{{"abc", "d", "efg", "h", "<end>"}}});
  const auto data = gathered.clear();
  ASSERT_TRUE(data.ok()) << data.error().text();
  const auto made = Student().rows(*data);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().code, ErrorCode::usage);
  EXPECT_NE(made.error().text().find("25 % of the student's tokens"), std::string::npos)
      << made.error().text();
  EXPECT_NE(made.error().text().find("objective = \"sequence_kd\""), std::string::npos);
}

TEST(LogprobRows, NoneAtAllAreRefused) {
  Gathered gathered("none", {{{}}});
  const auto data = gathered.clear();
  ASSERT_TRUE(data.ok()) << data.error().text();
  const auto made = Student().rows(*data);
  ASSERT_FALSE(made.ok());
  EXPECT_NE(made.error().text().find("top_logprobs = 20"), std::string::npos);
}

}  // namespace
}  // namespace retort::train
