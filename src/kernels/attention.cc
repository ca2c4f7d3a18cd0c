#include "kernels/attention.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/parallel.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {
namespace {

int64_t longest_document(const AttentionShape& shape) {
  int64_t longest = 0;
  for (size_t i = 1; i < shape.doc_starts.size(); ++i) {
    longest = std::max<int64_t>(longest, shape.doc_starts[i] - shape.doc_starts[i - 1]);
  }
  return longest;
}

// Pairs cost their length squared, and a part by length for packing. Each thread takes a run of
// pairs whose cost is its share; which run depends on the shapes alone.
class Shares {
 public:
  explicit Shares(const AttentionShape& shape) : shape_(shape) {
    const auto documents = static_cast<int64_t>(shape.doc_starts.size()) - 1;
    costs_.reserve(static_cast<size_t>(documents * shape.kv_heads + 1));
    costs_.push_back(0);
    for (int64_t d = 0; d < documents; ++d) {
      const int64_t length = shape.doc_starts[d + 1] - shape.doc_starts[d];
      for (int64_t h = 0; h < shape.kv_heads; ++h) {
        costs_.push_back(costs_.back() + length * (length + 64));
      }
    }
  }
  AttentionTask task(int64_t i) const {
    const int64_t d = i / shape_.kv_heads;
    return {shape_.doc_starts[d], shape_.doc_starts[d + 1] - shape_.doc_starts[d],
            i % shape_.kv_heads};
  }
  Range of(int64_t part, int64_t parts) const {
    return {first(part, parts), first(part + 1, parts)};
  }

 private:
  int64_t first(int64_t part, int64_t parts) const {
    const auto wanted =
        static_cast<int64_t>(static_cast<double>(costs_.back()) * static_cast<double>(part) /
                             static_cast<double>(parts));
    const auto at = std::lower_bound(costs_.begin(), costs_.end() - 1, wanted);
    return part == parts ? static_cast<int64_t>(costs_.size()) - 1 : at - costs_.begin();
  }

  const AttentionShape& shape_;
  std::vector<int64_t> costs_;
};

template <class Args, class Loop>
void run_pairs(const Args& args, Loop loop) {
  const AttentionShape& shape = args.shape;
  const int64_t longest = longest_document(shape);
  if (longest == 0) return;
  RETORT_CHECK(shape.rope != nullptr && shape.rope->positions() >= longest &&
               shape.rope->half() * 2 == shape.head_dim);
  RETORT_CHECK(shape.heads % shape.kv_heads == 0);
  const int64_t each = attention_scratch(shape.head_dim, longest);
  const int64_t fit = static_cast<int64_t>(args.scratch.size()) / each;
  RETORT_CHECK(fit >= 1, "scratch of {} floats, {} needed", args.scratch.size(), each);
  const Shares shares(shape);
  const int64_t parts = std::min<int64_t>(fit, base::thread_count());
  base::parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const Range range = shares.of(part, parts);
      for (int64_t i = range.begin; i < range.end; ++i) {
        const AttentionTask task = shares.task(i);
        if (task.length > 0) loop(args, task, args.scratch.data() + part * each);
      }
    }
  });
}

}  // namespace

int64_t attention_scratch(int64_t head_dim, int64_t longest) {
  constexpr int64_t kPanel = 32;  // columns of the widest micro kernel
  const int64_t width = (head_dim + kPanel - 1) / kPanel * kPanel;
  const int64_t length = (longest + kPanel - 1) / kPanel * kPanel;
  constexpr int64_t kSlack =
      4096;  // what bf16's matrices have behind their rows, when all is small
  return 5 * length * width + kQueryBlock * (3 * width + 2 * std::max(length, kScoreStrideMost)) +
         kSlack;
}

void attention(const Attention<float>& args) {
  run_pairs(args, loops().f32.attention);
}
void attention(const Attention<Bf16>& args) {
  run_pairs(args, loops().bf16.attention);
}
void attention_backward(const AttentionBackward<float>& args) {
  run_pairs(args, loops().f32.attention_backward);
}
void attention_backward(const AttentionBackward<Bf16>& args) {
  run_pairs(args, loops().bf16.attention_backward);
}

}  // namespace retort::kernels
