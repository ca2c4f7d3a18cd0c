// The answer in one paragraph, in the order in which people ask.
#include <fmt/core.h>

#include "report/numbers_internal.h"
#include "report/sections_internal.h"

namespace retort::report {
namespace {

constexpr size_t kQuoteBytes = 200;

bool begins(const std::string& text, const char* with) {
  return text.rfind(with, 0) == 0;
}

// "smollm2-apache 2025-01" with the clause that carries the training, for each set of terms.
std::string under_which_clause(const Run& run) {
  std::string out;
  for (const auto& terms : items(run.permission, "terms")) {
    for (const auto& clause : items(terms, "clauses")) {
      if (!is_permitted(text(clause, "effect")) || !begins(text(clause, "action"), "train")) {
        continue;
      }
      const std::string quote = text(clause, "text");
      out += fmt::format("{}{} {} ({}{})", out.empty() ? " under " : " and ",
                         text(terms, "series", "unnamed terms"), text(terms, "version"),
                         action_text(text(clause, "action")),
                         quote.empty() || quote.size() > kQuoteBytes ? "" : ": “" + quote + "”");
      break;
    }
  }
  return out;
}

std::string learnt(const Run& run) {
  const std::string name = model_name(run);
  const std::string teacher = has_teacher(run) ? teacher_name(run) : "own texts";
  if (run.permission.is_null()) {
    return fmt::format("{} has learnt nothing yet: permission has not been checked.", name);
  }
  const std::string verdict = text(run.permission, "verdict", "unknown");
  if (!is_permitted(verdict)) {
    return fmt::format("The terms do not allow {} to learn from {} (verdict: {}).", name, teacher,
                       verdict);
  }
  if (run.stages.count("train") == 0) {
    return fmt::format("{} may learn from {}{}, but has not been trained yet.", name, teacher,
                       under_which_clause(run));
  }
  const auto records = number(run.funnel, "train");
  return fmt::format("{} learnt from {}{}{}.", name, records ? count_text(*records) + " " : "",
                     has_teacher(run) ? "answers of " + teacher : teacher, under_which_clause(run));
}

std::string better_than_ngram(const Run& run) {
  const auto student = estimate(run.results, "bits_per_byte/student");
  const auto ngram = estimate(run.results, "bits_per_byte/ngram");
  if (!student || !ngram) return "";
  const auto difference = estimate(run.results, "bits_per_byte/difference");
  const bool apart = difference ? difference->low * difference->high > 0
                                : student->high < ngram->low || ngram->high < student->low;
  const std::string facts =
      fmt::format("on held-out prompts it needs {} bits per byte of the {}answers, a 5-gram {}",
                  decimal_text(student->value, 3), has_teacher(run) ? "teacher's " : "",
                  decimal_text(ngram->value, 3));
  if (!apart) return "It is not measurably better than a 5-gram: " + facts + ".";
  const bool better = student->value < ngram->value;
  return fmt::format(
      "It is {} than a 5-gram: {}, and the 95 % interval of the difference leaves "
      "out zero.",
      better ? "better" : "worse", facts);
}

std::string where_it_falls_short(const Run& run) {
  const auto student = estimate(run.results, "named/student");
  const auto teacher = estimate(run.results, "named/teacher");
  if (!student || !teacher) return "";
  const std::string facts = fmt::format("{} of its answers name all the things asked for, {} of {}",
                                        percent_text(student->value), percent_text(teacher->value),
                                        has_teacher(run) ? "the teacher's" : "the texts' own");
  const std::string whom = has_teacher(run) ? "the teacher: " : "what it learnt from: ";
  if (student->high < teacher->low) return "It falls short of " + whom + facts + ".";
  if (student->low > teacher->high) return "In one thing it beats " + whom + facts + ".";
  return "In naming what was asked it cannot be told from " + whom + facts + ".";
}

}  // namespace

std::vector<std::string> headline(const Run& run) {
  std::vector<std::string> sentences;
  for (auto& sentence : {learnt(run), better_than_ngram(run), where_it_falls_short(run)}) {
    if (!sentence.empty()) sentences.push_back(sentence);
  }
  if (run.results.is_null() && run.stages.count("train") != 0) {
    sentences.push_back("It has not been evaluated yet.");
  }
  return sentences;
}

}  // namespace retort::report
