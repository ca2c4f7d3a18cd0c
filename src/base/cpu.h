// What this processor can do, asked once, and what memory there is. RETORT_ISA=reference|avx2 in
// the environment lowers the answer, so that a test can force the plain path.
#pragma once
#include <cstdint>
#include <string>

namespace retort::base {

struct CpuFeatures {
  bool avx2 = false;         // with FMA and F16C
  bool avx512 = false;       // F, BW, DQ, VL
  bool avx512_vnni = false;  // int8 dot products
  bool avx512_bf16 = false;  // bf16 dot products
};

const CpuFeatures& cpu_features();
// "AMD EPYC, 2 cores, AVX2"
std::string cpu_summary();
// Of this machine.
int64_t total_memory_bytes();

}  // namespace retort::base
