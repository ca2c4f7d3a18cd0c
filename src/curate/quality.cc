#include "curate/quality.h"

#include "base/check.h"

namespace retort::curate {
namespace {

struct Named {
  const char* name;
  const char* explanation;
};

constexpr Named kReasons[kDropReasons] = {
    {"none", "kept"},
    {"not in this run", "the run file no longer asks for it"},
    {"empty", "the answer has no words"},
    {"truncated", "the answer was cut off at max_tokens"},
    {"filtered", "the provider's content filter cut or replaced the answer"},
    {"refused", "the teacher declined to answer"},
    {"wrong model", "another model answered than the one that was asked"},
    {"too short", "the answer has fewer words than min_words"},
    {"too long", "the answer has more words than max_words"},
    {"repetitive", "the answer repeats itself"},
    {"exact duplicate", "the same prompt has the same answer already"},
    {"near duplicate", "another answer is almost the same"},
    {"near a held-out answer", "the answer is almost the same as a held-out one"},
};

std::string plain(std::string_view text, size_t most) {
  std::string out;
  for (size_t at = 0; at < text.size() && out.size() < most; ++at) {
    const char c = text[at];
    if (out.empty() && (c == ' ' || c == '\n' || c == '\t')) continue;
    if (text.substr(at, 3) == "\xe2\x80\x99") {
      out += '\'';
      at += 2;
    } else {
      out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  return out;
}

}  // namespace

const char* name(Drop reason) {
  return kReasons[static_cast<int>(reason)].name;
}
const char* explain(Drop reason) {
  return kReasons[static_cast<int>(reason)].explanation;
}

const std::vector<std::string>& refusal_openings() {
  static const std::vector<std::string> openings = {
      "i'm sorry, but",
      "i am sorry, but",
      "i'm sorry, i",
      "i am sorry, i",
      "sorry, i can't",
      "sorry, but i",
      "sorry, i cannot",
      "i apologize, but",
      "i apologise, but",
      "my apologies, but",
      "i can't assist",
      "i can't help",
      "i can't provide",
      "i can't create",
      "i can't write",
      "i can't fulfill",
      "i cannot assist",
      "i cannot help",
      "i cannot provide",
      "i cannot create",
      "i cannot write",
      "i cannot fulfill",
      "i cannot comply",
      "i can't comply",
      "i'm unable to",
      "i am unable to",
      "i'm not able to",
      "i am not able to",
      "i won't be able to",
      "i will not be able",
      "i must decline",
      "i have to decline",
      "i must refuse",
      "as an ai ",
      "as an ai,",
      "as an ai-",
      "as a language model",
      "as a large language",
      "as an artificial intelligence",
      "i'm just an ai",
      "i am just an ai",
      "i'm an ai ",
      "i don't have the ability",
      "i do not have the ability",
  };
  return openings;
}

bool opens_with_refusal(std::string_view answer) {
  const std::string start = plain(answer, 64);
  for (const auto& opening : refusal_openings()) {
    if (start.starts_with(opening)) return true;
  }
  return false;
}

Drop judge_answer(const AnswerFacts& facts, const Words& words, const QualityOptions& options) {
  const auto count = static_cast<int64_t>(words.size());
  if (facts.filtered) return Drop::filtered;
  if (facts.refused) return Drop::refused;
  if (count == 0) return Drop::empty;
  if (facts.truncated) return Drop::truncated;
  if (facts.wrong_model) return Drop::wrong_model;
  if (opens_with_refusal(facts.text)) return Drop::refused;
  if (count < options.min_words) return Drop::too_short;
  if (count > options.max_words) return Drop::too_long;
  if (repetition(words) > options.max_repetition) return Drop::repetitive;
  return Drop::none;
}

}  // namespace retort::curate
