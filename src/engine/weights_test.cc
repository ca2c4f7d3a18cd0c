#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "engine/testing_internal.h"
#include "engine/weights_internal.h"
#include "model/model_file.h"

namespace retort::engine {
namespace {

using artifact::TensorType;
using kernels::PackedFormat;

const std::map<TensorType, PackedFormat> kFormats = {
    {TensorType::f32, PackedFormat::f32},          {TensorType::f16, PackedFormat::f16},
    {TensorType::bf16, PackedFormat::bf16},        {TensorType::q4_0, PackedFormat::q4_centred},
    {TensorType::q4_1, PackedFormat::q4},          {TensorType::q5_0, PackedFormat::q5_centred},
    {TensorType::q5_1, PackedFormat::q5},          {TensorType::q8_0, PackedFormat::q8},
    {TensorType::iq4_nl, PackedFormat::q4_uneven}, {TensorType::q2_k, PackedFormat::k2},
    {TensorType::q3_k, PackedFormat::k3},          {TensorType::q4_k, PackedFormat::k4},
    {TensorType::q5_k, PackedFormat::k5},          {TensorType::q6_k, PackedFormat::k6}};

class WeightsTest : public ::testing::Test {
 protected:
  std::unique_ptr<Source> source() const {
    auto file = model::ModelFile::open(path_);
    EXPECT_TRUE(file.ok()) << file.error().text();
    return file_source(std::move(*file));
  }
  std::string path_ = testing::TempDir() + "/weights." + std::to_string(getpid()) + ".gguf";
};

// With this a product over codes says what the file says, but for the rounding of activations.
TEST_F(WeightsTest, PackedRowsAreTheFilesNumbersBitForBit) {
  for (const auto& [type, format] : kFormats) {
    const auto held = write_gguf(small_weights(small_model_for(type, 3)), type, path_);
    const auto from = source();
    for (const auto& info : held.tensors()) {
      if (info.is_vector) continue;
      const auto packed = from->packed(info, /*exact=*/false);
      EXPECT_EQ(packed.format(), format) << artifact::name(type);
      std::vector<float> row(static_cast<size_t>(info.cols)), expected(row.size());
      for (int64_t i = 0; i < info.rows; ++i) {
        packed.get_row(i, row.data());
        from->rows(info, i, i + 1, expected.data());
        ASSERT_EQ(row, expected) << artifact::name(type) << " " << info.name << " row " << i;
      }
    }
  }
}

// Scales of Q2_K, of 4 bits in the file, take a byte each; nothing else grows by more than 4 %.
TEST_F(WeightsTest, PackedMatricesAreAsSmallAsTheirFile) {
  for (const auto& [type, format] : kFormats) {
    const int64_t in = 768, out = 160;
    const auto bytes = static_cast<double>(*artifact::type_bytes(type, in * out));
    const auto packed = static_cast<double>(kernels::PackedMatrix::memory_bytes(format, out, in));
    EXPECT_LE(packed, bytes * (type == TensorType::q2_k ? 1.2 : 1.045)) << artifact::name(type);
  }
}

TEST_F(WeightsTest, EveryMatrixOfAMixedFilePicksItsOwnFormat) {
  const auto weights = small_weights(small_model_for(TensorType::q4_k, 3));
  write_mixed_gguf(weights, some_type, path_);
  const EngineWeights mixed(source(), /*exact=*/false);
  EXPECT_FALSE(mixed.numbers());
  EXPECT_TRUE(mixed.half_sums());
  const auto& infos = weights.tensors();
  EXPECT_EQ(mixed.head()[0].format(), kFormats.at(some_type(infos[0])));
  size_t at = 2;  // behind the embedding and the first norm
  for (const auto& matrix : mixed.layers()[0].qkv) {
    EXPECT_EQ(matrix.format(), kFormats.at(some_type(infos[at]))) << infos[at].name;
    ++at;
  }
  const EngineWeights exact(source(), /*exact=*/true);
  EXPECT_TRUE(exact.numbers());
}

// One narrow matrix, whichever it is, makes the faster ways right for the whole.
TEST_F(WeightsTest, OnlyFilesOfFp32AloneAreComputedInIt) {
  const auto weights = small_weights();
  write_gguf(weights, TensorType::f32, path_);
  EXPECT_TRUE(EngineWeights(source(), false).numbers());
  for (const char* narrow : {"embed_tokens", "layers.2.mlp.down_proj", "layers.0.mlp.gate_proj"}) {
    write_mixed_gguf(
        weights,
        [&](const model::TensorInfo& info) {
          const bool found = info.name.find(narrow) != std::string::npos;
          return found ? TensorType::q5_0 : TensorType::f32;
        },
        path_);
    const EngineWeights mixed(source(), false);
    EXPECT_FALSE(mixed.numbers()) << narrow;
    EXPECT_FALSE(mixed.half_sums());
  }
}

}  // namespace
}  // namespace retort::engine
