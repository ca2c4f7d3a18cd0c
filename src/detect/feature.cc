#include "detect/feature.h"

namespace retort::detect {
namespace {

constexpr std::array<FeatureText, kFeatures> kTexts = {{
    {Family::content, "templated", "the requests share their first or last words"},
    {Family::content, "volume", "how many different prompts there are of this kind"},
    {Family::content, "prompt_novelty", "the share of prompts that had not been asked before"},
    {Family::content, "fixed_words", "how much of each prompt is the same in all"},
    {Family::content, "slot_brevity", "how short the part is that changes"},
    {Family::content, "topic_novelty", "the share of prompts on a subject not asked about before"},
    {Family::content, "filled_template",
     "one template with a short part that changes and never comes back"},
    {Family::yield, "answer_length", "how long the answers are"},
    {Family::yield, "answer_to_prompt", "how long the answers are beside the prompts"},
    {Family::yield, "tokens_taken", "how many tokens of answers were taken in all"},
    {Family::yield, "answer_spread", "how much the lengths of answers differ"},
    {Family::conversation, "one_shot", "the share of questions that nothing followed"},
    {Family::conversation, "reuse", "the share of requests that bring an earlier answer back"},
    {Family::conversation, "foreign_history",
     "the share of requests with earlier answers that were not given here"},
    {Family::conversation, "multi_turn", "the share of requests with a dialog before them"},
    {Family::order, "adjacent_likeness",
     "how much nearer neighbours are to each other than any two prompts"},
    {Family::order, "sorted", "whether the prompts come in the order of the alphabet"},
    {Family::order, "numbered", "the share of prompts that count on from the one before"},
    {Family::order, "shuffled", "prompts that are all new and in no order that a subject gives"},
    {Family::options, "logprobs", "the share of requests for log-probabilities"},
    {Family::options, "many_answers", "the share of requests for several answers at once"},
    {Family::options, "asked_again_warm",
     "the share of prompts asked again at a temperature above zero"},
    {Family::options, "one_setting", "the share of requests with the very same options"},
    {Family::options, "long_limit", "the share of requests that allow long answers by a limit"},
    {Family::elicitation, "reasoning", "the share of prompts that ask for the way to the answer"},
    {Family::elicitation, "data_making",
     "the share of prompts that ask for rubrics, questions or training material"},
    {Family::timing, "hours_spread", "how evenly the requests lie over the hours of the day"},
    {Family::timing, "gap_evenness", "how alike the pauses between requests are"},
    {Family::timing, "pace", "how short the pauses between requests are"},
    {Family::timing, "burst", "how much of the requests fell into few hours"},
    {Family::company, "accounts", "how many accounts make requests of this kind"},
    {Family::company, "overlap", "the share of prompts that more than one of the accounts asked"},
    {Family::company, "few_addresses", "how few networks the accounts come from"},
    {Family::company, "few_payments", "how few payers stand behind the accounts"},
    {Family::company, "taking_turns", "how often the next request is another account's"},
    {Family::company, "together",
     "the share of requests within seconds of another account's, beside what their number gives"},
    {Family::company, "same_client",
     "the share of requests with the same options from accounts that declare the same purpose"},
    {Family::company, "unusual",
     "how unusual the accounts are among honest ones of their purposes"},
    {Family::company, "harvest_like", "how much like gathering each account looks by itself"},
}};

}  // namespace

const FeatureText& text_of(Feature feature) {
  return kTexts[static_cast<size_t>(feature)];
}

std::string_view name(Family family) {
  constexpr std::array<std::string_view, kFamilies> kNames = {
      "content", "yield", "conversation", "order", "options", "elicitation", "timing", "company"};
  return kNames[static_cast<size_t>(family)];
}

std::string_view words(Family family) {
  constexpr std::array<std::string_view, kFamilies> kWords = {
      "what is asked",
      "how much is taken for what is asked",
      "whether answers are used in what is asked next",
      "the order in which it is asked",
      "the options of the requests",
      "asking for reasoning, rubrics or training material",
      "the hours and the pauses",
      "how several accounts share the work"};
  return kWords[static_cast<size_t>(family)];
}

}  // namespace retort::detect
