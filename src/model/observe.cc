#include "kernels/convert.h"
#include "model/pass_internal.h"

namespace retort::model {
namespace {

using kernels::Bf16;

// Numbers of either type as fp32; `room` holds those that have to be converted.
std::span<const float> as_float(const float* x, int64_t size, std::vector<float>&) {
  return {x, static_cast<size_t>(size)};
}
std::span<const float> as_float(const Bf16* x, int64_t size, std::vector<float>& room) {
  room.resize(static_cast<size_t>(size));
  kernels::to_float(x, room.data(), size);
  return room;
}

}  // namespace

template <class T>
void Pass<T>::show_block(int64_t index) {
  const LayerBuffers<T>& l = buffers_.layers[index];
  const int64_t width = tokens_ * config_.width;
  std::vector<float> normed_in, attended, normed_mid, inner;
  observer_({.block = index,
             .input = {l.x_in, static_cast<size_t>(width)},
             .normed_in = as_float(l.normed_in, width, normed_in),
             .attended = as_float(l.attended, tokens_ * config_.q_width(), attended),
             .normed_mid = as_float(l.normed_mid, width, normed_mid),
             .inner = as_float(buffers_.act, tokens_ * config_.ffn, inner)});
}

template <class T>
void Pass<T>::show_end() {
  const int64_t width = tokens_ * config_.width;
  std::vector<float> normed;
  observer_({.block = config_.layers,
             .input = {buffers_.x_final, static_cast<size_t>(width)},
             .normed_in = as_float(buffers_.normed_final, width, normed),
             .attended = {},
             .normed_mid = {},
             .inner = {}});
}

template void Pass<float>::show_block(int64_t);
template void Pass<Bf16>::show_block(int64_t);
template void Pass<float>::show_end();
template void Pass<Bf16>::show_end();

}  // namespace retort::model
