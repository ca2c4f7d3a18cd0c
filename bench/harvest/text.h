// Real text for simulated traffic, as texts.py left it, and ways to draw from it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/result.h"

namespace retort::bench::harvest {

struct Topic {
  std::string noun, group, gloss;  // group: of what it is a kind
};

struct Dialog {
  std::string question, answer, subject;
};

struct Texts {
  std::vector<Topic> topics;
  std::vector<uint32_t> by_name;              // topics in the order of the alphabet
  std::vector<std::vector<uint32_t>> groups;  // topics of one group, of at least five
  std::vector<std::string> examples, quotes, passages, code;
  std::vector<Dialog> dialogs, foreign;
};
Result<Texts> load_texts(const std::string& folder);

template <class T>
const T& pick(base::Random& random, const std::vector<T>& from) {
  return from[random.below(from.size())];
}
double log_normal(base::Random& random, double median, double sigma);
// True with probability p.
inline bool chance(base::Random& random, double p) {
  return random.uniform() < p;
}
// How often something that goes on with probability p happens, at most `most` times.
int run_length(base::Random& random, double p, int most);

// {n} the noun, {g} its gloss, {k} its group, {m} another noun, {t} a text.
std::string fill(std::string_view frame, const Topic& topic, const Topic& other,
                 std::string_view text = "");

// What people ask, what harvesters and writers have templates for, what batches do.
const std::vector<std::string>& question_frames();
const std::vector<std::string>& writing_frames();
const std::vector<std::string>& batch_frames();
const std::vector<std::string>& follow_ups();
const std::vector<std::string>& reasoning_demands();
const std::vector<std::string>& data_demands();
// An instruction in words that hardly come twice: verb, object, manner and reader are drawn apart.
std::string paraphrase(base::Random& random, const Topic& topic);
// A template: one of writing_frames() as others use it, or wording of one's own.
std::string writing_frame(base::Random& random);

}  // namespace retort::bench::harvest
