// Loops over rows of logits: sums of exponentials, the hard term, cross-entropy.
#pragma once
#include "kernels/loops_internal.h"
#include "kernels/simd_internal.h"

namespace retort::kernels::RETORT_ISA {

// Lanes beyond a part become zero, so that sums do not see them.
RETORT_INLINE V lanes_of(V v, Whole) {
  return v;
}
RETORT_INLINE V lanes_of(V v, Part part) {
  for (int64_t i = part.count; i < kLanes; ++i) v[i] = 0;
  return v;
}

RETORT_INLINE float highest_of(const float* values, int64_t size) {
  V highest = splat(values[0]);
  each(size, [&](int64_t i, auto part) {
    if constexpr (__is_same(decltype(part), Whole)) {
      highest = maximum(load(values + i), highest);
    } else {
      for (int64_t j = 0; j < part.count; ++j) {
        highest[0] = values[i + j] > highest[0] ? values[i + j] : highest[0];
      }
    }
  });
  return maximum(highest);
}

// log(sum exp(values[i] factor)); the exponentials of values[i] factor - highest are written to
// `to` where it is given.
struct LogSum {
  float top;    // highest value times factor
  float total;  // sum of exp(value factor - top)
  float lse() const { return top + __builtin_logf(total); }
};
RETORT_INLINE LogSum log_sum(const float* values, int64_t size, float factor, float* to) {
  const float top = highest_of(values, size) * factor;
  V totals = {};
  each(size, [&](int64_t i, auto part) {
    const V value = exp(load(values + i, part) * factor - top);
    if (to != nullptr) store(to + i, value, part);
    totals += lanes_of(value, part);
  });
  return {top, sum(totals)};
}

// A row's hard term: its loss, and its gradient p_v * share - spread - (at the target) hit.
struct Hard {
  float loss, share, spread, hit;
};
template <class T>
RETORT_INLINE Hard hard_term(const CrossEntropy<T>& args, float weight, float lse, float nll,
                             float mean) {
  const HardTerm& h = args.hard;
  const float smooth = h.label_smoothing;
  const float all = (1 - smooth) * nll + smooth * (lse - mean) + h.z_loss * lse * lse;
  return {weight * all, weight * (1 + 2 * h.z_loss * lse),
          weight * smooth / static_cast<float>(args.vocab), weight * (1 - smooth)};
}

template <class T>
RETORT_INLINE float mean_logit(const CrossEntropy<T>& args, const float* logits) {
  if (args.hard.label_smoothing == 0) return 0;
  V totals = {};
  each(args.vocab, [&](int64_t i, auto part) { totals += lanes_of(load(logits + i, part), part); });
  return sum(totals) / static_cast<float>(args.vocab);
}

// values[at] += change, rounded once, in memory that holds T.
template <class T>
RETORT_INLINE void set_one(T* values, int64_t size, int64_t at, float value) {
  const int64_t start = at / kLanes * kLanes;
  const Part around{size - start < kLanes ? size - start : kLanes};
  V v = load(values + start, around);
  v[at - start] = value;
  store(values + start, v, around);
}

template <class T>
static void cross_entropy_rows(const CrossEntropy<T>& args, Range rows) {
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    float* logits = args.logits + row * args.vocab;
    const int64_t target = args.targets[row];
    const float chosen = logits[target];
    const float mean = mean_logit(args, logits);
    const bool backward = args.dlogits != nullptr;
    const LogSum all = log_sum(logits, args.vocab, 1, backward ? logits : nullptr);
    const float nll = __builtin_logf(all.total) + all.top - chosen;
    const Hard hard = hard_term(args, args.hard.weight, all.lse(), nll, mean);
    const float weight = args.row_weights == nullptr ? 1 : args.row_weights[row];
    args.nll[row] = nll;
    if (args.loss != nullptr) args.loss[row] = weight * hard.loss;
    if (!backward) continue;
    T* to = args.dlogits + row * args.vocab;
    const float scale = args.scale * weight;
    const float factor = scale * hard.share / all.total;
    const float spread = scale * hard.spread;
    const float at_target = logits[target] * factor - spread - scale * hard.hit;
    each(args.vocab, [&](int64_t i, auto part) {
      store(to + i, load(logits + i, part) * factor - spread, part);
    });
    set_one(to, args.vocab, target, at_target);
  }
}

}  // namespace retort::kernels::RETORT_ISA
