#include "kernels/swiglu.h"

#include "base/parallel.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {
namespace {

template <class T>
void forward(const Swiglu<T>& args) {
  base::parallel_for(args.rows, 16, [&](int64_t begin, int64_t end) {
    typed_loops(args.act).swiglu(args, {begin, end});
  });
}

template <class T>
void backward(const SwigluBackward<T>& args) {
  base::parallel_for(args.rows, 16, [&](int64_t begin, int64_t end) {
    typed_loops(args.act).swiglu_backward(args, {begin, end});
  });
}

}  // namespace

void swiglu(const Swiglu<float>& args) {
  forward(args);
}
void swiglu(const Swiglu<Bf16>& args) {
  forward(args);
}
void swiglu(const Swiglu<Bf16, float>& args) {
  base::parallel_for(args.rows, 16, [&](int64_t begin, int64_t end) {
    loops().swiglu_rounded(args, {begin, end});
  });
}
void swiglu_backward(const SwigluBackward<float>& args) {
  backward(args);
}
void swiglu_backward(const SwigluBackward<Bf16>& args) {
  backward(args);
}

}  // namespace retort::kernels
