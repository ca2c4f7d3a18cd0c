#include "ledger/made_up_records.h"

#include <fmt/core.h>

namespace retort::bench {

Result<terms::Terms> open_terms() {
  std::string text =
      "schema = \"retort.terms/1\"\nassigner = \"A\"\nseries = \"bench\"\nversion = \"1\"\n"
      "[time]\neffective = 2020-01-01\n[source]\nbasis = \"express\"\n";
  for (const auto action : terms::all_actions()) {
    text += fmt::format(
        "[[rule]]\neffect = \"permit\"\naction = \"{}\"\nclause = \"1\"\ntext = \"w\"\n",
        terms::name(action));
  }
  return terms::parse_terms(text + "[review]\nreader = \"R\"\n", "bench.toml");
}

corpus::Record made_up_request(int64_t i, const std::string& terms_id) {
  corpus::Record out;
  out.door = {"local", "https://bench.example.com/v1", ""};
  out.model = "m";
  out.messages = {{dialog::Role::user, fmt::format("Write a two-sentence story about a lamp {} "
                                                   "and the river behind house {}.",
                                                   i, i * 7)}};
  out.terms = {{terms_id, terms::Object::outputs}};
  return out;
}

corpus::Answer made_up_answer(int64_t i) {
  corpus::Answer answer;
  answer.text = fmt::format(
      "The lamp numbered {} had stood by the window for {} winters, and nobody in the house "
      "remembered who had lit it first. When the river rose that spring, its light was what "
      "the {} boats steered by, until the water went down and the town was dry again.",
      i, i % 97, i % 13 + 2);
  answer.finish_reason = "stop";
  answer.model_answered = "m";
  return answer;
}

}  // namespace retort::bench
