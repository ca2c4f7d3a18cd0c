#include "kernels/distill.h"

#include "base/check.h"
#include "base/parallel.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {
namespace {

template <class T>
void run(const Distill<T>& args) {
  const CrossEntropy<T>& base = args.base;
  const bool dense = args.teacher != nullptr;
  RETORT_CHECK(dense || args.soft.temperature == 1, "temperature {}", args.soft.temperature);
  RETORT_CHECK(dense || args.soft.tail || args.soft.divergence == Divergence::forward_kl);
  for (int64_t row = 0; row < base.rows; ++row) {
    RETORT_CHECK(base.targets[row] >= 0 && base.targets[row] < base.vocab, "target {}",
                 base.targets[row]);
    if (dense) continue;
    const int64_t* range = args.sparse.starts + args.sparse.rows[row];
    RETORT_CHECK(range[1] - range[0] <= SparseTeacher::kMostEntries, "{}", range[1] - range[0]);
    for (int64_t i = range[0]; i < range[1]; ++i) {
      RETORT_CHECK(args.sparse.ids[i] >= 0 && args.sparse.ids[i] < base.vocab, "id {}",
                   args.sparse.ids[i]);
    }
  }
  const auto& loops = typed_loops(base.dlogits);
  base::parallel_for(base.rows, 1, [&](int64_t begin, int64_t end) {
    (dense ? loops.distill_dense : loops.distill_sparse)(args, {begin, end});
  });
}

}  // namespace

void distill(const Distill<float>& args) {
  run(args);
}
void distill(const Distill<Bf16>& args) {
  run(args);
}

}  // namespace retort::kernels
