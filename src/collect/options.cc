#include "collect/options.h"

#include <fmt/core.h>

#include "collect/prompt_file.h"
#include "collect/prompt_template.h"
#include "corpus/logprobs.h"

namespace retort::collect {
namespace {

Result<void> in_range(const char* name, double value, double least, double most) {
  if (value >= least && value <= most) return {};
  return base::usage_error(
      fmt::format("{} must be from {} to {}, not {}", name, least, most, value),
      fmt::format("collect.{}", name));
}

Result<void> check_ranges(const Options& options) {
  struct Range {
    const char* name;
    double value, least, most;
  };
  const auto d = [](int64_t value) { return static_cast<double>(value); };
  for (const Range& range :
       {Range{"samples", d(options.samples), 1, 1000},
        Range{"temperature", options.temperature, 0, 2}, Range{"top_p", options.top_p, 0.001, 1},
        Range{"top_k", d(options.top_k), 0, 1e6},
        Range{"repetition_penalty", options.repetition_penalty, 0.1, 10},
        Range{"max_tokens", d(options.max_tokens), 1, 1e6},
        Range{"top_logprobs", d(options.top_logprobs), 0, corpus::kLogprobEntriesMax - 1},
        Range{"concurrency", d(options.concurrency), 1, 4096},
        Range{"timeout_s", d(options.timeout_s), 1, 86400},
        Range{"patience_s", d(options.patience_s), 1, 864000},
        Range{"attempts", d(options.attempts), 1, 100}}) {
    RETORT_TRY_VOID(in_range(range.name, range.value, range.least, range.most));
  }
  return {};
}

Result<Money> optional_dollars(const std::string& text, const char* name) {
  if (text.empty()) return Money{0};
  return parse_dollars(text, name);
}

Result<void> check_money(const Options& options, const AskingOptions& asking) {
  if (asking.limits.money <= 0 && !options.budget_usd.empty()) {
    return base::usage_error("a budget of nothing buys nothing", "collect.budget_usd");
  }
  const bool priced = !options.price_prompt_usd.empty() && !options.price_answer_usd.empty();
  if (asking.limits.money > 0 && !priced) {
    return base::usage_error("a budget in money needs prices", "collect.budget_usd",
                             "set price_prompt_usd and price_answer_usd (for a million tokens)");
  }
  return {};
}

Result<PromptList> prompts_of_templates(const Options& options) {
  TemplateOptions made;
  made.templates = options.templates;
  made.count = options.count;
  made.seed = static_cast<uint64_t>(options.seed);
  for (const auto& [name, path] : options.words) {
    RETORT_TRY(made.words[name], read_word_list(path));
  }
  RETORT_TRY(auto prompts, sample_prompts(made));
  return PromptList{std::move(prompts), {}};
}

}  // namespace

void describe(base::Options& table, Teacher& teacher) {
  table.add("base_url", &teacher.base_url, "the teacher's address, up to and with /v1");
  table.add("api_key_env", &teacher.api_key_env, "environment variable that holds the API key");
  table.add("model", &teacher.model, "the teacher's name for the model");
  table.add("terms", &teacher.terms, "terms files of the teacher's door and model");
}

void describe(base::Options& table, Options& o) {
  table.add("prompt_terms", &o.prompt_terms, "terms files of the prompts");
  table.add("prompts", &o.prompts, "JSONL file of prompts");
  table.add("template", &o.templates, "prompt templates with slots like {noun} or {a noun2}");
  table.add("words", &o.words, "word list of a slot: words.noun = \"nouns.txt\"");
  table.add("count", &o.count, "prompts to make from the templates");
  table.add("seed", &o.seed, "which prompts are made from the templates");
  table.add("samples", &o.samples, "answers to ask for each prompt");
  table.add("system", &o.system, "system message put before every prompt");
  table.add("temperature", &o.temperature, "sampling temperature");
  table.add("top_p", &o.top_p, "nucleus sampling; 1 is not sent");
  table.add("top_k", &o.top_k, "sample among so many tokens; 0 is not sent");
  table.add("repetition_penalty", &o.repetition_penalty, "of generated tokens; 1 is not sent");
  table.add("max_tokens", &o.max_tokens, "longest answer");
  table.add("sampling_seed", &o.sampling_seed, "seed sent with the requests; -1 is not sent");
  table.add("top_logprobs", &o.top_logprobs,
            "log-probabilities of so many likely tokens for each token; 0 asks for none");
  table.add("concurrency", &o.concurrency, "requests at once");
  table.add("timeout_s", &o.timeout_s, "longest wait for one answer, seconds");
  table.add("patience_s", &o.patience_s, "give up after so many seconds without any answer");
  table.add("attempts", &o.attempts, "how often a request that broke is sent in one run");
  table.add("budget_requests", &o.budget_requests, "most requests, over all runs; 0 is no limit");
  table.add("budget_tokens", &o.budget_tokens, "most tokens, over all runs; 0 is no limit");
  table.add("budget_usd", &o.budget_usd, "most dollars, over all runs, as \"5.00\"");
  table.add("price_prompt_usd", &o.price_prompt_usd, "dollars for a million prompt tokens");
  table.add("price_answer_usd", &o.price_answer_usd, "dollars for a million answer tokens");
}

Result<AskingOptions> asking_options(const Teacher& teacher, const Options& options) {
  if (!teacher.base_url.starts_with("http://") && !teacher.base_url.starts_with("https://")) {
    return base::usage_error(
        fmt::format("the teacher's address must begin with https:// or http://, not \"{}\"",
                    teacher.base_url),
        "teacher.base_url", "for example \"https://api.example.com/v1\"");
  }
  if (teacher.model.empty()) {
    return base::usage_error("the run does not name the teacher's model", "teacher.model");
  }
  RETORT_TRY_VOID(check_ranges(options));
  AskingOptions out;
  RETORT_TRY(out.limits.money, optional_dollars(options.budget_usd, "collect.budget_usd"));
  RETORT_TRY(out.prices.prompt,
             optional_dollars(options.price_prompt_usd, "collect.price_prompt_usd"));
  RETORT_TRY(out.prices.answer,
             optional_dollars(options.price_answer_usd, "collect.price_answer_usd"));
  RETORT_TRY_VOID(check_money(options, out));
  out.limits.requests = options.budget_requests;
  out.limits.tokens = options.budget_tokens;
  out.pacing.concurrency = options.concurrency;
  out.pacing.patience_ms = options.patience_s * 1000;
  out.pacing.connect_patience_ms = std::min<int64_t>(out.pacing.patience_ms, 15'000);
  out.pacing.seed = static_cast<uint64_t>(options.seed);
  out.max_attempts = options.attempts;
  out.top_logprobs = options.top_logprobs;
  return out;
}

Result<PromptList> make_prompts(const Options& options) {
  const bool from_file = !options.prompts.empty();
  if (from_file == !options.templates.empty()) {
    return base::usage_error(
        from_file ? "prompts and template were both given" : "there are no prompts to ask",
        "collect", "give either prompts = \"FILE.jsonl\" or template = \"...\"");
  }
  RETORT_TRY(auto list,
             from_file ? read_prompt_file(options.prompts) : prompts_of_templates(options));
  if (options.system.empty()) return list;
  for (auto& prompt : list.prompts) {
    if (prompt.messages.front().role == dialog::Role::system) continue;
    prompt.messages.insert(prompt.messages.begin(), {dialog::Role::system, options.system});
  }
  return list;
}

}  // namespace retort::collect
