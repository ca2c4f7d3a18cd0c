#include "train/examples.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "base/check.h"
#include "base/random.h"
#include "crypto/hash.h"

namespace retort::train {
namespace {

constexpr uint64_t kRowOrder = 0x70616b00;  // streams of random numbers, plus the epoch
constexpr uint64_t kBatchOrder = 0x62617400;

// Text from outside must not steer the terminal: control characters become "?", also those that
// are two bytes in UTF-8 (C2 80 to C2 9F).
void append_harmless(std::string& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool second = byte >= 0x80 && byte <= 0x9f && !out.empty() && out.back() == '\xc2';
    out += c == '\n' || (byte >= 0x20 && byte != 0x7f && !second) ? c : '?';
  }
}

// Bins with room left, by room; the one with the least room that suffices takes a row.
class Bins {
 public:
  explicit Bins(int64_t capacity) : capacity_(capacity) {}
  void put(uint32_t row, int64_t size) {
    RETORT_CHECK(size <= capacity_, "a row of {} tokens in batches of {}", size, capacity_);
    auto best = room_.lower_bound({size, 0});
    if (best == room_.end()) {
      best = room_.insert({capacity_, plan_.size()}).first;
      plan_.emplace_back();
    }
    const auto [left, bin] = *best;
    room_.erase(best);
    plan_[bin].push_back(row);
    if (left > size) room_.insert({left - size, bin});
  }
  BatchPlan take() { return std::move(plan_); }

 private:
  int64_t capacity_;
  std::set<std::pair<int64_t, size_t>> room_;
  BatchPlan plan_;
};

}  // namespace

int64_t Example::trained_tokens() const {
  return std::count(trained.begin() + 1, trained.end(), true);
}

int64_t Examples::tokens() const {
  int64_t sum = 0;
  for (const Example& row : rows) sum += row.inputs();
  return sum;
}

int64_t Examples::trained_tokens() const {
  int64_t sum = 0;
  for (const Example& row : rows) sum += row.trained_tokens();
  return sum;
}

Result<Example*> ExampleBuilder::add(const std::string& key, const dialog::Messages& messages) {
  auto written = format_.render(tokenizer_, messages, /*open_assistant=*/false);
  if (!written) return written.error().at(key);
  tokenizer::Rendered rendered = std::move(*written);
  const auto& marks = rendered.trained;
  const auto last = std::find(marks.rbegin(), marks.rend(), true);
  const auto size = static_cast<size_t>(marks.rend() - last);
  if (size < 2) {
    return base::bad_input("the record has no answer that could be learnt", key,
                           "leave it out of the training data");
  }
  rendered.ids.resize(size);
  rendered.trained.resize(size);
  if (static_cast<int64_t>(size) - 1 > limit_) {
    ++examples_.too_long;
    return nullptr;
  }
  examples_.rows.push_back({key, std::move(rendered.ids), std::move(rendered.trained)});
  return &examples_.rows.back();
}

std::string digest(std::span<const Example> examples) {
  std::string rows;  // the digest of each
  for (const Example& row : examples) {
    std::string bytes = row.key + '\0';
    for (size_t i = 0; i < row.ids.size(); ++i) {
      const auto id = static_cast<uint32_t>(row.ids[i]);
      for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(id >> shift & 0xff);
      bytes += row.trained[i] ? '+' : '-';
    }
    bytes += row.recorded;
    rows += crypto::sha256_hex(bytes);
  }
  return crypto::sha256_hex(rows);
}

std::string digest(const Examples& examples) {
  return digest(std::span(examples.rows));
}

namespace {

int64_t inputs_of(std::span<const Example> rows, uint32_t group, uint32_t together) {
  int64_t inputs = 0;
  for (uint32_t i = 0; i < together; ++i) inputs += rows[group * together + i].inputs();
  return inputs;
}

// Groups of rows become the rows themselves.
BatchPlan rows_of(BatchPlan groups, uint32_t together) {
  if (together == 1) return groups;
  for (auto& batch : groups) {
    std::vector<uint32_t> rows;
    for (const uint32_t group : batch) {
      for (uint32_t i = 0; i < together; ++i) rows.push_back(group * together + i);
    }
    batch = std::move(rows);
  }
  return groups;
}

}  // namespace

BatchPlan plan_epoch(std::span<const Example> rows, int64_t batch_tokens, uint64_t seed,
                     int64_t epoch, uint32_t together) {
  const auto stream = static_cast<uint64_t>(epoch) << 32;
  Bins bins(batch_tokens);
  for (const uint32_t group :
       base::permutation(static_cast<uint32_t>(rows.size()) / together, seed, stream | kRowOrder)) {
    bins.put(group, inputs_of(rows, group, together));
  }
  // Without this the last steps of an epoch would always be the emptiest.
  BatchPlan packed = bins.take();
  BatchPlan plan;
  for (const uint32_t batch :
       base::permutation(static_cast<uint32_t>(packed.size()), seed, stream | kBatchOrder)) {
    plan.push_back(std::move(packed[batch]));
  }
  return rows_of(std::move(plan), together);
}

BatchPlan plan_in_order(const std::vector<Example>& rows, int64_t batch_tokens, uint32_t together) {
  Bins bins(batch_tokens);
  for (uint32_t group = 0; group < rows.size() / together; ++group) {
    bins.put(group, inputs_of(rows, group, together));
  }
  return rows_of(bins.take(), together);
}

BatchPlan share_of(const std::vector<Example>& rows, std::span<const std::vector<uint32_t>> batches,
                   const Share& share) {
  if (share.size == 1) return {batches.begin(), batches.end()};
  std::vector<std::pair<int64_t, uint32_t>> groups;  // inputs, and which
  for (const auto& batch : batches) {
    for (size_t i = 0; i < batch.size(); i += share.together) {
      const uint32_t group = batch[i] / share.together;
      groups.emplace_back(inputs_of(rows, group, share.together), group);
    }
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<int64_t> loads(static_cast<size_t>(share.size));
  Bins bins(share.batch_tokens);
  for (const auto& [inputs, group] : groups) {
    const auto least = std::min_element(loads.begin(), loads.end());
    *least += inputs;
    if (least - loads.begin() == share.rank) bins.put(group, inputs);
  }
  return rows_of(bins.take(), share.together);
}

size_t answer_start(const Example& row) {
  size_t begin = row.ids.size();
  while (begin > 0 && row.trained[begin - 1]) --begin;
  return begin;
}

void set_reference(Example& row, std::span<const float> logprobs) {
  row.reference.assign(static_cast<size_t>(row.inputs()), 0.0F);
  size_t next = 0;
  for (size_t i = 0; i < row.reference.size(); ++i) {
    if (row.trained[i + 1]) row.reference[i] = logprobs[next++];
  }
  RETORT_CHECK_EQ(next, logprobs.size());
}

// One for each input, empty where nothing is learnt.
void add_teacher_rows(const Example& row, tensor::SparseTargets& to) {
  int64_t next = 0;
  for (size_t i = 0; i + 1 < row.ids.size(); ++i) {
    if (!row.trained[i + 1]) {
      to.add_row({}, {}, 1);
      continue;
    }
    const auto first = static_cast<size_t>(row.teacher.starts[next]);
    const auto count = static_cast<size_t>(row.teacher.starts[next + 1]) - first;
    to.add_row(std::span(row.teacher.ids).subspan(first, count),
               std::span(row.teacher.logprobs).subspan(first, count), row.teacher.tails[next]);
    ++next;
  }
}

model::Batch make_batch(const std::vector<Example>& rows, std::span<const uint32_t> chosen) {
  model::Batch batch;
  for (const uint32_t index : chosen) {
    const Example& row = rows[index];
    batch.doc_starts.push_back(static_cast<int32_t>(batch.tokens.size()));
    batch.sources.push_back(row.source);
    for (size_t i = 0; i + 1 < row.ids.size(); ++i) {
      batch.tokens.push_back(row.ids[i]);
      batch.targets.push_back(row.trained[i + 1] ? row.ids[i + 1] : -1);
    }
    if (row.teacher.rows() > 0) add_teacher_rows(row, batch.teacher);
    batch.reference.insert(batch.reference.end(), row.reference.begin(), row.reference.end());
    batch.baselines.push_back(row.baseline);
    batch.drawn.insert(batch.drawn.end(), row.drawn.begin(), row.drawn.end());
  }
  batch.doc_starts.push_back(static_cast<int32_t>(batch.tokens.size()));
  return batch;
}

std::string show(const Example& example, const tokenizer::Tokenizer& tokenizer, bool colour) {
  const std::string open = colour ? "\x1b[32m" : "[[";
  const std::string close = colour ? "\x1b[0m" : "]]";
  std::string out;
  bool inside = false;
  for (size_t i = 0; i < example.ids.size(); ++i) {
    if (example.trained[i] != inside) out += inside ? close : open;
    inside = example.trained[i];
    const int32_t id = example.ids[i];
    if (tokenizer.is_special(id)) {
      out += tokenizer.vocabulary().tokens[static_cast<size_t>(id)];
    } else {
      append_harmless(out, tokenizer.bytes(id));
    }
  }
  return out + (inside ? close : "");
}

}  // namespace retort::train
