// What a door has said of texts, as OUT/scores.jsonl: a line a text, on the disk before it is
// learnt from. A run that goes on, or is started with other options, asks nothing twice, and one
// that goes on learns from the same numbers. Like checkpoints it is a file of the run and says
// nothing about permission: each line is named by the door, the model and the text that it is of.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"

namespace retort::train {

class ScoreBook {
 public:
  // Made where there is none. A last line that was cut off is taken away; others that are not what
  // they should be are bad input.
  static Result<ScoreBook> open(const std::string& path);

  // nullptr: not asked yet.
  const std::vector<float>* find(const std::string& name) const;
  // On the disk when it returns.
  Result<void> add(const std::map<std::string, std::vector<float>>& scores);
  int64_t size() const { return static_cast<int64_t>(scores_.size()); }

  // SHA-256 of the door, the model and the ids.
  static std::string name_of(const std::string& endpoint, const std::string& model,
                             const std::vector<int32_t>& ids);

 private:
  std::string path_;
  std::map<std::string, std::vector<float>> scores_;
};

}  // namespace retort::train
