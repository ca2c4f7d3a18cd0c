#include "curate/funnel.h"

#include <map>

namespace retort::curate {
namespace {

constexpr size_t kExampleBytes = 240;

// Steps that stand in every funnel, so that a reader sees that they were looked for.
bool always_shown(Drop reason) {
  return reason == Drop::empty || reason == Drop::truncated || reason == Drop::refused ||
         reason == Drop::repetitive || reason == Drop::exact_copy || reason == Drop::near_copy;
}

// Cut between characters.
std::string beginning(const std::string& text) {
  if (text.size() <= kExampleBytes) return text;
  size_t end = kExampleBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

std::vector<FunnelStep> funnel_of(const std::vector<Candidate>& candidates,
                                  const std::vector<Drop>& drops) {
  struct Group {
    int64_t count = 0;
    size_t example = 0;
  };
  std::map<Drop, Group> groups;
  for (size_t i = 0; i < drops.size(); ++i) {
    Group& group = groups[drops[i]];
    if (group.count++ == 0 || candidates[i].record->key < candidates[group.example].record->key) {
      group.example = i;
    }
  }
  std::vector<FunnelStep> out;
  auto left = static_cast<int64_t>(drops.size());
  for (int number = 1; number < kDropReasons; ++number) {
    const auto reason = static_cast<Drop>(number);
    const auto found = groups.find(reason);
    if (found == groups.end() && !always_shown(reason)) continue;
    FunnelStep step;
    step.reason = reason;
    step.in = left;
    if (found != groups.end()) {
      const corpus::Record& example = *candidates[found->second.example].record;
      step.dropped = found->second.count;
      step.example_key = example.key;
      step.example = beginning(example.answer);
    }
    left -= step.dropped;
    out.push_back(std::move(step));
  }
  return out;
}

}  // namespace retort::curate
