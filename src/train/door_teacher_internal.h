// A teacher over HTTP that says how likely it finds the tokens of given answers: one number a
// token, for objectives that need no distributions. It must know the student's tokens by the same
// ids. It may be told more than the student is, as online_teacher_internal.h has it. Private to the
// room: fit() alone makes one, of a door that was cleared.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "collect/score.h"
#include "corpus/clearance.h"
#include "dialog/message.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"
#include "train/score_book_internal.h"
#include "train/scorer_internal.h"

namespace retort::train {

struct FitInput;

class DoorTeacher final : public Scorer {
 public:
  using Door = corpus::ClearedDoor<terms::TrainGenerative>;
  // All must outlive it. `book`: what was asked in earlier runs.
  DoorTeacher(const Door& door, const tokenizer::Tokenizer& tokenizer,
              const tokenizer::ChatFormat& format, collect::Scoring scoring, ScoreBook book)
      : door_(door),
        tokenizer_(tokenizer),
        format_(format),
        scoring_(std::move(scoring)),
        book_(std::move(book)) {}

  // What it is told before the last answer of these messages; the number is a row's `source`.
  Result<uint32_t> add(const std::string& key, const dialog::Messages& messages);

  // Judges each row's last answer; what stands before it is the prompt of the row's source. The
  // door is asked whether it is still open before anything is sent.
  Result<void> score(std::vector<Example>& rows) override;

 private:
  collect::GivenText text_of(const Example& row) const;

  const Door& door_;
  const tokenizer::Tokenizer& tokenizer_;
  const tokenizer::ChatFormat& format_;
  collect::Scoring scoring_;
  ScoreBook book_;
  std::vector<std::vector<int32_t>> prompts_;
};

// The teacher that the objective asks over HTTP; nullptr where it asks none.
Result<std::unique_ptr<DoorTeacher>> open_door(const FitInput& input,
                                               const tokenizer::ChatFormat& format);

}  // namespace retort::train
