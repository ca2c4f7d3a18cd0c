#include "curate/split.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/check.h"
#include "base/random.h"
#include "curate/near.h"

namespace retort::curate {
namespace {

constexpr uint64_t kValueSalt = 0x736c6f74;
constexpr uint64_t kGroupSalt = 0x67726f75;
// Fewer words say too little to call two prompts near copies.
constexpr size_t kFewestShingles = 5;
// Prompts that share a long instruction look alike all; one such group cannot be split.
constexpr double kLargestGroup = 0.5;

uint64_t rank_of(const std::string& value, uint64_t seed) {
  return fingerprint(words_of(value), seed ^ kValueSalt).high;
}

class UnionFind {
 public:
  explicit UnionFind(size_t size) : parent_(size), members_(size, 1) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }
  size_t root(size_t at) {
    while (parent_[at] != at) at = parent_[at] = parent_[parent_[at]];
    return at;
  }
  // The size of the joined group.
  size_t join(size_t a, size_t b) {
    a = root(a);
    b = root(b);
    if (a == b) return members_[a];
    parent_[std::max(a, b)] = std::min(a, b);
    members_[std::min(a, b)] += members_[std::max(a, b)];
    return members_[std::min(a, b)];
  }

 private:
  std::vector<size_t> parent_;
  std::vector<size_t> members_;
};

// A set of items that goes to one side as a whole.
struct Part {
  uint64_t rank = 0;  // parts are tried in this order
  std::string value;  // for people; slots only
  std::vector<size_t> items;
};

// Marks parts as held out until the target is reached, leaving out parts that would pass it by far.
std::vector<const Part*> choose(std::vector<Part>& parts, int64_t target, std::vector<bool>& out) {
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return std::tie(a.rank, a.value) < std::tie(b.rank, b.value);
  });
  std::vector<const Part*> chosen;
  int64_t held = 0;
  const auto most = static_cast<int64_t>(std::ceil(static_cast<double>(target) * 1.25));
  for (const Part& part : parts) {
    if (held >= target) break;
    int64_t fresh = 0;
    for (const size_t item : part.items) fresh += out[item] ? 0 : 1;
    if (held + fresh > most) continue;
    for (const size_t item : part.items) out[item] = true;
    held += fresh;
    chosen.push_back(&part);
  }
  return chosen;
}

int64_t target_of(size_t count, double share) {
  return std::llround(static_cast<double>(count) * share);
}

std::vector<Part> parts_by_value(const std::vector<SplitItem>& items,
                                 const std::vector<size_t>& with_slots, uint64_t seed) {
  std::map<std::string, Part> by_value;
  std::set<std::string> trained;
  for (const size_t item : with_slots) {
    if (items[item].side != Side::train) continue;
    trained.insert(items[item].values.begin(), items[item].values.end());
  }
  for (const size_t item : with_slots) {
    if (items[item].side != Side::open) continue;
    for (const auto& value : items[item].values) {
      if (trained.contains(value)) continue;
      Part& part = by_value[value];
      if (part.items.empty() || part.items.back() != item) part.items.push_back(item);
    }
  }
  std::vector<Part> out;
  for (auto& [value, part] : by_value) {
    part.value = value;
    part.rank = rank_of(value, seed);
    out.push_back(std::move(part));
  }
  return out;
}

// Groups of items by equal prompt, in the order of the prompts' fingerprints.
std::map<Fingerprint, std::vector<size_t>> by_prompt(const std::vector<SplitItem>& items,
                                                     const std::vector<size_t>& chosen) {
  std::map<Fingerprint, std::vector<size_t>> out;
  for (const size_t item : chosen) out[items[item].prompt].push_back(item);
  return out;
}

// Joins near prompts; false when they all run together into one group.
bool join_near(const std::vector<const Shingles*>& prompts, double threshold, UnionFind& groups) {
  Frequencies frequencies;
  for (const auto* one : prompts) frequencies.add(*one);
  NearIndex index(frequencies, threshold);
  const double most = std::max(100.0, kLargestGroup * static_cast<double>(prompts.size()));
  const Shingles nothing;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const bool comparable = prompts[i]->size() >= kFewestShingles;
    bool fits = true;
    if (comparable) {
      index.find_all(*prompts[i], [&](int64_t other) {
        fits = static_cast<double>(groups.join(i, static_cast<size_t>(other))) <= most;
        return fits;
      });
    }
    if (!fits) return false;
    index.add(comparable ? *prompts[i] : nothing);
  }
  return true;
}

std::vector<Part> parts_by_prompt(const std::vector<SplitItem>& items,
                                  const std::vector<size_t>& chosen, const SplitOptions& options,
                                  Split& result) {
  const auto prompts = by_prompt(items, chosen);
  std::vector<const Shingles*> shingles;
  for (const auto& [key, members] : prompts) {
    shingles.push_back(&items[members.front()].prompt_shingles);
  }
  UnionFind groups(prompts.size());
  if (options.near > 0 && !join_near(shingles, options.near, groups)) {
    groups = UnionFind(prompts.size());
    result.notes.push_back(
        "the prompts are so alike that near copies cannot be kept on one side; only equal prompts "
        "are (give the part that differs as \"slots\" in the prompts file)");
  }
  std::map<size_t, Part> by_root;
  size_t number = 0;
  for (const auto& [key, members] : prompts) {
    Part& part = by_root[groups.root(number++)];
    // The group's first prompt, whichever order the records came in, gives its rank.
    if (part.items.empty()) part.rank = base::mix64(key.high ^ options.seed ^ kGroupSalt);
    part.items.insert(part.items.end(), members.begin(), members.end());
  }
  std::vector<Part> out;
  for (auto& [root, part] : by_root) out.push_back(std::move(part));
  return out;
}

// Those whose side is open, with how many of them follow what was decided before.
struct Open {
  size_t count = 0;
  int64_t held_out = 0;
  int64_t target(double share) const {
    return std::max<int64_t>(target_of(count, share) - held_out, 0);
  }
};

// Open items that name what is held out, or whose very prompt is.
Open follow_values(const std::vector<SplitItem>& items, const std::vector<size_t>& with_slots,
                   const SplitOptions& options, Split& result) {
  const std::set<std::string> values(options.held_values.begin(), options.held_values.end());
  std::set<Fingerprint> prompts;
  for (const size_t item : with_slots) {
    if (items[item].side == Side::held_out) prompts.insert(items[item].prompt);
  }
  Open open;
  for (const size_t item : with_slots) {
    const SplitItem& one = items[item];
    if (one.side != Side::open) continue;
    ++open.count;
    const bool named =
        std::ranges::any_of(one.values, [&](const auto& value) { return values.contains(value); });
    if (!named && !prompts.contains(one.prompt)) continue;
    result.held_out[item] = true;
    ++open.held_out;
  }
  return open;
}

// Groups with decided members follow them and go; of the others nothing is decided yet.
Open follow_prompts(const std::vector<SplitItem>& items, std::vector<Part>& parts, Split& result) {
  Open open;
  std::erase_if(parts, [&](Part& part) {
    bool train = false, held_out = false;
    std::erase_if(part.items, [&](size_t item) {
      train = train || items[item].side == Side::train;
      held_out = held_out || items[item].side == Side::held_out;
      return items[item].side != Side::open;
    });
    open.count += part.items.size();
    for (const size_t item : part.items) {
      if (!held_out) break;
      (train ? result.neither : result.held_out)[item] = true;
      open.held_out += train ? 0 : 1;
    }
    return train || held_out;
  });
  return open;
}

void split_by_values(const std::vector<SplitItem>& items, const std::vector<size_t>& with_slots,
                     const SplitOptions& options, Split& result) {
  const Open open = follow_values(items, with_slots, options, result);
  auto parts = parts_by_value(items, with_slots, options.seed);
  result.held_out_values = options.held_values;
  for (const Part* part : choose(parts, open.target(options.held_out), result.held_out)) {
    result.held_out_values.push_back(part->value);
  }
  std::sort(result.held_out_values.begin(), result.held_out_values.end());
}

void split_by_prompts(const std::vector<SplitItem>& items, const std::vector<size_t>& chosen,
                      const SplitOptions& options, Split& result) {
  auto parts = parts_by_prompt(items, chosen, options, result);
  result.prompt_groups += static_cast<int64_t>(parts.size());
  const Open open = follow_prompts(items, parts, result);
  choose(parts, open.target(options.held_out), result.held_out);
}

}  // namespace

Split split(const std::vector<SplitItem>& items, const SplitOptions& options) {
  Split result;
  result.held_out.resize(items.size());
  result.neither.resize(items.size());
  for (size_t i = 0; i < items.size(); ++i) {
    result.held_out[i] = items[i].side == Side::held_out;
  }
  std::vector<size_t> with_slots, without;
  for (size_t i = 0; i < items.size(); ++i) {
    (items[i].values.empty() ? without : with_slots).push_back(i);
  }
  split_by_values(items, with_slots, options, result);
  if (target_of(with_slots.size(), options.held_out) > 0 && result.held_out_values.empty()) {
    result.notes.push_back(
        "every slot value occurs in too many prompts to be held out; equal prompts are kept on one "
        "side instead");
    SplitOptions equal = options;
    equal.near = 0;
    split_by_prompts(items, with_slots, equal, result);
  }
  split_by_prompts(items, without, options, result);
  const bool any =
      std::find(result.held_out.begin(), result.held_out.end(), true) != result.held_out.end();
  if (options.held_out > 0 && !any && !items.empty()) {
    result.notes.push_back(fmt::format(
        "nothing could be held out of {} records; evaluation needs more", items.size()));
  }
  return result;
}

Split split_parts(const std::vector<SplitItem>& items, const std::vector<int64_t>& parts,
                  const SplitOptions& options) {
  RETORT_CHECK(std::ranges::is_sorted(parts) && parts.size() == items.size());
  SplitOptions with_before = options;
  std::vector<SplitItem> so_far;
  Split result = split({}, options);
  for (size_t begin = 0; begin < items.size();) {
    const auto end =
        static_cast<size_t>(std::ranges::upper_bound(parts, parts[begin]) - parts.begin());
    so_far.insert(so_far.end(), items.begin() + static_cast<std::ptrdiff_t>(begin),
                  items.begin() + static_cast<std::ptrdiff_t>(end));
    auto neither = std::move(result.neither);
    result = split(so_far, with_before);
    // An item of no side stays as it was judged, and decides nothing.
    std::copy(neither.begin(), neither.end(), result.neither.begin());
    for (size_t i = begin; i < end; ++i) {
      so_far[i].side = result.neither[i]    ? Side::neither
                       : result.held_out[i] ? Side::held_out
                                            : Side::train;
    }
    with_before.held_values = result.held_out_values;
    begin = end;
  }
  return result;
}

}  // namespace retort::curate
