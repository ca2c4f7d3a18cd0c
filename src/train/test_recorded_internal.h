// A teacher's answers with their log-probabilities, gathered, sealed and cleared; and a student
// whose tokens are bytes: for this room's tests.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "corpus/clearance.h"
#include "corpus/gathering.h"
#include "corpus/terms_part.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"
#include "train/test_rows_internal.h"

namespace retort::train {

struct Teacher {
  std::vector<std::string> pieces;
  std::string finish = "stop";
  std::string series = "door";  // of the terms that it answers under
  float logprob = -0.25F;       // of each of its pieces
};

inline std::string permissive_terms(const std::string& series) {
  return "schema = \"retort.terms/1\"\nassigner = \"A\"\nseries = \"" + series + R"("
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
}

// Answers of teachers that cut their words so, sealed and cleared for training.
struct Gathered {
  std::string folder;
  base::ManualClock clock{1'790'000'000'000};
  std::unique_ptr<ledger::Ledger> log;
  terms::TermsSet terms;

  Gathered(const std::string& name, const std::vector<Teacher>& answers)
      : folder(fresh_folder(name)) {
    log = *ledger::Ledger::open(base::join(folder, "ledger"), {.create = true, .clock = &clock});
    auto gathering =
        *corpus::Gathering::open(base::join(folder, "corpus.db"), {.group_ms = 1, .clock = &clock});
    std::vector<corpus::Record> requests;
    for (size_t i = 0; i < answers.size(); ++i) {
      auto parsed = terms::parse_terms(permissive_terms(answers[i].series), "test.toml");
      EXPECT_TRUE(parsed.ok()) << parsed.error().text();
      corpus::Record request;
      request.model = "m";
      request.messages = {{dialog::Role::user, "Question " + std::to_string(i)}};
      request.terms = {{parsed->id, terms::Object::outputs}};
      requests.push_back(std::move(request));
      terms.add(std::move(*parsed));
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
    const auto tail = static_cast<float>(1 - std::exp(teacher.logprob) - std::exp(-3));
    for (const auto& piece : teacher.pieces) {
      if (piece != "<end>") answer.text += piece;
      answer.logprobs.push_back({{{piece, teacher.logprob}, {"z", -3}}, 0, tail});
    }
    return answer;
  }
  Result<corpus::Cleared<terms::TrainGenerative>> clear() {
    corpus::Clearance clearance(
        *log, terms, {.actions = {terms::Action::train_generative}, .model_id = "student"}, &clock);
    return clearance.clear<terms::TrainGenerative>(
        {.folder = base::join(folder, "s"), .path_label = "optimizer", .logprobs = true});
  }
  corpus::TermsPartOf parts() const {
    return [this](const corpus::Record& record) { return corpus::terms_part(record, terms); };
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
};

}  // namespace retort::train
