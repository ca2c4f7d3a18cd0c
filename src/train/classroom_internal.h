// For this room's tests: a teacher and a student whose ids differ, and rows that both read.
#pragma once
#include <memory>
#include <string>

#include "train/online_teacher_internal.h"
#include "train/test_rows_internal.h"

namespace retort::train {

// All bytes, some merges, ChatML's control tokens, and a token of the teacher's alone.
inline std::shared_ptr<const tokenizer::Tokenizer> made_tokenizer(bool of_teacher) {
  tokenizer::Vocabulary v;
  if (of_teacher) v.tokens.emplace_back("zq");  // moves all other ids
  const auto shift = static_cast<int32_t>(v.tokens.size());
  for (int byte = 0; byte < 256; ++byte) v.tokens.emplace_back(1, static_cast<char>(byte));
  v.merges.emplace_back('a' + shift, 'b' + shift);
  v.tokens.emplace_back("ab");
  if (of_teacher) v.merges.emplace_back('z' + shift, 'q' + shift);
  v.special.resize(v.tokens.size());
  for (const char* control : {"<|im_start|>", "<|im_end|>"}) {
    v.tokens.emplace_back(control);
    v.special.push_back(true);
  }
  v.eos = static_cast<int32_t>(v.tokens.size()) - 1;
  v.chat_template = tokenizer::chatml_template_text();
  auto made = tokenizer::Tokenizer::create(std::move(v));
  EXPECT_TRUE(made) << (made ? "" : made.error().text());
  return *made;
}

inline model::Config shape(int64_t vocab) {
  model::Config config = tiny_config();
  config.vocab = vocab;
  config.max_positions = 256;
  return config;
}

struct Classroom {
  std::shared_ptr<const tokenizer::Tokenizer> student = made_tokenizer(false);
  std::shared_ptr<const tokenizer::Tokenizer> its = made_tokenizer(true);
  tokenizer::ChatFormat format = *tokenizer::ChatFormat::detect(*student);
  tokenizer::ChatFormat its_format = *tokenizer::ChatFormat::detect(*its);
  // Spare logits on both sides.
  model::Weights weights = model::Weights::random(shape(its->size() + 3), 7);
  int64_t vocab = student->size() + 2;
  std::unique_ptr<OnlineTeacher> teacher;
  Examples rows;

  Classroom() {
    for (float& w : weights.block()) w *= 5;  // far from even
    auto made = OnlineTeacher::create(weights, its, *student, vocab, "teacher.gguf");
    EXPECT_TRUE(made) << (made ? "" : made.error().text());
    teacher = std::move(*made);
  }
  // The teacher is told `before` in front. Whether the two cut the answer alike.
  Result<bool> add(const std::string& question, const std::string& answer,
                   const std::string& before) {
    ExampleBuilder builder(*student, format, 200);
    const dialog::Messages seen = {{dialog::Role::user, question},
                                   {dialog::Role::assistant, answer}};
    dialog::Messages told = seen;
    if (!before.empty()) told.insert(told.begin(), {dialog::Role::system, before});
    RETORT_TRY(Example* const row, builder.add("key", seen));
    RETORT_TRY(const auto source, teacher->add("key", told, *row));
    if (!source) return false;
    row->source = *source;
    rows.rows.push_back(*row);
    return true;
  }
};

}  // namespace retort::train
