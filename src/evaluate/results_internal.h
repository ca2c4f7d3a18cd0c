// What an evaluation found, as sentences and as files.
#pragma once
#include <string>
#include <vector>

#include "evaluate/evaluate.h"
#include "json/value.h"

namespace retort::evaluate {

// One held-out prompt answered by both.
struct Pair {
  std::string key;  // of the teacher's record
  dialog::Messages prompt;
  std::vector<std::pair<std::string, std::string>> slots;
  AnswerText teacher, student;
};

// Where the student falls short (or does not), and how each figure was counted.
std::vector<std::string> sentences(const Summary& summary);
json::Value to_json(const Summary& summary);
std::string samples_text(const std::vector<Pair>& pairs, int64_t count);

}  // namespace retort::evaluate
