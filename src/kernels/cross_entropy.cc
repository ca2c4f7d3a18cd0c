#include "kernels/cross_entropy.h"

#include "base/check.h"
#include "base/parallel.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {
namespace {

template <class T>
void run(const CrossEntropy<T>& args) {
  for (int64_t row = 0; row < args.rows; ++row) {
    RETORT_CHECK(args.targets[row] >= 0 && args.targets[row] < args.vocab, "target {}",
                 args.targets[row]);
  }
  base::parallel_for(args.rows, 4, [&](int64_t begin, int64_t end) {
    typed_loops(args.dlogits).cross_entropy(args, {begin, end});
  });
}

}  // namespace

void cross_entropy(const CrossEntropy<float>& args) {
  run(args);
}
void cross_entropy(const CrossEntropy<Bf16>& args) {
  run(args);
}

}  // namespace retort::kernels
