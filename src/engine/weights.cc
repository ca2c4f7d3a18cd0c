#include <algorithm>
#include <cstring>

#include "artifact/quantised.h"
#include "base/check.h"
#include "base/cpu.h"
#include "base/parallel.h"
#include "engine/weights_internal.h"
#include "kernels/matmul.h"

namespace retort::engine {
namespace {

using artifact::TensorType;
using kernels::PackedFormat;
using kernels::PackedMatrix;
using model::TensorInfo;

static_assert(std::equal(artifact::kUnevenLevels.begin(), artifact::kUnevenLevels.end(),
                         std::begin(kernels::kUnevenLevels)));

PackedFormat format_of(TensorType type) {
  switch (type) {
    case TensorType::f16:
      return PackedFormat::f16;
    case TensorType::bf16:
      return PackedFormat::bf16;
    case TensorType::q4_0:
      return PackedFormat::q4_centred;
    case TensorType::q4_1:
      return PackedFormat::q4;
    case TensorType::q5_0:
      return PackedFormat::q5_centred;
    case TensorType::q5_1:
      return PackedFormat::q5;
    case TensorType::q8_0:
      return PackedFormat::q8;
    case TensorType::iq4_nl:
      return PackedFormat::q4_uneven;
    case TensorType::q2_k:
      return PackedFormat::k2;
    case TensorType::q3_k:
      return PackedFormat::k3;
    case TensorType::q4_k:
      return PackedFormat::k4;
    case TensorType::q5_k:
      return PackedFormat::k5;
    case TensorType::q6_k:
      return PackedFormat::k6;
    default:
      return PackedFormat::f32;
  }
}

// One row of a quantised type, its blocks' parts each in one piece.
class CodeRow {
 public:
  CodeRow(TensorType type, int64_t width)
      : type_(type),
        info_(*artifact::type_info(type)),
        codes_(static_cast<size_t>(width)),
        scales_(static_cast<size_t>(width / info_.block)),
        offsets_(scales_.size()),
        groups_(static_cast<size_t>(info_.block / artifact::code_form(type)->group)),
        factors_(scales_.size() * groups_),
        offset_factors_(factors_.size()) {}

  void read(const uint8_t* from) {
    for (size_t block = 0; block < scales_.size(); ++block, from += info_.block_bytes) {
      artifact::unpack_block(type_, from, parts_);
      std::copy_n(parts_.codes, info_.block,
                  codes_.data() + static_cast<int64_t>(block) * info_.block);
      scales_[block] = parts_.scale;
      offsets_[block] = parts_.offset;
      std::copy_n(parts_.factors, groups_, factors_.data() + block * groups_);
      std::copy_n(parts_.offset_factors, groups_, offset_factors_.data() + block * groups_);
    }
  }
  void put(PackedMatrix& to, int64_t row) const {
    to.set_row_codes(row, {codes_.data(), scales_.data(), offsets_.data(), factors_.data(),
                           offset_factors_.data()});
  }

 private:
  TensorType type_;
  artifact::TensorTypeInfo info_;
  artifact::BlockCodes parts_;
  std::vector<uint8_t> codes_;
  std::vector<uint16_t> scales_, offsets_;
  size_t groups_;
  std::vector<int8_t> factors_, offset_factors_;
};

void pack_codes(const model::StoredTensor& tensor, PackedMatrix& to, int64_t begin, int64_t end) {
  CodeRow codes(tensor.type, tensor.cols);
  for (int64_t row = begin; row < end; ++row) {
    codes.read(tensor.row(row).data());
    codes.put(to, row);
  }
}

void pack_numbers(const model::StoredTensor& tensor, PackedMatrix& to, int64_t begin, int64_t end) {
  std::vector<float> values(static_cast<size_t>(tensor.cols));
  std::vector<uint16_t> halves(values.size());
  for (int64_t row = begin; row < end; ++row) {
    const auto bytes = tensor.row(row);
    if (to.format() == PackedFormat::f16) {
      std::memcpy(halves.data(), bytes.data(), bytes.size());
      to.set_row_half(row, halves.data());
    } else {
      RETORT_CHECK(artifact::dequantise(tensor.type, bytes, values).ok());
      to.set_row(row, values.data());
    }
  }
}

class FileSource final : public Source {
 public:
  explicit FileSource(model::ModelFile file) : file_(std::move(file)) {}
  const model::Config& config() const override { return file_.config(); }

  PackedMatrix packed(const TensorInfo& info, bool exact) const override {
    const model::StoredTensor& tensor = file_.tensor(info.name);
    PackedMatrix matrix(exact ? PackedFormat::f32 : format_of(tensor.type), info.rows, info.cols);
    base::parallel_for(info.rows, 64, [&](int64_t begin, int64_t end) {
      matrix.quantised() ? pack_codes(tensor, matrix, begin, end)
                         : pack_numbers(tensor, matrix, begin, end);
    });
    return matrix;
  }

  void rows(const TensorInfo& info, int64_t begin, int64_t end, float* to) const override {
    const model::StoredTensor& tensor = file_.tensor(info.name);
    for (int64_t row = begin; row < end; ++row, to += info.cols) {
      // ModelFile::open saw to it that the type can be read.
      RETORT_CHECK(
          artifact::dequantise(tensor.type, tensor.row(row), {to, static_cast<size_t>(info.cols)})
              .ok());
    }
  }

 private:
  model::ModelFile file_;
};

class MemorySource final : public Source {
 public:
  explicit MemorySource(const model::Weights& weights) : weights_(weights) {}
  const model::Config& config() const override { return weights_.config(); }

  PackedMatrix packed(const TensorInfo& info, bool) const override {
    PackedMatrix matrix(PackedFormat::f32, info.rows, info.cols);
    const auto values = weights_.tensor(info.name);
    base::parallel_for(info.rows, 64, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        matrix.set_row(row, values.data() + row * info.cols);
      }
    });
    return matrix;
  }
  void rows(const TensorInfo& info, int64_t begin, int64_t end, float* to) const override {
    const auto values = weights_.tensor(info.name);
    std::copy(values.begin() + begin * info.cols, values.begin() + end * info.cols, to);
  }

 private:
  const model::Weights weights_;  // a copy
};

std::string layer_name(size_t layer, const char* rest) {
  return "model.layers." + std::to_string(layer) + "." + rest;
}

const TensorInfo& find(const std::vector<TensorInfo>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorInfo& info) { return info.name == name; });
  RETORT_CHECK(found != tensors.end(), "no tensor {}", name);
  return *found;
}

template <class T>
void narrow(const float* from, T* to, int64_t count) {
  if constexpr (std::is_same_v<T, float>) {
    std::copy_n(from, count, to);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = tensor::to_bf16(from[i]);
  }
}

}  // namespace

std::unique_ptr<Source> file_source(model::ModelFile file) {
  return std::make_unique<FileSource>(std::move(file));
}
std::unique_ptr<Source> memory_source(const model::Weights& weights) {
  return std::make_unique<MemorySource>(weights);
}

EngineWeights::EngineWeights(std::unique_ptr<Source> source, bool exact)
    : source_(std::move(source)), tensors_(model::tensor_list(config())), exact_(exact) {
  for (size_t i = 0; i < static_cast<size_t>(config().layers); ++i) {
    PackedLayer layer;
    layer.norm_in = take_vector(layer_name(i, "input_layernorm.weight"));
    for (const char* name :
         {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"}) {
      layer.qkv.push_back(take(layer_name(i, name)));
    }
    take_head_vectors(i, layer);
    layer.out.push_back(take(layer_name(i, "self_attn.o_proj.weight")));
    layer.norm_mid = take_vector(layer_name(i, "post_attention_layernorm.weight"));
    layer.gate.push_back(take(layer_name(i, "mlp.gate_proj.weight")));
    layer.up.push_back(take(layer_name(i, "mlp.up_proj.weight")));
    layer.down.push_back(take(layer_name(i, "mlp.down_proj.weight")));
    layers_.push_back(std::move(layer));
  }
  final_norm_ = take_vector("model.norm.weight");
  head_.push_back(take(config().tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"));
  if (!config().tied_embeddings) embedding_ = take("model.embed_tokens.weight");
  each_packed([&](const PackedMatrix& matrix) {
    numbers_ = numbers_ && matrix.format() == PackedFormat::f32;
    half_sums_ = half_sums_ || matrix.reads_half_sums();
  });
  dense_bf16_ = !numbers_ && base::cpu_features().avx512_bf16 && kernels::have_dnnl_bf16();
}

PackedMatrix EngineWeights::take(const std::string& name) {
  return source_->packed(find(tensors_, name), exact_);
}

std::vector<float> EngineWeights::take_vector(const std::string& name) const {
  const TensorInfo& info = find(tensors_, name);
  std::vector<float> values(static_cast<size_t>(info.size()));
  source_->rows(info, 0, 1, values.data());
  return values;
}

void EngineWeights::take_head_vectors(size_t index, PackedLayer& layer) const {
  if (config().qkv_bias) {
    for (const char* name :
         {"self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"}) {
      const std::vector<float> part = take_vector(layer_name(index, name));
      layer.qkv_bias.insert(layer.qkv_bias.end(), part.begin(), part.end());
    }
  }
  if (config().qk_norm) {
    layer.q_norm = take_vector(layer_name(index, "self_attn.q_norm.weight"));
    layer.k_norm = take_vector(layer_name(index, "self_attn.k_norm.weight"));
  }
}

template <class T>
tensor::Buffer<T> EngineWeights::dense(const std::vector<std::string>& names) const {
  int64_t total = 0;
  for (const auto& name : names) total += find(tensors_, name).size();
  tensor::Buffer<T> out(total);
  int64_t offset = 0;
  for (const auto& name : names) {
    const TensorInfo& info = find(tensors_, name);
    base::parallel_for(info.rows, 16, [&](int64_t begin, int64_t end) {
      std::vector<float> row(static_cast<size_t>(info.cols));
      for (int64_t r = begin; r < end; ++r) {
        source_->rows(info, r, r + 1, row.data());
        narrow(row.data(), out.data() + offset + r * info.cols, info.cols);
      }
    });
    offset += info.size();
  }
  return out;
}

template <class T>
const std::vector<DenseLayer<T>>& EngineWeights::dense_layers() {
  std::vector<DenseLayer<T>>* layers = nullptr;
  if constexpr (std::is_same_v<T, float>) {
    layers = &dense_f32_;
  } else {
    layers = &dense_bf16_layers_;
  }
  for (size_t i = layers->size(); i < layers_.size(); ++i) {
    DenseLayer<T> layer;
    layer.qkv = dense<T>({layer_name(i, "self_attn.q_proj.weight"),
                          layer_name(i, "self_attn.k_proj.weight"),
                          layer_name(i, "self_attn.v_proj.weight")});
    layer.out = dense<T>({layer_name(i, "self_attn.o_proj.weight")});
    layer.gate_up =
        dense<T>({layer_name(i, "mlp.gate_proj.weight"), layer_name(i, "mlp.up_proj.weight")});
    layer.down = dense<T>({layer_name(i, "mlp.down_proj.weight")});
    layers->push_back(std::move(layer));
  }
  return *layers;
}

template <class T>
const tensor::Buffer<T>& EngineWeights::dense_head() {
  tensor::Buffer<T>* head = nullptr;
  if constexpr (std::is_same_v<T, float>) {
    head = &head_f32_;
  } else {
    head = &head_bf16_;
  }
  if (head->size() == 0) {
    *head = dense<T>({config().tied_embeddings ? "model.embed_tokens.weight" : "lm_head.weight"});
  }
  return *head;
}

template const std::vector<DenseLayer<float>>& EngineWeights::dense_layers<float>();
template const std::vector<DenseLayer<Bf16>>& EngineWeights::dense_layers<Bf16>();
template const tensor::Buffer<float>& EngineWeights::dense_head<float>();
template const tensor::Buffer<Bf16>& EngineWeights::dense_head<Bf16>();

void EngineWeights::each_packed(const std::function<void(const PackedMatrix&)>& visit) const {
  if (!config().tied_embeddings) visit(embedding_);
  visit(head_[0]);
  for (const PackedLayer& layer : layers_) {
    for (const PackedGroup* group : {&layer.qkv, &layer.out, &layer.gate, &layer.up, &layer.down}) {
      for (const PackedMatrix& matrix : *group) visit(matrix);
    }
  }
}

int64_t EngineWeights::memory_bytes() const {
  int64_t packed = 0;
  each_packed([&](const PackedMatrix& matrix) { packed += matrix.bytes(); });
  return packed + config().parameters() * (dense_bf16_ ? 2 : 4);
}

}  // namespace retort::engine
