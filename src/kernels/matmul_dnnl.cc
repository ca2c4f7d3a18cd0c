#include <dnnl.hpp>

#include <map>
#include <tuple>
#include <vector>

#include "base/check.h"
#include "base/cpu.h"
#include "kernels/matmul_dnnl_internal.h"
#include "tensor/buffer.h"

namespace retort::kernels {
namespace {

using Memory = dnnl::memory;
using Type = Memory::data_type;
// The types are those of the factors and of the result.
using Key = std::tuple<Product, int64_t, int64_t, int64_t, bool, Type, Type>;

constexpr size_t kPrimitivesMax = 512;

struct Compiled {
  dnnl::matmul primitive;
  Memory a;
  Memory b;
  Memory c;
  Memory scratchpad;
};

// A primitive costs about a millisecond to make, so each shape's is kept, up to a number: packed
// batches have another length every time. One compute thread team uses them; the scratchpad is
// shared and grows to the largest.
class Cache {
 public:
  Cache() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}

  Compiled& make(const Key& key) {
    auto found = compiled_.find(key);
    if (found == compiled_.end() && compiled_.size() >= kPrimitivesMax) compiled_.clear();
    if (found == compiled_.end()) found = compiled_.emplace(key, compile(key)).first;
    return found->second;
  }

  void run(const Key& key, const void* a, const void* b, void* c) {
    Compiled& it = make(key);
    // oneDNN takes no pointers to const, but only reads its sources.
    it.a.set_data_handle(const_cast<void*>(a));
    it.b.set_data_handle(const_cast<void*>(b));
    it.c.set_data_handle(c);
    it.scratchpad.set_data_handle(scratchpad_.data());
    it.primitive.execute(stream_, {{DNNL_ARG_SRC, it.a},
                                   {DNNL_ARG_WEIGHTS, it.b},
                                   {DNNL_ARG_DST, it.c},
                                   {DNNL_ARG_SCRATCHPAD, it.scratchpad}});
    stream_.wait();
  }

 private:
  Compiled compile(const Key& key) {
    const auto& [product, m, n, k, accumulate, type, result] = key;
    const Memory::dims a_strides = product == Product::tn ? Memory::dims{1, m} : Memory::dims{k, 1};
    const Memory::dims b_strides = product == Product::nt ? Memory::dims{1, k} : Memory::dims{n, 1};
    const Memory::desc a({m, k}, type, a_strides);
    const Memory::desc b({k, n}, type, b_strides);
    const Memory::desc c({m, n}, result, Memory::dims{n, 1});
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    if (accumulate) {
      dnnl::post_ops sum;
      sum.append_sum(1.0f);
      attributes.set_post_ops(sum);
    }
    const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(a, b, c), attributes, engine_);
    const auto bytes = static_cast<int64_t>(desc.scratchpad_desc().get_size());
    if (bytes > scratchpad_.size()) scratchpad_ = tensor::Buffer<uint8_t>(bytes);
    return {dnnl::matmul(desc), Memory(a, engine_, nullptr), Memory(b, engine_, nullptr),
            Memory(c, engine_, nullptr), Memory(desc.scratchpad_desc(), engine_, nullptr)};
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  std::map<Key, Compiled> compiled_;
  tensor::Buffer<uint8_t> scratchpad_;
};

Cache& cache() {
  static Cache instance;
  return instance;
}

// Whether oneDNN has bf16 code for every kind of product on this processor: asked by making them.
bool makes_bf16() {
  if (!base::cpu_features().avx512_bf16) return false;
  try {
    for (const Product product : {Product::nt, Product::nn, Product::tn}) {
      for (const bool accumulate : {false, true}) {
        cache().make({product, 48, 32, 64, accumulate, Type::bf16, Type::f32});
      }
      cache().make({product, 48, 32, 64, false, Type::bf16, Type::bf16});
    }
    return true;
  } catch (const dnnl::error&) {
    return false;
  }
}

struct Types {
  Type factors, result;
};
void run(const MatmulShape& s, Types types, const void* a, const void* b, void* c) {
  cache().run({s.product, s.m, s.n, s.k, s.accumulate, types.factors, types.result}, a, b, c);
}

}  // namespace

bool have_dnnl() {
  return true;
}
bool have_dnnl_bf16() {
  static const bool answer = makes_bf16();
  return answer;
}

void matmul_dnnl(const MatmulShape& shape, const float* a, const float* b, float* c) {
  run(shape, {Type::f32, Type::f32}, a, b, c);
}

void matmul_dnnl(const MatmulShape& shape, const Bf16* a, const Bf16* b, float* c) {
  RETORT_CHECK(have_dnnl_bf16());
  run(shape, {Type::bf16, Type::f32}, a, b, c);
}

void matmul_dnnl(const MatmulShape& shape, const Bf16* a, const Bf16* b, Bf16* c) {
  RETORT_CHECK(have_dnnl_bf16());
  run(shape, {Type::bf16, Type::bf16}, a, b, c);
}

}  // namespace retort::kernels
