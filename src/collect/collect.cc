#include "collect/collect.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/cancel.h"
#include "base/files.h"
#include "base/log.h"
#include "base/progress.h"
#include "collect/ask_all.h"
#include "collect/gathering_notebook.h"
#include "collect/wire.h"

namespace retort::collect {
namespace {

constexpr size_t kPromptBytesShown = 60;  // enough to know it again

constexpr const char* kFiltered =
    "log-probabilities are asked together with temperature, top_p, top_k or repetition_penalty, "
    "after which some servers take them, and nothing in an answer tells; ask at temperature 1 "
    "without the others, or serve the teacher with retort";

bool is_filtered(const Options& options) {
  return options.top_logprobs > 0 && (options.temperature != 1 || options.top_p != 1 ||
                                      options.top_k != 0 || options.repetition_penalty != 1);
}

struct Requests {
  std::vector<corpus::Record> records;
  std::set<std::string> keys;
  int64_t prompts = 0;
  std::vector<std::string> notes;
};

Result<Requests> make_requests(const Teacher& teacher, const Options& options) {
  RETORT_TRY(const PromptList list, make_prompts(options));
  Requests out;
  out.prompts = static_cast<int64_t>(list.prompts.size());
  out.notes = list.notes;
  for (const Prompt& prompt : list.prompts) {
    for (int64_t sample = 0; sample < options.samples; ++sample) {
      corpus::Record record = request_of(teacher, options, prompt, sample);
      record.key = corpus::record_key(record);
      if (out.keys.insert(record.key).second) out.records.push_back(std::move(record));
    }
  }
  if (!teacher.raw_logprobs && is_filtered(options)) out.notes.emplace_back(kFiltered);
  const int64_t twice = out.prompts * options.samples - static_cast<int64_t>(out.records.size());
  if (twice > 0) {
    out.notes.push_back(fmt::format("{} prompts are the same as another one and asked only once",
                                    base::grouped(twice / options.samples)));
  }
  return out;
}

struct BoundTerms {
  terms::TermsSet set;
  std::vector<terms::Reference> references;
};

Result<void> bind(BoundTerms& bound, const std::vector<std::string>& paths, terms::Object object) {
  for (const auto& path : paths) {
    RETORT_TRY(auto one, terms::load_terms(path));
    bound.references.push_back({one.id, object});
    bound.set.add(std::move(one));
  }
  return {};
}

Result<BoundTerms> bind_terms(const Teacher& teacher, const Options& options) {
  if (teacher.terms.empty()) {
    return base::usage_error("the run does not say under which terms the teacher answers",
                             "teacher.terms",
                             "name a terms file; retort terms show lists those shipped");
  }
  if (options.prompt_terms.empty()) {
    return base::usage_error("the run does not say under which terms the prompts stand",
                             "collect.prompt_terms",
                             "name a terms file, \"terms/own-work.toml\" for prompts of your own");
  }
  BoundTerms bound;
  RETORT_TRY_VOID(bind(bound, teacher.terms, terms::Object::outputs));
  RETORT_TRY_VOID(bind(bound, options.prompt_terms, terms::Object::texts));
  return bound;
}

Spend to_spend(const corpus::Spend& spend) {
  return {.requests = spend.requests,
          .prompt_tokens = spend.prompt_tokens,
          .answer_tokens = spend.completion_tokens,
          .money = multiply_clamped(spend.cost_micros, kMicroDollar)};
}

Result<int64_t> count_done(corpus::Gathering& gathering, const std::set<std::string>& keys,
                           std::map<std::string, int64_t>* reasons) {
  int64_t done = 0;
  RETORT_TRY_VOID(gathering.for_each_done([&](const corpus::Gathering::DoneInfo& info) {
    if (!keys.contains(info.key)) return;
    ++done;
    if (reasons != nullptr) ++(*reasons)[info.finish_reason];
  }));
  return done;
}

class ProgressLine {
 public:
  ProgressLine(int64_t done_before, int64_t total)
      : progress_("collect", total, "answers"),
        done_before_(done_before),
        started_s_(base::monotonic_seconds()) {}

  void operator()(const Asking& asking) {
    const Tally& tally = asking.tally();
    const double elapsed_s = std::max(0.001, base::monotonic_seconds() - started_s_);
    const auto rate = static_cast<int64_t>(static_cast<double>(tally.answer_tokens) / elapsed_s);
    std::string detail = base::grouped(rate) + " tokens/s";
    if (tally.retries > 0) detail += fmt::format(", {} retries", base::grouped(tally.retries));
    const Money money = asking.budget().spent().money;
    if (money > 0) detail += ", " + dollars(money);
    if (asking.pacing().down()) detail += ", waiting for the teacher";
    progress_.update(done_before_ + tally.answered, detail);
  }
  void finish(const std::string& text) { progress_.finish(text); }

 private:
  base::Progress progress_;
  int64_t done_before_;
  double started_s_;
};

// The teacher's address for people: a name and password in it are for nobody's eyes.
std::string address_of(const Teacher& teacher) {
  std::string url = teacher.base_url;
  const size_t scheme = url.find("://");
  const size_t start = scheme == std::string::npos ? 0 : scheme + 3;
  const size_t end = std::min(url.find('/', start), url.size());
  const size_t at = url.rfind('@', end);
  if (at != std::string::npos && at >= start) url.erase(start, at + 1 - start);
  return url.substr(0, url.find_first_of("?#"));
}

constexpr int kCasesTold = 8;  // however often a teacher changes its mind

class Collection {
 public:
  Collection(const Teacher& teacher, const Options& options, const Place& place,
             ledger::Ledger& ledger)
      : teacher_(teacher), options_(options), place_(place), ledger_(ledger) {}

  Result<Summary> run() {
    const double start_s = base::monotonic_seconds();
    RETORT_TRY(asking_options_, asking_options(teacher_, options_));
    RETORT_TRY(terms_, bind_terms(teacher_, options_));
    RETORT_TRY(requests_, make_requests(teacher_, options_));
    RETORT_TRY_VOID(open_and_plan());
    const auto asked = ask();
    if (!asked && asked.error().code == ErrorCode::storage) return asked.error();
    RETORT_TRY(summary_.sealed, seal());
    if (!asked) return asked.error().at(address_of(teacher_));
    RETORT_TRY_VOID(sum_up());
    summary_.seconds = base::monotonic_seconds() - start_s;
    return std::move(summary_);
  }

 private:
  Result<void> open_and_plan() {
    RETORT_TRY(gathering_, corpus::Gathering::open(place_.database));
    for (auto& record : requests_.records) {
      record.terms = terms_.references;
      record.principal = place_.principal;
    }
    RETORT_TRY_VOID(gathering_->plan(requests_.records));
    RETORT_TRY_VOID(gathering_->retry_failed());
    RETORT_TRY(done_before_, count_done(*gathering_, requests_.keys, nullptr));
    for (const auto& note : requests_.notes) base::log_warning("{}", note);
    return {};
  }

  Result<void> ask() {
    const auto total = static_cast<int64_t>(requests_.records.size());
    if (done_before_ == total) return {};
    RETORT_TRY(const corpus::Spend spent, gathering_->spend());
    auto& clock = base::system_clock();
    RETORT_TRY(const auto sender, open_http_sender(teacher_, options_));
    Asking asking(asking_options_, to_spend(spent), clock.monotonic_ms());
    GatheringNotebook notebook(*gathering_, asking_options_.prices, requests_.keys, clock);
    ProgressLine line(done_before_, total);
    auto result = ask_all(asking, {*sender, notebook, clock, [&](const Asking& now) {
                                     line(now);
                                     tell_case(now.tally().policy_case);
                                   }});
    summary_.retries = asking.tally().retries;
    if (asking.tally().without_logprobs > 0) {
      summary_.notes.push_back(fmt::format("{} answers came without log-probabilities",
                                           base::grouped(asking.tally().without_logprobs)));
      base::log_warning("{}", summary_.notes.back());
    }
    line.finish(fmt::format("{} of {} answers, {} answer tokens, {}",
                            base::grouped(done_before_ + asking.tally().answered),
                            base::grouped(total), base::grouped(asking.tally().answer_tokens),
                            dollars(asking.budget().spent().money)));
    return result;
  }

  // At once and each time that it changes: a warning is to be read while there is time to heed it.
  void tell_case(const std::string& policy_case) {
    if (policy_case == told_case_ || cases_told_ == kCasesTold) return;
    told_case_ = policy_case;
    ++cases_told_;
    summary_.notes.push_back(
        fmt::format("the teacher's provider has a case against this account ({}): see {}/policy/"
                    "cases, and stop if your use is not permitted",
                    policy_case, teacher_.base_url));
    base::log_warning("{}", summary_.notes.back());
  }

  Result<corpus::SealReport> seal() {
    return corpus::seal(*gathering_, ledger_, terms_.set, {.folder = place_.shards});
  }

  Result<void> sum_up() {
    summary_.planned = static_cast<int64_t>(requests_.records.size());
    RETORT_TRY(summary_.done, count_done(*gathering_, requests_.keys, &summary_.finish_reasons));
    summary_.failed = summary_.planned - summary_.done;
    RETORT_TRY(const corpus::Counts counts, gathering_->counts());
    summary_.requests = counts.requests;
    summary_.resent = counts.possibly_resent;
    RETORT_TRY(summary_.spend, gathering_->spend());
    summary_.notes.insert(summary_.notes.begin(), requests_.notes.begin(), requests_.notes.end());
    RETORT_TRY(const auto reasons, gathering_->failure_reasons());
    for (const auto& [reason, jobs, first_key] : reasons) {
      summary_.notes.push_back(fmt::format("{} {} given up: {}{}", base::grouped(jobs),
                                           jobs == 1 ? "request was" : "requests were", reason,
                                           prompt_beginning(first_key)));
      base::log_warning("{}", summary_.notes.back());
    }
    if (summary_.done > 0) return {};
    return base::upstream_error(
        "the teacher answered none of the requests", teacher_.base_url,
        reasons.empty() ? "" : "the most frequent reason: " + reasons[0].reason);
  }

  // For a person who looks for the prompt; "" for one of an earlier run file.
  std::string prompt_beginning(const std::string& key) const {
    for (const auto& record : requests_.records) {
      if (record.key != key || record.messages.empty()) continue;
      const std::string& prompt = record.messages.back().content;
      return fmt::format(" (the prompt that begins “{}”)",
                         base::clipped(prompt, kPromptBytesShown));
    }
    return "";
  }

  const Teacher& teacher_;
  const Options& options_;
  const Place& place_;
  ledger::Ledger& ledger_;
  AskingOptions asking_options_;
  BoundTerms terms_;
  Requests requests_;
  std::unique_ptr<corpus::Gathering> gathering_;
  int64_t done_before_ = 0;
  std::string told_case_;
  int cases_told_ = 0;
  Summary summary_;
};

}  // namespace

Result<Summary> collect(const Teacher& teacher, const Options& options, const Place& place,
                        ledger::Ledger& ledger) {
  return Collection(teacher, options, place, ledger).run();
}

Result<std::set<std::string>> planned_keys(const Teacher& teacher, const Options& options) {
  RETORT_TRY(auto requests, make_requests(teacher, options));
  return std::move(requests.keys);
}

Result<Estimate> estimate(const Teacher& teacher, const Options& options,
                          const std::string& database, double tokens_per_s) {
  RETORT_TRY(const AskingOptions asking, asking_options(teacher, options));
  RETORT_TRY(const Requests requests, make_requests(teacher, options));
  Estimate out;
  out.prompts = requests.prompts;
  out.requests = static_cast<int64_t>(requests.records.size());
  out.notes = requests.notes;
  std::set<std::string> done;
  if (base::exists(database)) {
    RETORT_TRY(const auto gathering, corpus::Gathering::open(database, {.read_only = true}));
    RETORT_TRY_VOID(gathering->for_each_done(
        [&](const corpus::Gathering::DoneInfo& info) { done.insert(info.key); }));
  }
  for (const auto& record : requests.records) {
    if (done.contains(record.key)) {
      ++out.done;
      continue;
    }
    out.likely.add(likely_of(record, asking.prices));
    out.most.add(most_of(record, asking.prices));
  }
  if (tokens_per_s > 0) {
    out.seconds = static_cast<double>(out.likely.answer_tokens) / tokens_per_s;
  }
  return out;
}

}  // namespace retort::collect
