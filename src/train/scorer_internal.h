// What a teacher thinks of the tokens of answers that are given: one number a token, where its
// distribution is not needed or not to be had. The source of a row's prompt is its `source`.
#pragma once
#include <vector>

#include "base/result.h"
#include "train/examples.h"

namespace retort::train {

class Scorer {
 public:
  virtual ~Scorer() = default;
  // Writes `reference` of each row, at its trained tokens.
  virtual Result<void> score(std::vector<Example>& rows) = 0;
};

}  // namespace retort::train
