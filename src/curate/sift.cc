#include "curate/sift.h"

#include <algorithm>
#include <cctype>
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

std::string lower(const std::string& text) {
  std::string out = text;
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> slot_values(const corpus::Record& record) {
  std::vector<std::string> out;
  for (const auto& [slot, value] : record.slots) out.push_back(lower(value));
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

}  // namespace

bool same_model(const std::string& asked, const std::string& answered) {
  const std::string a = lower(asked.substr(asked.rfind('/') + 1));
  const std::string b = lower(answered.substr(answered.rfind('/') + 1));
  const auto extends = [](const std::string& longer, const std::string& shorter) {
    return !shorter.empty() && longer.starts_with(shorter) &&
           (longer.size() == shorter.size() ||
            std::string_view("-:@._").find(longer[shorter.size()]) != std::string_view::npos);
  };
  return a == b || extends(b, a) || extends(a, b);
}

Sifted sift(const std::vector<Candidate>& candidates, const Options& options,
            const std::set<std::string>* wanted) {
  std::vector<Facts> facts = all_facts(candidates, options, wanted);
  drop_exact_copies(kept_by_key(candidates, facts), facts);
  if (options.near > 0) {
    drop_near_copies(kept_by_key(candidates, facts), options.near, facts);
  }
  Sifted out;
  out.held_out.resize(candidates.size());
  const auto kept = kept_by_key(candidates, facts);
  const auto parts = parts_of(candidates, kept);
  Split result = split_kept(kept, parts, options, facts, out.held_out);
  drop_near_held_out(kept, parts, out.held_out, options.near > 0 ? options.near : kAcrossTheSplit,
                     facts);
  out.held_out_values = std::move(result.held_out_values);
  out.prompt_groups = result.prompt_groups;
  out.notes = std::move(result.notes);
  out.train_answers_with_held_out_values = count_with_values(candidates, kept, facts, out);
  for (const Facts& one : facts) out.drops.push_back(one.drop);
  return out;
}

}  // namespace retort::curate
