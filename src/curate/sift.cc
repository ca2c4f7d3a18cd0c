#include "curate/sift.h"
#include "base/ascii.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "base/parallel.h"
#include "curate/near.h"
#include "curate/split.h"

namespace retort::curate {
namespace {

constexpr double kAcrossTheSplit = 0.7;  // when near copies are otherwise kept
constexpr int64_t kGrain = 256;

struct Facts {
  Words words;        // of the answer
  Shingles shingles;  // of the masked answer
  Fingerprint whole;  // prompt and answer
  SplitItem split;
  Drop drop = Drop::none;
};

std::vector<std::string> slot_values(const corpus::Record& record) {
  std::vector<std::string> out;
  for (const auto& [slot, value] : record.slots) out.push_back(base::lower(value));
  return out;
}

// All messages as one text; the text itself for a record that has none.
std::string prompt_text(const corpus::Record& record) {
  std::string out;
  for (const auto& message : record.messages) out += message.content + "\n";
  return record.messages.empty() ? record.answer : out;
}

Facts facts_of(const corpus::Record& record, const QualityOptions& quality) {
  Facts out;
  out.words = words_of(record.answer);
  const Words prompt = words_of(prompt_text(record));
  out.split.values = slot_values(record);
  out.split.prompt = fingerprint(prompt);
  if (out.split.values.empty()) out.split.prompt_shingles = shingles_of(prompt);
  out.whole = fingerprint(out.words, out.split.prompt.high);
  if (out.words.size() >= kNearWords) {
    out.shingles =
        shingles_of(out.split.values.empty() ? out.words : masked(record.answer, out.split.values));
  }
  const bool teacher = record.kind == corpus::Kind::teacher;
  out.drop = judge_answer({.text = record.answer,
                           .truncated = record.finish_reason == "length",
                           .filtered = record.finish_reason == "content_filter",
                           .refused = record.finish_reason == "refusal",
                           .wrong_model = teacher && !record.model_answered.empty() &&
                                          !same_model(record.model, record.model_answered)},
                          out.words, quality);
  return out;
}

std::vector<Facts> all_facts(const std::vector<Candidate>& candidates, const Options& options,
                             const std::set<std::string>* wanted) {
  std::vector<Facts> out(candidates.size());
  const QualityOptions quality{options.min_words, options.max_words, options.max_repetition};
  base::parallel_for(static_cast<int64_t>(out.size()), kGrain, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      const corpus::Record& record = *candidates[i].record;
      out[i] = facts_of(record, quality);
      const bool own = record.kind == corpus::Kind::human;
      if (wanted != nullptr && !own && !wanted->contains(record.key)) {
        out[i].drop = Drop::not_in_run;
      }
    }
  });
  return out;
}

// Candidates that are still in, by part and key: the order in which copies are decided.
std::vector<size_t> kept_by_key(const std::vector<Candidate>& candidates,
                                const std::vector<Facts>& facts) {
  std::vector<size_t> out;
  for (size_t i = 0; i < facts.size(); ++i) {
    if (facts[i].drop == Drop::none) out.push_back(i);
  }
  std::sort(out.begin(), out.end(), [&](size_t a, size_t b) {
    return std::tie(candidates[a].part, candidates[a].record->key) <
           std::tie(candidates[b].part, candidates[b].record->key);
  });
  return out;
}

void drop_exact_copies(const std::vector<size_t>& order, std::vector<Facts>& facts) {
  std::set<Fingerprint> seen;
  for (const size_t i : order) {
    if (!seen.insert(facts[i].whole).second) facts[i].drop = Drop::exact_copy;
  }
}

void drop_near_copies(const std::vector<size_t>& order, double threshold,
                      std::vector<Facts>& facts) {
  Frequencies frequencies;
  for (const size_t i : order) frequencies.add(facts[i].shingles);
  NearIndex index(frequencies, threshold);
  for (const size_t i : order) {
    if (facts[i].drop != Drop::none) continue;
    if (index.find(facts[i].shingles) >= 0) {
      facts[i].drop = Drop::near_copy;
    } else {
      index.add(facts[i].shingles);
    }
  }
}

// Nothing to do after drop_near_copies(); where near copies are kept it is what guards the split.
// Within a part the training record goes; across parts the one of the later part.
void drop_near_held_out(const std::vector<size_t>& kept, const std::vector<int64_t>& parts,
                        const std::vector<bool>& held_out, double threshold,
                        std::vector<Facts>& facts) {
  Frequencies frequencies;
  for (const size_t i : kept) frequencies.add(facts[i].shingles);
  NearIndex trained(frequencies, threshold), held(frequencies, threshold);
  for (size_t begin = 0; begin < kept.size();) {
    const auto end =
        static_cast<size_t>(std::ranges::upper_bound(parts, parts[begin]) - parts.begin());
    for (const bool of_held_out : {true, false}) {
      for (size_t at = begin; at < end; ++at) {
        Facts& one = facts[kept[at]];
        if (held_out[kept[at]] != of_held_out || one.drop != Drop::none) continue;
        if ((of_held_out ? trained : held).find(one.shingles) >= 0) one.drop = Drop::near_held_out;
        if (of_held_out && one.drop == Drop::none) held.add(one.shingles);
      }
    }
    for (size_t at = begin; at < end; ++at) {
      const Facts& one = facts[kept[at]];
      if (!held_out[kept[at]] && one.drop == Drop::none) trained.add(one.shingles);
    }
    begin = end;
  }
}

// By kept_by_key(): the number of each one's part.
std::vector<int64_t> parts_of(const std::vector<Candidate>& candidates,
                              const std::vector<size_t>& kept) {
  std::vector<int64_t> parts;
  for (size_t at = 0; at < kept.size(); ++at) {
    const bool same = at > 0 && candidates[kept[at]].part == candidates[kept[at - 1]].part;
    parts.push_back(at == 0 ? 0 : parts.back() + (same ? 0 : 1));
  }
  return parts;
}

Split split_kept(const std::vector<size_t>& kept, const std::vector<int64_t>& parts,
                 const Options& options, std::vector<Facts>& facts, std::vector<bool>& held_out) {
  std::vector<SplitItem> items;
  items.reserve(kept.size());
  for (const size_t i : kept) items.push_back(facts[i].split);
  Split result = split_parts(items, parts,
                             {.held_out = options.held_out,
                              .near = options.near > 0 ? options.near : kAcrossTheSplit,
                              .seed = static_cast<uint64_t>(options.seed)});
  for (size_t at = 0; at < kept.size(); ++at) {
    held_out[kept[at]] = result.held_out[at];
    if (result.neither[at]) facts[kept[at]].drop = Drop::near_held_out;
  }
  return result;
}

int64_t count_with_values(const std::vector<Candidate>& candidates, const std::vector<size_t>& kept,
                          const std::vector<Facts>& facts, const Sifted& sifted) {
  if (sifted.held_out_values.empty()) return 0;
  int64_t count = 0;
  for (const size_t i : kept) {
    if (sifted.held_out[i] || facts[i].drop != Drop::none) continue;
    const Words marked = masked(candidates[i].record->answer, sifted.held_out_values);
    count += marked != facts[i].words ? 1 : 0;
  }
  return count;
}

double near_threshold(const Options& options) {
  return options.near > 0 ? options.near : kAcrossTheSplit;
}

Sifted decide(const std::vector<Candidate>& candidates, std::vector<Facts>& facts,
              const Options& options) {
  drop_exact_copies(kept_by_key(candidates, facts), facts);
  if (options.near > 0) {
    drop_near_copies(kept_by_key(candidates, facts), options.near, facts);
  }
  Sifted out;
  out.held_out.resize(candidates.size());
  const auto kept = kept_by_key(candidates, facts);
  const auto parts = parts_of(candidates, kept);
  Split result = split_kept(kept, parts, options, facts, out.held_out);
  drop_near_held_out(kept, parts, out.held_out, near_threshold(options), facts);
  out.held_out_values = std::move(result.held_out_values);
  out.prompt_groups = result.prompt_groups;
  out.notes = std::move(result.notes);
  out.train_answers_with_held_out_values = count_with_values(candidates, kept, facts, out);
  for (const Facts& one : facts) out.drops.push_back(one.drop);
  return out;
}

// What is trained on, whatever the part, as held-out records are compared with it.
struct Trained {
  std::set<Fingerprint> prompts;
  std::set<std::string> values;
  std::vector<size_t> records;
};

Trained trained_on(const std::vector<Facts>& facts, const Sifted& sifted) {
  Trained out;
  for (size_t i = 0; i < facts.size(); ++i) {
    if (sifted.drops[i] != Drop::none || sifted.held_out[i]) continue;
    out.records.push_back(i);
    out.prompts.insert(facts[i].split.prompt);
    out.values.insert(facts[i].split.values.begin(), facts[i].split.values.end());
  }
  return out;
}

// Within its own part a held-out record is like none that is trained on (decide()).
void drop_trained_elsewhere(const std::vector<Facts>& facts,
                            const std::vector<const std::vector<std::string>*>& held_values,
                            double threshold, Sifted& out) {
  const Trained trained = trained_on(facts, out);
  Frequencies prompt_words, answer_words;
  for (const Facts& one : facts) {
    prompt_words.add(one.split.prompt_shingles);
    answer_words.add(one.shingles);
  }
  NearIndex prompts(prompt_words, threshold), answers(answer_words, threshold);
  for (const size_t i : trained.records) {
    prompts.add(facts[i].split.prompt_shingles);
    answers.add(facts[i].shingles);
  }
  const auto names_a_new_thing = [&](size_t i) {
    return std::ranges::any_of(facts[i].split.values, [&](const std::string& value) {
      return !trained.values.contains(value) && std::ranges::binary_search(*held_values[i], value);
    });
  };
  for (size_t i = 0; i < facts.size(); ++i) {
    if (!out.held_out[i] || out.drops[i] != Drop::none) continue;
    const bool prompt_is_new = facts[i].split.values.empty()
                                   ? !trained.prompts.contains(facts[i].split.prompt) &&
                                         prompts.find(facts[i].split.prompt_shingles) < 0
                                   : names_a_new_thing(i);
    if (prompt_is_new && answers.find(facts[i].shingles) < 0) continue;
    out.drops[i] = Drop::near_held_out;
    out.held_out[i] = false;
  }
}

// Each part by itself; only what is held out may depend on the others.
Sifted decide_apart(const std::vector<Candidate>& candidates, std::vector<Facts>& facts,
                    const Options& options) {
  std::map<std::string, std::vector<size_t>> members;
  for (size_t i = 0; i < candidates.size(); ++i) members[candidates[i].part].push_back(i);
  Sifted out;
  out.drops.resize(candidates.size());
  out.held_out.resize(candidates.size());
  std::map<std::string, std::vector<std::string>> values;  // held out, by part
  for (const auto& [part, its] : members) {
    std::vector<Candidate> alone;
    std::vector<Facts> its_facts;
    for (const size_t i : its) {
      alone.push_back(candidates[i]);
      its_facts.push_back(std::move(facts[i]));
    }
    Sifted one = decide(alone, its_facts, options);
    for (size_t at = 0; at < its.size(); ++at) {
      out.drops[its[at]] = one.drops[at];
      out.held_out[its[at]] = one.held_out[at];
      facts[its[at]] = std::move(its_facts[at]);
    }
    out.prompt_groups += one.prompt_groups;
    out.train_answers_with_held_out_values += one.train_answers_with_held_out_values;
    out.notes.insert(out.notes.end(), one.notes.begin(), one.notes.end());
    out.held_out_values.insert(out.held_out_values.end(), one.held_out_values.begin(),
                               one.held_out_values.end());
    values[part] = std::move(one.held_out_values);
  }
  std::vector<const std::vector<std::string>*> held_values;
  for (const Candidate& one : candidates) held_values.push_back(&values.at(one.part));
  drop_trained_elsewhere(facts, held_values, near_threshold(options), out);
  for (auto* texts : {&out.held_out_values, &out.notes}) {
    std::sort(texts->begin(), texts->end());
    texts->erase(std::unique(texts->begin(), texts->end()), texts->end());
  }
  return out;
}

}  // namespace

bool same_model(const std::string& asked, const std::string& answered) {
  const std::string a = base::lower(asked.substr(asked.rfind('/') + 1));
  const std::string b = base::lower(answered.substr(answered.rfind('/') + 1));
  const auto extends = [](const std::string& longer, const std::string& shorter) {
    return !shorter.empty() && longer.starts_with(shorter) &&
           (longer.size() == shorter.size() ||
            std::string_view("-:@._").find(longer[shorter.size()]) != std::string_view::npos);
  };
  return a == b || extends(b, a) || extends(a, b);
}

Sifted sift(const std::vector<Candidate>& candidates, const Options& options,
            const std::set<std::string>* wanted, Parts parts) {
  std::vector<Facts> facts = all_facts(candidates, options, wanted);
  return parts == Parts::apart ? decide_apart(candidates, facts, options)
                               : decide(candidates, facts, options);
}

}  // namespace retort::curate
