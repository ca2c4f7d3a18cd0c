#include "train/remedy.h"

#include <fmt/core.h>

#include "base/progress.h"

namespace retort::train {

std::vector<Remedy> remedies(const std::vector<PartSize>& parts) {
  int64_t all = 0;
  for (const PartSize& part : parts) all += part.tokens;
  std::vector<Remedy> out;
  int64_t learnt = 0;
  for (const PartSize& part : parts) {
    learnt += part.tokens;
    out.push_back({part, all - learnt, all - part.tokens});
  }
  return out;
}

std::vector<std::string> tell(const std::vector<Remedy>& remedies) {
  std::vector<std::string> lines;
  for (const Remedy& remedy : remedies) {
    lines.push_back(fmt::format(
        "{}: {} records; should permission end, {} tokens are learnt again from the checkpoint "
        "before it, {} by a run from the start",
        remedy.without.label, base::grouped(remedy.without.rows),
        base::grouped(remedy.replay_tokens), base::grouped(remedy.anew_tokens)));
  }
  return lines;
}

std::vector<std::string> tell_apart(const std::vector<Remedy>& remedies) {
  std::vector<std::string> lines;
  for (const Remedy& remedy : remedies) {
    lines.push_back(fmt::format(
        "{}: {} records; should permission end, its adapter goes and nothing is learnt again; one "
        "set after another in one student would learn {} tokens again, a run from the start {}",
        remedy.without.label, base::grouped(remedy.without.rows),
        base::grouped(remedy.replay_tokens), base::grouped(remedy.anew_tokens)));
  }
  return lines;
}

}  // namespace retort::train
