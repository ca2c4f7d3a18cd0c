#include "kernels/dropout.h"

#include "base/random.h"
#include "model/pass_internal.h"

namespace retort::model {

using kernels::Bf16;

template <class T>
void Pass<T>::set_dropout(float rate) {
  dropout_rate_ = rate;
  dadded_ = tensor::Buffer<T>(rate > 0 ? max_tokens_ * config_.width : 0);
}

template <class T>
void Pass<T>::start_dropout(const Batch& batch) {
  row_seeds_.clear();
  if (dropout_rate_ == 0) return;
  for (size_t doc = 0; doc < batch.dropout_seeds.size(); ++doc) {
    const auto length = static_cast<uint64_t>(batch.doc_starts[doc + 1] - batch.doc_starts[doc]);
    const uint64_t seed = base::mix64(batch.dropout_seeds[doc]);
    for (uint64_t place = 0; place < length; ++place)
      row_seeds_.push_back(base::mix64(seed + place));
  }
  row_keys_.resize(row_seeds_.size());
}

template <class T>
template <class To>
void Pass<T>::drop(int64_t block, Site site, const To* x, To* y) {
  const auto stream = static_cast<uint64_t>(3 * block + site);
  for (size_t row = 0; row < row_seeds_.size(); ++row) {
    row_keys_[row] = static_cast<uint32_t>(base::mix64(row_seeds_[row] + stream) >> 32);
  }
  kernels::dropout(kernels::Dropout<To>{.rows = tokens_,
                                        .width = config_.width,
                                        .rate = dropout_rate_,
                                        .keys = row_keys_.data(),
                                        .x = x,
                                        .y = y});
}

template <class T>
void Pass<T>::drop_delta(int64_t block, Site site) {
  if (drops()) drop(block, site, buffers_.delta, buffers_.delta);
}

template <class T>
const T* Pass<T>::added_gradient(int64_t block, Site site) {
  if (!drops()) return buffers_.dresidual_t;
  drop(block, site, static_cast<const T*>(buffers_.dresidual_t), dadded_.data());
  return dadded_.data();
}

template void Pass<float>::set_dropout(float);
template void Pass<Bf16>::set_dropout(float);
template void Pass<float>::start_dropout(const Batch&);
template void Pass<Bf16>::start_dropout(const Batch&);
template void Pass<float>::drop_delta(int64_t, Site);
template void Pass<Bf16>::drop_delta(int64_t, Site);
template void Pass<float>::drop(int64_t, Site, const float*, float*);
template void Pass<Bf16>::drop(int64_t, Site, const float*, float*);
template const float* Pass<float>::added_gradient(int64_t, Site);
template const Bf16* Pass<Bf16>::added_gradient(int64_t, Site);

}  // namespace retort::model
