#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "evaluate/results_internal.h"

namespace retort::evaluate {
namespace {

json::Value interval_json(const Interval& interval) {
  return json::Value::object(
      {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}});
}

json::Value named_json(const std::optional<Named>& named) {
  if (!named) return {};
  return interval_json(named->share).set("n", named->answers);
}

json::Value readability_json(const Readability& r) {
  return json::Value::object({{"answers", r.answers},
                              {"share_ended_by_themselves", r.ended},
                              {"words_per_answer", r.mean_words},
                              {"sentences_per_answer", r.mean_sentences},
                              {"distinct_2", r.distinct_2},
                              {"share_of_repeated_4grams", r.repeated_4grams}});
}

void note_bits(const Summary& s, std::vector<std::string>& out) {
  if (s.records == 0) return;
  const bool apart =
      s.student_bits.high < s.ngram_bits.low || s.student_bits.low > s.ngram_bits.high;
  const char* verdict = s.difference.high < 0  ? "better than"
                        : s.difference.low > 0 ? "worse than"
                                               : "not measurably better or worse than";
  out.push_back(fmt::format(
      "The student predicts the teacher's held-out answers {} the 5-gram: {:.3f} against {:.3f} "
      "bits per byte; the two 95 % intervals {}.",
      verdict, s.student_bits.value, s.ngram_bits.value, apart ? "lie apart" : "overlap"));
  out.emplace_back(
      "Bits per byte count each answer's tokens and the stop token behind it, for student and "
      "5-gram "
      "alike, over the bytes of the answer's text; the prompt is context.");
  if (s.too_long > 0) {
    out.push_back(fmt::format(
        "{} held-out records are longer than the student's positions and were left out.",
        s.too_long));
  }
}

void note_named(const Summary& s, std::vector<std::string>& out) {
  if (!s.teacher_named || !s.student_named) {
    out.emplace_back(
        "No held-out prompt has slots, so naming the things asked for is not measured.");
    return;
  }
  const Interval& teacher = s.teacher_named->share;
  const Interval& student = s.student_named->share;
  if (student.value < teacher.value) {
    out.push_back(
        fmt::format("The student falls short of the teacher in naming what was asked for: {:.1f} % "
                    "of its answers "
                    "name everything, {:.1f} % of the teacher's{}.",
                    100 * student.value, 100 * teacher.value,
                    student.high < teacher.low ? "" : " (the intervals overlap)"));
  }
  out.emplace_back(
      "An answer names a thing when the thing's words stand in it next to each other as whole "
      "words, "
      "in any case; the last may be a plural with s, es or ies.");
}

void note_readability(const Summary& s, std::vector<std::string>& out) {
  const Readability& teacher = s.teacher;
  const Readability& student = s.student;
  if (student.answers == 0) return;
  if (student.ended < teacher.ended - 0.005) {
    out.push_back(
        fmt::format("{:.1f} % of the student's answers end by themselves, {:.1f} % of the "
                    "teacher's; answers of "
                    "the teacher that were cut off may have been dropped by curation.",
                    100 * student.ended, 100 * teacher.ended));
  }
  if (std::abs(student.mean_words - teacher.mean_words) > 0.2 * teacher.mean_words) {
    out.push_back(fmt::format("The student's answers are {}: {:.1f} words against {:.1f}.",
                              student.mean_words < teacher.mean_words ? "shorter" : "longer",
                              student.mean_words, teacher.mean_words));
  }
  if (student.distinct_2 < 0.9 * teacher.distinct_2) {
    out.push_back(fmt::format(
        "The student's wording is less varied: {:.3f} of its word pairs are different ones, {:.3f} "
        "of the teacher's.",
        student.distinct_2, teacher.distinct_2));
  }
  if (student.repeated_4grams > teacher.repeated_4grams + 0.005) {
    out.push_back(fmt::format(
        "The student repeats itself more: {:.1f} % of its four-word runs stood in the same answer "
        "before, {:.1f} % of the teacher's.",
        100 * student.repeated_4grams, 100 * teacher.repeated_4grams));
  }
}

}  // namespace

std::vector<std::string> sentences(const Summary& summary) {
  std::vector<std::string> out;
  note_bits(summary, out);
  note_named(summary, out);
  note_readability(summary, out);
  return out;
}

json::Value to_json(const Summary& s) {
  json::Value notes = json::Value::array();
  for (const std::string& note : s.notes) notes.push(note);
  return json::Value::object(
      {{"schema", "retort.evaluation/1"},
       {"held_out", json::Value::object({{"records", s.records},
                                         {"prompts", s.prompts},
                                         {"bytes", s.bytes},
                                         {"too_long", s.too_long}})},
       {"bits_per_byte", json::Value::object({{"student", interval_json(s.student_bits)},
                                              {"ngram", interval_json(s.ngram_bits)},
                                              {"difference", interval_json(s.difference)}})},
       {"named", json::Value::object({{"teacher", named_json(s.teacher_named)},
                                      {"student", named_json(s.student_named)}})},
       {"readability", json::Value::object({{"teacher", readability_json(s.teacher)},
                                            {"student", readability_json(s.student)}})},
       {"notes", std::move(notes)}});
}

std::string samples_text(const std::vector<Pair>& pairs, int64_t count) {
  std::string out;
  const size_t shown = std::min(pairs.size(), static_cast<size_t>(count));
  for (size_t i = 0; i < shown; ++i) {
    const Pair& pair = pairs[i];
    std::string prompt;
    for (const dialog::Message& message : pair.prompt) {
      prompt += (prompt.empty() ? "" : "\n") + message.content;
    }
    json::Value slots = json::Value::object();
    for (const auto& [name, value] : pair.slots) slots.set(name, value);
    out += json::dump(json::Value::object({{"prompt", prompt},
                                           {"teacher", pair.teacher.text},
                                           {"student", pair.student.text},
                                           {"slots", std::move(slots)}})) +
           "\n";
  }
  return out;
}

}  // namespace retort::evaluate
