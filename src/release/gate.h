// What the re-open gate found, for the summary, the model card and the error.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace retort::release {

struct GateCheck {
  std::string file;      // "student/", "student.gguf"
  std::string what;      // "weights", "token ids", "chat", "logits", "greedy tokens", ...
  int64_t compared = 0;  // how many numbers, ids or tokens
  double measured = 0;   // the greatest difference, in the unit of `bound`
  double bound = 0;
  bool passed = false;
  std::string detail;  // where it was worst, or what went wrong
};

// The first check that failed, or nullptr.
const GateCheck* first_failure(const std::vector<GateCheck>& checks);
// "student.gguf: logits differ by 1.3, 0.02 are allowed (prompt 2, token 5)"
std::string sentence(const GateCheck& check);

}  // namespace retort::release
