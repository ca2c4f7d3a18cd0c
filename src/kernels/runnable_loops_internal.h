// For tests: every build of the loops that this processor can run.
#pragma once
#include <vector>

#include "base/cpu.h"
#include "kernels/loops_internal.h"

namespace retort::kernels {

inline std::vector<const Loops*> runnable_loops() {
  std::vector<const Loops*> all = {loops_portable()};
  if (base::cpu_features().avx2) all.push_back(loops_avx2());
  if (base::cpu_features().avx512) all.push_back(loops_avx512());
  if (base::cpu_features().avx512_bf16) all.push_back(loops_avx512_bf16());
  return all;
}

}  // namespace retort::kernels
