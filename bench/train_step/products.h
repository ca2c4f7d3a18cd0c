// What a training step is measured against: its matrix products and nothing else.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/matmul.h"
#include "model/lora.h"
#include "tensor/buffer.h"

namespace retort::bench {

using kernels::Product;
using model::Config;

// The products of one step, each layer with weights and activations of its own. With a rank, those
// of a step that trains an adapter of all projections: no gradient of a weight, but the narrow
// products that give those of A and B.
template <class T>
class Products {
 public:
  Products(const Config& c, int64_t tokens, int64_t counted, int64_t rank)
      : layers_(c.layers), rows_(tokens), rank_(rank) {
    shapes_ = {{c.q_width() + 2 * c.kv_width(), c.width, 3 * rank, true, false},
               {c.width, c.q_width(), rank, false, true},
               {2 * c.ffn, c.width, 2 * rank, true, false},
               {c.width, c.ffn, rank, false, true}};
    for (int64_t layer = 0; layer < layers_; ++layer) {
      for (const Shape& s : shapes_) add(tokens, s);
    }
    head_ = {c.vocab, c.width, 0, false, false};
    head_rows_ = counted;
    head_chunk_ = std::min(counted, (int64_t{4} << 20) / c.vocab);
    add(head_chunk_, head_);
    int64_t widest = 0;
    for (const Shape& s : shapes_) widest = std::max({widest, s.out, s.in});
    out_ = tensor::Buffer<float>(std::max(tokens * widest, head_chunk_ * c.vocab));
    rounded_ = tensor::Buffer<T>(tokens * widest);
    narrow_ = tensor::Buffer<T>(tokens * 3 * rank);
  }
  void run() {
    size_t next = 0;
    for (int64_t layer = 0; layer < layers_; ++layer) {
      for (const Shape& s : shapes_) forward(rows_, s, sets_[next++]);
    }
    for (int64_t first = 0; first < head_rows_; first += head_chunk_) {
      const int64_t rows = std::min(head_chunk_, head_rows_ - first);
      forward(rows, head_, sets_.back());
      backward(rows, head_, sets_.back());
    }
    for (int64_t layer = layers_; layer-- > 0;) {
      for (size_t i = shapes_.size(); i-- > 0;) backward(rows_, shapes_[i], sets_[--next]);
    }
  }
  // Of one run, counted as they are made.
  double flops() {
    flops_ = 0;
    run();
    return flops_;
  }

 private:
  struct Shape {
    int64_t out, in, columns;    // of the low-rank products beside it
    bool rounds_out, rounds_in;  // whether outputs, and gradients of inputs, are of type T
  };
  struct Set {
    tensor::Buffer<T> x, dy, weight, a, b;
    tensor::Buffer<float> dweight;  // with a rank, dA and dB
  };
  void add(int64_t rows, const Shape& s) {
    const int64_t trained = rank_ == 0 ? s.out * s.in : s.columns * (s.out + s.in);
    sets_.push_back({tensor::Buffer<T>(rows * s.in), tensor::Buffer<T>(rows * s.out),
                     tensor::Buffer<T>(s.out * s.in), tensor::Buffer<T>(s.columns * s.in),
                     tensor::Buffer<T>(s.out * s.columns), tensor::Buffer<float>(trained)});
  }
  template <class To>
  void multiply(const kernels::MatmulShape& shape, const T* a, const T* b, To* c) {
    flops_ += 2.0 * static_cast<double>(shape.m * shape.n) * static_cast<double>(shape.k);
    kernels::matmul(shape, a, b, c);
  }
  void forward(int64_t rows, const Shape& s, Set& set) {
    const kernels::MatmulShape shape{.product = Product::nt, .m = rows, .n = s.out, .k = s.in};
    if (s.rounds_out) {
      multiply(shape, set.x.data(), set.weight.data(), rounded_.data());
    } else {
      multiply(shape, set.x.data(), set.weight.data(), out_.data());
    }
  }
  void backward(int64_t rows, const Shape& s, Set& set) {
    const bool lowest = rank_ > 0 && &set == &sets_.front();
    const kernels::MatmulShape shape{.product = Product::nn, .m = rows, .n = s.in, .k = s.out};
    if (!lowest && s.rounds_in) {
      multiply(shape, set.dy.data(), set.weight.data(), rounded_.data());
    } else if (!lowest) {
      multiply(shape, set.dy.data(), set.weight.data(), out_.data());
    }
    if (rank_ > 0) return narrow(rows, s, set);
    multiply({.product = Product::tn, .m = s.out, .n = s.in, .k = rows, .accumulate = true},
             set.dy.data(), set.x.data(), set.dweight.data());
  }
  void narrow(int64_t rows, const Shape& s, Set& set) {
    if (s.columns == 0) return;
    float* da = set.dweight.data();
    multiply({.product = Product::nt, .m = rows, .n = s.columns, .k = s.in}, set.x.data(),
             set.a.data(), out_.data());
    multiply({.product = Product::tn, .m = s.out, .n = s.columns, .k = rows, .accumulate = true},
             set.dy.data(), narrow_.data(), da + s.columns * s.in);
    multiply({.product = Product::nn, .m = rows, .n = s.columns, .k = s.out}, set.dy.data(),
             set.b.data(), out_.data());
    multiply({.product = Product::tn, .m = s.columns, .n = s.in, .k = rows, .accumulate = true},
             narrow_.data(), set.x.data(), da);
  }

  int64_t layers_, rows_, rank_, head_rows_ = 0, head_chunk_ = 0;
  std::vector<Shape> shapes_;
  Shape head_{};
  std::vector<Set> sets_;
  tensor::Buffer<float> out_;
  tensor::Buffer<T> rounded_;
  tensor::Buffer<T> narrow_;
  double flops_ = 0;
};

}  // namespace retort::bench
