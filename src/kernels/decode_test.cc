#include "kernels/decode.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "base/cpu.h"
#include "base/random.h"
#include "kernels/decode_loops_internal.h"
#include "kernels/gradient_check.h"

namespace retort::kernels {
namespace {

std::vector<const DecodeLoops*> all_loops() {
  std::vector<const DecodeLoops*> all = {decode_loops_portable()};
  if (base::cpu_features().avx2) all.push_back(decode_loops_avx2());
  if (base::cpu_features().avx512_vnni) all.push_back(decode_loops_avx512());
  return all;
}

// Activations with everything that products may read, quantised by the loops under test.
struct Activations {
  Activations(const DecodeLoops& loops, int64_t rows, int64_t width, uint64_t seed)
      : values(random_floats(rows * width, seed)),
        codes(values.size()),
        scales(values.size() / kCodeBlock + 1),
        sums(scales.size()),
        half_sums(scales.size() * 2),
        all{rows,          width,       values.data(),   codes.data(),
            scales.data(), sums.data(), half_sums.data()} {
    if (width % kCodeBlock != 0) return;
    for (int64_t r = 0; r < rows; ++r) loops.quantise_row(all, r, 0, width);
  }
  std::vector<float> values;
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<float> sums;
  std::vector<float> half_sums;
  Rows all;
};

std::vector<uint16_t> random_halves(base::Random& random, int64_t count, uint16_t from,
                                    uint64_t range) {
  std::vector<uint16_t> bits(static_cast<size_t>(count));
  for (auto& b : bits) b = static_cast<uint16_t>(from + random.below(range));
  return bits;
}

// Every code that the format has, and factors over all that a byte holds.
void random_codes(base::Random& random, PackedMatrix& matrix, int64_t row) {
  const CodeShape shape = code_shape(matrix.format());
  std::vector<uint8_t> codes(static_cast<size_t>(matrix.in()));
  for (auto& code : codes) code = static_cast<uint8_t>(random.below(uint64_t{1} << shape.bits));
  std::vector<int8_t> factors(codes.size() / 16), offset_factors(codes.size() / 16);
  for (auto& f : factors) f = static_cast<int8_t>(random.below(256));
  for (auto& f : offset_factors) f = static_cast<int8_t>(random.below(64));
  const auto scales = random_halves(random, matrix.blocks(), 0x2000, 0x1000);
  const auto offsets = random_halves(random, matrix.blocks(), 0xa000, 0x1800);
  matrix.set_row_codes(
      row, {codes.data(), scales.data(), offsets.data(), factors.data(), offset_factors.data()});
}

PackedMatrix random_matrix(PackedFormat format, int64_t out, int64_t in, uint64_t seed) {
  PackedMatrix matrix(format, out, in);
  base::Random random(seed);
  for (int64_t row = 0; row < out; ++row) {
    if (format == PackedFormat::f32 || format == PackedFormat::bf16) {
      matrix.set_row(row, random_floats(in, seed + static_cast<uint64_t>(row)).data());
    } else if (format == PackedFormat::f16) {
      matrix.set_row_half(row, random_halves(random, in, 0x2c00, 0x1000).data());
    } else {
      random_codes(random, matrix, row);
    }
  }
  return matrix;
}

// In double, over what the product is said to compute with: codes for quantised weights.
std::vector<float> reference(const PackedMatrix& w, const Rows& x) {
  std::vector<float> y(static_cast<size_t>(x.rows * w.out()));
  std::vector<float> row(static_cast<size_t>(w.in()));
  for (int64_t o = 0; o < w.out(); ++o) {
    w.get_row(o, row.data());
    for (int64_t r = 0; r < x.rows; ++r) {
      double total = 0;
      for (int64_t i = 0; i < w.in(); ++i) {
        const int64_t at = r * x.width + i;
        const int64_t block = i / 32 * x.rows + r;
        const double value =
            w.quantised() ? static_cast<double>(x.scales[block]) * x.codes[block * 32 + i % 32]
                          : x.values[at];
        total += value * row[i];
      }
      y[static_cast<size_t>(r * w.out() + o)] = static_cast<float>(total);
    }
  }
  return y;
}

constexpr PackedFormat kFormats[] = {
    PackedFormat::f32,        PackedFormat::f16,       PackedFormat::bf16, PackedFormat::q4,
    PackedFormat::q4_centred, PackedFormat::q4_uneven, PackedFormat::q5,   PackedFormat::q5_centred,
    PackedFormat::q8,         PackedFormat::k2,        PackedFormat::k3,   PackedFormat::k4,
    PackedFormat::k5,         PackedFormat::k6};

bool fits(PackedFormat format, int64_t in) {
  return !code_shape(format).factors || in % kFactorSpan == 0;
}

TEST(DecodeTest, TheFastestForThisProcessorRuns) {
  const auto& cpu = base::cpu_features();
  EXPECT_STREQ(decode_isa(), cpu.avx512_vnni ? "avx512_vnni" : cpu.avx2 ? "avx2" : "portable");
}

TEST(DecodeTest, ProductsEqualTheReferenceInEveryFormat) {
  for (const DecodeLoops* loops : all_loops()) {
    for (const PackedFormat format : kFormats) {
      for (const auto [rows, out, in] : {std::array<int64_t, 3>{1, 16, 32},
                                         {3, 40, 96},
                                         {8, 17, 64},
                                         {15, 7, 160},
                                         {1, 16, 256},
                                         {15, 37, 1024},
                                         {33, 100, 576}}) {
        if (!fits(format, in)) continue;
        const PackedMatrix w = random_matrix(format, out, in, 5);
        const Activations x(*loops, rows, in, 6);
        std::vector<float> y(static_cast<size_t>(rows * out), 1.0f);
        loops->row_product({&w, x.all, y.data(), out, /*accumulate=*/false}, 0, w.tiles());
        EXPECT_LT(relative_difference(y, reference(w, x.all)), 1e-6)
            << loops->name << " format " << static_cast<int>(format) << ", " << rows << " rows";
        loops->row_product({&w, x.all, y.data(), out, /*accumulate=*/true}, 0, w.tiles());
        std::vector<float> twice = reference(w, x.all);
        for (float& v : twice) v *= 2;
        EXPECT_LT(relative_difference(y, twice), 1e-6) << loops->name;
      }
    }
  }
}

// Every product of a dot at its largest: sums in 16 bits are cut off where they would overflow.
TEST(DecodeTest, TheLargestCodesAndActivationsFit) {
  for (const DecodeLoops* loops : all_loops()) {
    for (const PackedFormat format : kFormats) {
      PackedMatrix w(format, 32, 256);
      if (!w.quantised()) continue;
      const std::vector<uint16_t> scales(8, 0x2c00);
      const std::vector<int8_t> factors(16, 1);
      for (int64_t row = 0; row < 32; ++row) {
        const int largest = row < 16 ? (1 << code_shape(format).bits) - 1 : 0;
        const std::vector<uint8_t> codes(256, static_cast<uint8_t>(largest));
        w.set_row_codes(
            row, {codes.data(), scales.data(), scales.data(), factors.data(), factors.data()});
      }
      Activations x(*loops, 2, 256, 27);
      for (size_t i = 0; i < 512; ++i) x.values[i] = i < 256 ? 1.0f : -1.0f;
      for (const int64_t row : {0, 1}) loops->quantise_row(x.all, row, 0, 256);
      std::vector<float> y(2 * 32);
      loops->row_product({&w, x.all, y.data(), 32, false}, 0, w.tiles());
      EXPECT_LT(relative_difference(y, reference(w, x.all)), 1e-6)
          << loops->name << " format " << static_cast<int>(format);
    }
  }
}

// Against activations as they were: with every format nothing but their rounding is lost, and no
// more of it than with the plainest one.
TEST(DecodeTest, OnlyTheRoundingOfActivationsIsLost) {
  for (const DecodeLoops* loops : all_loops()) {
    for (const PackedFormat format : kFormats) {
      const PackedMatrix w = random_matrix(format, 64, 1024, 25);
      if (!w.quantised()) continue;
      const Activations x(*loops, 9, 1024, 26);
      std::vector<float> y(9 * 64), row(1024), expected(y.size());
      loops->row_product({&w, x.all, y.data(), 64, false}, 0, w.tiles());
      for (size_t o = 0; o < 64; ++o) {
        w.get_row(static_cast<int64_t>(o), row.data());
        for (size_t r = 0; r < 9; ++r) {
          double total = 0;
          for (size_t i = 0; i < 1024; ++i) {
            total += static_cast<double>(x.values[r * 1024 + i]) * row[i];
          }
          expected[r * 64 + o] = static_cast<float>(total);
        }
      }
      EXPECT_LT(relative_difference(y, expected), 0.01)
          << loops->name << " format " << static_cast<int>(format);
    }
  }
}

TEST(DecodeTest, OddWidthsOfPlainNumbers) {
  for (const DecodeLoops* loops : all_loops()) {
    for (const PackedFormat format : {PackedFormat::f32, PackedFormat::f16, PackedFormat::bf16}) {
      const PackedMatrix w = random_matrix(format, 21, 37, 8);
      const Activations x(*loops, 5, 37, 9);
      std::vector<float> y(5 * 21);
      loops->row_product({&w, x.all, y.data(), 21, false}, 0, w.tiles());
      EXPECT_LT(relative_difference(y, reference(w, x.all)), 1e-6) << loops->name;
    }
  }
}

// What continuous batching rests on: the neighbours' number changes no bit.
TEST(DecodeTest, ARowsProductDoesNotDependOnItsNeighbours) {
  constexpr int64_t kRows = 29, kOut = 48, kIn = 512;
  for (const DecodeLoops* loops : all_loops()) {
    for (const PackedFormat format : kFormats) {
      const PackedMatrix w = random_matrix(format, kOut, kIn, 15);
      const Activations x(*loops, kRows, kIn, 16);
      std::vector<float> together(kRows * kOut);
      loops->row_product({&w, x.all, together.data(), kOut, false}, 0, w.tiles());
      for (int64_t r = 0; r < kRows; ++r) {
        Activations alone_x(*loops, 1, kIn, 16);
        std::copy_n(x.values.data() + r * kIn, kIn, alone_x.values.data());
        loops->quantise_row(alone_x.all, 0, 0, kIn);
        const Rows one = alone_x.all;
        std::vector<float> alone(kOut);
        loops->row_product({&w, one, alone.data(), kOut, false}, 0, 1);
        loops->row_product({&w, one, alone.data(), kOut, false}, 1, w.tiles());
        EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + r * kOut))
            << loops->name << " row " << r;
      }
    }
  }
}

TEST(DecodeTest, QuantisingRoundsToTheNearest) {
  for (const DecodeLoops* loops : all_loops()) {
    Activations x(*loops, 2, 64, 3);
    x.values[40] = 0;
    for (size_t i = 64; i < 96; ++i) x.values[i] = 0;
    loops->quantise_row(x.all, 0, 32, 64);
    loops->quantise_row(x.all, 1, 0, 32);
    for (size_t row = 0; row < 2; ++row) {
      for (size_t block = 0; block < 2; ++block) {
        const size_t at = block * 2 + row;
        int32_t sum = 0;
        for (size_t i = 0; i < 32; ++i) {
          EXPECT_NEAR(x.scales[at] * x.codes[at * 32 + i], x.values[row * 64 + block * 32 + i],
                      x.scales[at] * 0.501f);
          sum += x.codes[at * 32 + i];
        }
        EXPECT_EQ(x.scales[at] * static_cast<float>(sum), x.sums[at]);
        const int32_t first = std::accumulate(&x.codes[at * 32], &x.codes[at * 32 + 16], 0);
        EXPECT_EQ(x.scales[at] * static_cast<float>(first), x.half_sums[at * 2]);
        EXPECT_EQ(x.scales[at] * static_cast<float>(sum - first), x.half_sums[at * 2 + 1]);
      }
    }
    EXPECT_EQ(x.scales[1], 0);
  }
}

TEST(DecodeTest, NormSwigluAndSums) {
  for (const DecodeLoops* loops : all_loops()) {
    for (const int64_t width : {1, 7, 24, 64, 577}) {
      const auto x = random_floats(width, 1), weight = random_floats(width, 2);
      std::vector<float> y(x.size()), expected(x.size());
      loops->norm_row({width, 1e-5f, x.data(), weight.data(), y.data()});
      double squares = 0, exps = 0;
      for (const float v : x) squares += static_cast<double>(v) * v;
      const double rstd = 1 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
      for (size_t i = 0; i < x.size(); ++i)
        expected[i] = static_cast<float>(x[i] * rstd * weight[i]);
      EXPECT_LT(relative_difference(y, expected), 1e-6) << loops->name << width;
      loops->swiglu_part(x.data(), weight.data(), y.data(), width);
      for (size_t i = 0; i < x.size(); ++i) {
        expected[i] =
            static_cast<float>(x[i] / (1 + std::exp(-static_cast<double>(x[i]))) * weight[i]);
        exps += std::exp((static_cast<double>(x[i]) - 0.5) * 2);
      }
      EXPECT_LT(relative_difference(y, expected), 1e-6) << loops->name << width;
      EXPECT_NEAR(loops->row_sum_exp(x.data(), width, 0.5f, 2.0f), exps, 1e-5 * exps);
      EXPECT_EQ(loops->row_maximum(x.data(), width), *std::max_element(x.begin(), x.end()));
    }
  }
}

// A sequence of `length` positions in scattered pages.
struct Cache {
  Cache(int64_t length, int64_t head_dim, uint64_t seed, bool exact = false)
      : keys(random_floats(length * head_dim, seed)),
        values(random_floats(length * head_dim, seed + 1)) {
    const int64_t count = (length + kPagePositions - 1) / kPagePositions;
    for (int64_t i = 0; i < count; ++i) pages.push_back(static_cast<int32_t>((i * 7 + 3) % 64));
    pool.resize(static_cast<size_t>(64 * 2 * kPagePositions * head_dim));
    wide.resize(pool.size());
    head = {exact ? nullptr : pool.data(), exact ? wide.data() : nullptr,
            2 * kPagePositions * head_dim, pages.data(), head_dim};
    for (int64_t i = 0; i < length; ++i) {
      store_position(head, i, keys.data() + i * head_dim, values.data() + i * head_dim);
    }
  }
  std::vector<float> keys, values;
  std::vector<Bf16> pool;
  std::vector<float> wide;
  std::vector<int32_t> pages;
  PagedHead head;
};

float rounded(float x) {
  return tensor::to_float(tensor::to_bf16(x));
}

TEST(DecodeTest, PagedAttentionEqualsTheFormula) {
  for (const DecodeLoops* loops : all_loops()) {
    for (const auto [length, head_dim, group, tokens, exact] :
         {std::array<int64_t, 5>{1, 6, 1, 1, 0},
          {16, 64, 3, 4, 0},
          {17, 8, 2, 6, 1},
          {100, 64, 3, 1, 0},
          {61, 80, 20, 1, 1},
          {39, 24, 4, 3, 0},
          {100, 64, 3, 4, 1}}) {
      const Cache cache(length, head_dim, 21, exact == 1);
      const auto kept = [&, wide = exact == 1](float x) { return wide ? x : rounded(x); };
      const int64_t width = group * head_dim;
      const auto q = random_floats(tokens * width, 22);
      std::vector<float> out(q.size()), expected(q.size());
      std::vector<float> scratch(static_cast<size_t>(paged_attention_scratch(length)));
      loops->paged_attention({cache.head, length - tokens, tokens, group, q.data(), width,
                              out.data(), width, scratch.data()});
      for (int64_t r = 0; r < tokens * group; ++r) {
        const int64_t visible = length - tokens + r / group + 1;
        std::vector<double> p(static_cast<size_t>(visible));
        double total = 0;
        for (int64_t i = 0; i < visible; ++i) {
          double score = 0;
          for (int64_t d = 0; d < head_dim; ++d) {
            score += static_cast<double>(q[r * head_dim + d]) * kept(cache.keys[i * head_dim + d]);
          }
          total += p[i] = std::exp(score / std::sqrt(static_cast<double>(head_dim)));
        }
        for (int64_t d = 0; d < head_dim; ++d) {
          double sum = 0;
          for (int64_t i = 0; i < visible; ++i) sum += p[i] * kept(cache.values[i * head_dim + d]);
          expected[r * head_dim + d] = static_cast<float>(sum / total);
        }
      }
      EXPECT_LT(relative_difference(out, expected), 3e-6) << loops->name << " length " << length;
    }
  }
}

TEST(DecodeTest, AttentionOfATokenDoesNotDependOnTheChunk) {
  constexpr int64_t kLength = 45, kDim = 64, kGroup = 3, kTokens = 4;
  for (const DecodeLoops* loops : all_loops()) {
    const Cache cache(kLength, kDim, 31);
    const auto q = random_floats(kTokens * kGroup * kDim, 32);
    std::vector<float> together(q.size()), alone(q.size());
    std::vector<float> scratch(static_cast<size_t>(paged_attention_scratch(kLength)));
    const int64_t width = kGroup * kDim;
    loops->paged_attention({cache.head, kLength - kTokens, kTokens, kGroup, q.data(), width,
                            together.data(), width, scratch.data()});
    for (int64_t i = 0; i < kTokens; ++i) {
      loops->paged_attention({cache.head, kLength - kTokens + i, 1, kGroup, q.data() + i * width,
                              width, alone.data() + i * width, width, scratch.data()});
    }
    EXPECT_EQ(together, alone) << loops->name;
  }
}

}  // namespace
}  // namespace retort::kernels
