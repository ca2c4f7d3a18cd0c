// One line of progress for a long stage, on stderr: redrawn in place on a terminal, a plain line
// every ten seconds when piped. One thread owns it.
#pragma once
#include <cstdint>
#include <string>

namespace retort::base {

class Progress {
 public:
  // total <= 0: unknown. `unit` names what is counted, "answers" or "steps".
  Progress(std::string stage, int64_t total, std::string unit);
  ~Progress();

  // `detail` is appended as it is: "loss 2.31, 4,100 tokens/s". Draws at most ten times a second.
  void update(int64_t done, const std::string& detail = "");
  // The last line stays; later calls do nothing.
  void finish(const std::string& summary);

  static void set_quiet(bool quiet);

 private:
  void draw(const std::string& text, bool last);

  std::string stage_;
  int64_t total_;
  std::string unit_;
  double started_s_;
  int64_t first_done_ = -1;
  double last_draw_s_ = 0;
  size_t last_width_ = 0;
  bool terminal_;
  bool finished_ = false;
};

// 1234567 as "1,234,567".
std::string grouped(int64_t value);
// 98362432 as "93.8 MiB".
std::string human_bytes(int64_t bytes);
// The beginning of a text of more than `bytes`, cut between two characters, with "…" behind it.
std::string clipped(const std::string& text, size_t bytes);

}  // namespace retort::base
