// Loops over rows and elements: normalisation, activation, optimizer, conversions.
#pragma once
#include "kernels/loops_internal.h"
#include "kernels/simd_internal.h"

namespace retort::kernels::RETORT_ISA {

template <class T>
static void rmsnorm_rows(const Rmsnorm<T>& args, Range rows) {
  const int64_t width = args.width;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const float* x = args.x + row * width;
    V squares = {};
    if (args.delta != nullptr) {
      const float* delta = args.delta + row * width;
      float* total = args.sum + row * width;
      each(width, [&](int64_t i, auto part) {
        const V value = load(x + i, part) + load(delta + i, part);
        squares += value * value;
        store(total + i, value, part);
      });
      x = total;
    } else {
      each(width, [&](int64_t i, auto part) {
        const V value = load(x + i, part);
        squares += value * value;
      });
    }
    const float mean = sum(squares) / static_cast<float>(width);
    const float rstd = 1.0f / __builtin_sqrtf(mean + args.eps);
    args.rstd[row] = rstd;
    T* y = args.y + row * width;
    each(width, [&](int64_t i, auto part) {
      store(y + i, load(x + i, part) * rstd * load(args.weight + i, part), part);
    });
  }
}

template <class T>
static void rmsnorm_backward_rows(const RmsnormBackward<T>& args, Range rows, float* dweight) {
  const int64_t width = args.width;
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const float* x = args.x + row * width;
    const float* dy = args.dy + row * width;
    float* dx = args.dx + row * width;
    T* copy = args.dx_copy == nullptr ? nullptr : args.dx_copy + row * width;
    const float rstd = args.rstd[row];
    V dots = {};
    each(width, [&](int64_t i, auto part) {
      const V product = load(dy + i, part) * load(x + i, part);
      dots += product * load(args.weight + i, part);
      if (dweight != nullptr) store(dweight + i, load(dweight + i, part) + product * rstd, part);
    });
    const float shift = sum(dots) * rstd * rstd * rstd / static_cast<float>(width);
    each(width, [&](int64_t i, auto part) {
      const V g = load(dy + i, part) * load(args.weight + i, part);
      const V value = load(dx + i, part) + g * rstd - load(x + i, part) * shift;
      store(dx + i, value, part);
      if (copy != nullptr) store(copy + i, value, part);
    });
  }
}

// Channels numbered from `first` on, as numbers that look drawn by chance (an integer hash of two
// rounds of shift and multiply).
RETORT_INLINE U channel_hash(int64_t first, uint32_t key) {
  U hash;
  for (int64_t lane = 0; lane < kLanes; ++lane) hash[lane] = static_cast<uint32_t>(first + lane);
  hash = hash * 0x9e3779b9U ^ key;
  hash = (hash ^ hash >> 16) * 0x7feb352dU;
  hash = (hash ^ hash >> 15) * 0x846ca68bU;
  return hash ^ hash >> 16;
}

template <class T>
static void dropout_rows(const Dropout<T>& args, Range rows) {
  const auto dropped = static_cast<uint32_t>(static_cast<double>(args.rate) * 4294967296.0);
  const float scale = 1.0f / (1.0f - args.rate);
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const T* x = args.x + row * args.width;
    T* y = args.y + row * args.width;
    each(args.width, [&](int64_t i, auto part) {
      const I kept = (I)(channel_hash(i, args.keys[row]) >= dropped);
      store(y + i, (V)((I)(load(x + i, part) * scale) & kept), part);
    });
  }
}

RETORT_INLINE V sigmoid(V z) {
  return 1.0f / (1.0f + exp(-z));
}

template <class T, class From>
static void swiglu_rows(const Swiglu<T, From>& args, Range rows) {
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const From* gate = args.gate_up + row * 2 * args.inner;
    const From* up = gate + args.inner;
    T* act = args.act + row * args.inner;
    each(args.inner, [&](int64_t i, auto part) {
      const V z = load(gate + i, part);
      store(act + i, z * sigmoid(z) * load(up + i, part), part);
    });
  }
}

template <class T>
static void swiglu_backward_rows(const SwigluBackward<T>& args, Range rows) {
  for (int64_t row = rows.begin; row < rows.end; ++row) {
    const T* gate = args.gate_up + row * 2 * args.inner;
    const T* up = gate + args.inner;
    const T* dact = args.dact + row * args.inner;
    T* dgate = args.dgate_up + row * 2 * args.inner;
    T* dup = dgate + args.inner;
    T* act = args.act + row * args.inner;
    each(args.inner, [&](int64_t i, auto part) {
      const V z = load(gate + i, part);
      const V u = load(up + i, part);
      const V d = load(dact + i, part);
      const V s = sigmoid(z);
      const V silu = z * s;
      store(act + i, silu * u, part);
      store(dup + i, d * silu, part);
      store(dgate + i, d * u * (s + silu * (1.0f - s)), part);
    });
  }
}

static void to_bf16_range(const float* from, Bf16* to, Range range) {
  each(range.end - range.begin, [&](int64_t i, auto part) {
    store(to + range.begin + i, load(from + range.begin + i, part), part);
  });
}

static void to_float_range(const Bf16* from, float* to, Range range) {
  each(range.end - range.begin, [&](int64_t i, auto part) {
    store(to + range.begin + i, load(from + range.begin + i, part), part);
  });
}

static void exp_range(const float* from, float* to, Range range) {
  each(range.end - range.begin, [&](int64_t i, auto part) {
    store(to + range.begin + i, exp(load(from + range.begin + i, part)), part);
  });
}

static void log_range(const float* from, float* to, Range range) {
  each(range.end - range.begin, [&](int64_t i, auto part) {
    store(to + range.begin + i, log(load(from + range.begin + i, part)), part);
  });
}

RETORT_INLINE V square_root(V v) {
  for (int64_t i = 0; i < kLanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
}

static void adamw_range(const AdamW& options, const AdamWState& state, Range range) {
  const double step = static_cast<double>(options.step);
  const float correct_m = static_cast<float>(1.0 / (1.0 - __builtin_pow(options.beta1, step)));
  const float correct_v = static_cast<float>(1.0 / (1.0 - __builtin_pow(options.beta2, step)));
  const float rate = options.lr * correct_m;
  const float keep = 1.0f - options.lr * options.weight_decay;
  const float beta1 = options.beta1;
  const float beta2 = options.beta2;
  each(range.end - range.begin, [&](int64_t offset, auto part) {
    const int64_t i = range.begin + offset;
    const V g = load(state.gradients + i, part) * options.gradient_scale;
    const V m = load(state.m + i, part) * beta1 + g * (1.0f - beta1);
    const V v = load(state.v + i, part) * beta2 + g * g * (1.0f - beta2);
    const V bottom = square_root(v * correct_v) + options.eps;
    store(state.m + i, m, part);
    store(state.v + i, v, part);
    store(state.weights + i, load(state.weights + i, part) * keep - m * rate / bottom, part);
  });
}

static double sum_of_squares_range(const float* values, Range range) {
  V squares = {};
  each(range.end - range.begin, [&](int64_t i, auto part) {
    const V value = load(values + range.begin + i, part);
    squares += value * value;
  });
  return static_cast<double>(sum(squares));
}

}  // namespace retort::kernels::RETORT_ISA
