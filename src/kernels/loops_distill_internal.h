// Loops over rows of logits: divergences from a teacher that is given densely or sparsely.
#pragma once
#include "kernels/loops_loss_internal.h"

namespace retort::kernels::RETORT_ISA {

constexpr float kLowestLog = -100.0f;
constexpr float kSmallest = 1e-37f;

// For one outcome of log-probability a under the student and b under the teacher: what it adds to
// the divergence, and p f'(p).
struct Terms {
  V value, slope;
};
template <Divergence D>
RETORT_INLINE Terms terms_of(V log_p, V log_q, float mix) {
  const V p = exp(log_p);
  const V q = exp(log_q);
  if constexpr (D == Divergence::forward_kl) {
    return {q * (log_q - log_p), -q};
  } else if constexpr (D == Divergence::reverse_kl) {
    const V ratio = log_p - log_q;
    return {p * ratio, p * (ratio + 1.0f)};
  } else {
    const float of_teacher = D == Divergence::skew_reverse_kl ? 1 - mix : mix;
    const float of_student = 1 - of_teacher;
    V m = q * of_teacher + p * of_student;
    m = m > kSmallest ? m : splat(kSmallest);
    const V log_m = log(m);
    if constexpr (D == Divergence::jsd) {
      const V of_p = p * (log_p - log_m);
      return {of_teacher * (q * (log_q - log_m)) + of_student * of_p, of_student * of_p};
    } else if constexpr (D == Divergence::skew_kl) {
      return {q * (log_q - log_m), -of_student * p * q / m};
    } else {
      const V of_p = p * (log_p - log_m);
      return {of_p, of_p + p - of_student * p * p / m};
    }
  }
}

struct Sums {
  float value, slope;
};

// The slopes are written over the teacher's logits.
template <Divergence D>
static Sums dense_terms(const float* logits, float* teacher, int64_t vocab, float factor,
                        float lse_p, float lse_q, float mix) {
  V values = {}, slopes = {};
  each(vocab, [&](int64_t i, auto part) {
    const V log_p = load(logits + i, part) * factor - lse_p;
    V log_q = load(teacher + i, part) * factor - lse_q;
    log_q = log_q > kLowestLog ? log_q : splat(kLowestLog);
    const Terms terms = terms_of<D>(log_p, log_q, mix);
    values += lanes_of(terms.value, part);
    slopes += lanes_of(terms.slope, part);
    store(teacher + i, terms.slope, part);
  });
  return {sum(values), sum(slopes)};
}

// F<D>(arguments...) for the divergence that is only known now.
#define RETORT_BY_DIVERGENCE(d, F, ...)                                     \
  ((d) == Divergence::forward_kl   ? F<Divergence::forward_kl>(__VA_ARGS__) \
   : (d) == Divergence::reverse_kl ? F<Divergence::reverse_kl>(__VA_ARGS__) \
   : (d) == Divergence::jsd        ? F<Divergence::jsd>(__VA_ARGS__)        \
   : (d) == Divergence::skew_kl    ? F<Divergence::skew_kl>(__VA_ARGS__)    \
                                   : F<Divergence::skew_reverse_kl>(__VA_ARGS__))

struct DenseRow {
  const float* logits;
  const float* slopes;
  float lse, lse_p, slope;  // of the logits as they are, and at the temperature
  Hard hard;
};
template <class T>
static void dense_gradient(const Distill<T>& args, int64_t row, const DenseRow& r) {
  const CrossEntropy<T>& base = args.base;
  const float temperature = args.soft.temperature;
  const float factor = 1 / temperature;
  const float scale = base.scale * (base.row_weights == nullptr ? 1 : base.row_weights[row]);
  const float soft = scale * args.soft.weight * temperature;  // T^2 of the term, 1/T of its slope
  const float share = scale * r.hard.share;
  const float spread = scale * r.hard.spread;
  const auto gradient = [&](V z, V slope) {
    const V p = exp(z * factor - r.lse_p);
    const V p_plain = temperature == 1 ? p : exp(z - r.lse);
    return soft * (slope - p * r.slope) + share * p_plain - spread;
  };
  const int64_t target = base.targets[row];
  const V at_target = gradient(splat(r.logits[target]), splat(r.slopes[target]));
  T* to = base.dlogits + row * base.vocab;
  each(base.vocab, [&](int64_t i, auto part) {
    store(to + i, gradient(load(r.logits + i, part), load(r.slopes + i, part)), part);
  });
  set_one(to, base.vocab, target, at_target[0] - scale * r.hard.hit);
}

template <class T>
static void distill_dense_rows(const Distill<T>& args, Range rows) {
  const CrossEntropy<T>& base = args.base;
  const int64_t vocab = base.vocab;
  const float temperature = args.soft.temperature;
  const float factor = 1 / temperature;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    float* logits = base.logits + row * vocab;
    float* teacher = args.teacher + row * vocab;
    const LogSum of_p = log_sum(logits, vocab, factor, nullptr);
    const LogSum plain = temperature == 1 ? of_p : log_sum(logits, vocab, 1, nullptr);
    const float lse_p = of_p.lse();
    const float lse_q = log_sum(teacher, vocab, factor, nullptr).lse();
    const Sums sums = RETORT_BY_DIVERGENCE(args.soft.divergence, dense_terms, logits, teacher,
                                           vocab, factor, lse_p, lse_q, args.soft.mix);
    const float nll = __builtin_logf(plain.total) + plain.top - logits[base.targets[row]];
    const Hard hard = hard_term(base, base.hard.weight, plain.lse(), nll, mean_logit(base, logits));
    base.nll[row] = nll;
    args.divergence[row] = sums.value;
    if (base.loss != nullptr) {
      const float weight = base.row_weights == nullptr ? 1 : base.row_weights[row];
      const float soft_loss = args.soft.weight * temperature * temperature * sums.value;
      base.loss[row] = weight * (hard.loss + soft_loss);
    }
    if (base.dlogits == nullptr) continue;
    dense_gradient(args, row, {logits, teacher, plain.lse(), lse_p, sums.slope, hard});
  }
}

// A sparse row: the kept logits are set aside, so that the tail is a sum of its own and not a
// difference.
struct Kept {
  int64_t count;
  const int32_t* ids;
  const float* logprobs;  // the teacher's
  float log_tail;         // the teacher's; 0 where the tail is no outcome
  float logits[SparseTeacher::kMostEntries];
  float slopes[SparseTeacher::kMostEntries];
  float tail_slope;  // of one of the tail's ids, divided by its p
};

RETORT_INLINE void set_aside(float* logits, Kept& kept) {
  for (int64_t i = 0; i < kept.count; ++i) {
    kept.logits[i] = logits[kept.ids[i]];
    logits[kept.ids[i]] = -3e38f;
  }
}
RETORT_INLINE void put_back(float* logits, const Kept& kept) {
  for (int64_t i = 0; i < kept.count; ++i) logits[kept.ids[i]] = kept.logits[i];
}

template <Divergence D>
static Sums one_outcome(float log_p, float log_q, float mix) {
  const Terms terms =
      terms_of<D>(splat(log_p), splat(log_q < kLowestLog ? kLowestLog : log_q), mix);
  return {terms.value[0], terms.slope[0]};
}

template <Divergence D>
static Sums sparse_terms(Kept& kept, float lse, float p_tail, float mix) {
  Sums all = {0, 0};
  for (int64_t i = 0; i < kept.count; ++i) {
    const Sums one = one_outcome<D>(kept.logits[i] - lse, kept.logprobs[i], mix);
    kept.slopes[i] = one.slope;
    all = {all.value + one.value, all.slope + one.slope};
  }
  kept.tail_slope = 0;
  if (kept.log_tail == 0 || p_tail <= 0) return all;
  const Sums one = one_outcome<D>(__builtin_logf(p_tail), kept.log_tail, mix);
  kept.tail_slope = one.slope / p_tail;
  return {all.value + one.value, all.slope + one.slope};
}

RETORT_INLINE void find_kept(const SparseTeacher& teacher, int64_t row, bool tail, Kept& kept) {
  const int64_t at = teacher.rows[row];
  const int64_t first = teacher.starts[at];
  kept.count = teacher.starts[at + 1] - first;
  kept.ids = teacher.ids + first;
  kept.logprobs = teacher.logprobs + first;
  kept.log_tail = 0;
  if (!tail || kept.count == 0) return;
  kept.log_tail = teacher.tails[at] > 0 ? __builtin_logf(teacher.tails[at]) : kLowestLog;
}

// `exps` are exp(logit - top) of the ids outside, whose sum with the kept ones is `total`.
struct SparseRow {
  const float* exps;
  float lse, total, slope;
  Hard hard;
};
template <class T>
static void sparse_gradient(const Distill<T>& args, int64_t row, const SparseRow& r,
                            const Kept& kept) {
  const CrossEntropy<T>& base = args.base;
  const int64_t target = base.targets[row];
  const float weight = base.row_weights == nullptr ? 1 : base.row_weights[row];
  const float scale = base.scale * weight;
  const float soft = scale * args.soft.weight;
  const float share = scale * r.hard.share;
  const float spread = scale * r.hard.spread;
  const float factor = (soft * (kept.tail_slope - r.slope) + share) / r.total;
  float at_target = r.exps[target] * factor - spread;
  T* to = base.dlogits + row * base.vocab;
  each(base.vocab, [&](int64_t i, auto part) {
    store(to + i, load(r.exps + i, part) * factor - spread, part);
  });
  for (int64_t i = 0; i < kept.count; ++i) {
    const float p = __builtin_expf(kept.logits[i] - r.lse);
    const float here = soft * (kept.slopes[i] - p * r.slope) + share * p - spread;
    set_one(to, base.vocab, kept.ids[i], here);
    if (kept.ids[i] == target) at_target = here;
  }
  set_one(to, base.vocab, target, at_target - scale * r.hard.hit);
}

template <class T>
static void distill_sparse_rows(const Distill<T>& args, Range rows) {
  const CrossEntropy<T>& base = args.base;
  const int64_t vocab = base.vocab;
  const bool backward = base.dlogits != nullptr;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    float* logits = base.logits + row * vocab;
    const float chosen = logits[base.targets[row]];
    const float mean = mean_logit(base, logits);
    const float top = highest_of(logits, vocab);
    Kept kept;
    find_kept(args.sparse, row, args.soft.tail, kept);
    set_aside(logits, kept);
    V totals = {};
    each(vocab, [&](int64_t i, auto part) {
      const V value = exp(load(logits + i, part) - top);
      if (backward) store(logits + i, value, part);
      totals += lanes_of(value, part);
    });
    const float tail_total = sum(totals);
    float total = tail_total;
    for (int64_t i = 0; i < kept.count; ++i) total += __builtin_expf(kept.logits[i] - top);
    const float lse = top + __builtin_logf(total);
    const float nll = __builtin_logf(total) + top - chosen;
    const Sums sums = RETORT_BY_DIVERGENCE(args.soft.divergence, sparse_terms, kept, lse,
                                           tail_total / total, args.soft.mix);
    const float soft = kept.count == 0 ? args.soft.weight : 0;
    const Hard hard = hard_term(base, base.hard.weight + soft, lse, nll, mean);
    base.nll[row] = nll;
    args.divergence[row] = sums.value;
    if (base.loss != nullptr) {
      const float weight = base.row_weights == nullptr ? 1 : base.row_weights[row];
      base.loss[row] = weight * (hard.loss + args.soft.weight * sums.value);
    }
    if (backward) {
      sparse_gradient(args, row, {logits, lse, total, sums.slope, hard}, kept);
    } else {
      put_back(logits, kept);
    }
  }
}

#undef RETORT_BY_DIVERGENCE

}  // namespace retort::kernels::RETORT_ISA
