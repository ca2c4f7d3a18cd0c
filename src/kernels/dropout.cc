#include "kernels/dropout.h"

#include "base/parallel.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {
namespace {

template <class T>
void drop(const Dropout<T>& args) {
  base::parallel_for(args.rows, 16, [&](int64_t begin, int64_t end) {
    typed_loops(args.y).dropout(args, {begin, end});
  });
}

}  // namespace

void dropout(const Dropout<float>& args) {
  drop(args);
}
void dropout(const Dropout<Bf16>& args) {
  drop(args);
}

}  // namespace retort::kernels
