#include "base/cpu.h"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string_view>
#include <thread>

namespace retort::base {
namespace {

CpuFeatures detect() {
  CpuFeatures cpu;
#if defined(__x86_64__)
  cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  cpu.avx512 = cpu.avx2 && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
  cpu.avx512_vnni = cpu.avx512 && __builtin_cpu_supports("avx512vnni");
  cpu.avx512_bf16 = cpu.avx512 && __builtin_cpu_supports("avx512bf16");
#endif
  const char* forced = std::getenv("RETORT_ISA");
  const std::string_view limit = forced == nullptr ? "" : forced;
  if (limit == "reference") cpu = {};
  if (limit == "avx2") cpu.avx512 = cpu.avx512_vnni = cpu.avx512_bf16 = false;
  return cpu;
}

std::string model_name() {
  std::ifstream info("/proc/cpuinfo");
  std::string line;
  while (std::getline(info, line)) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = detect();
  return features;
}

std::string cpu_summary() {
  const CpuFeatures& cpu = cpu_features();
  const char* isa = cpu.avx512_bf16   ? "AVX-512 with bf16"
                    : cpu.avx512_vnni ? "AVX-512 with VNNI"
                    : cpu.avx512      ? "AVX-512"
                    : cpu.avx2        ? "AVX2"
                                      : "no AVX2";
  return fmt::format("{}, {} cores, {}", model_name(), std::thread::hardware_concurrency(), isa);
}

int64_t total_memory_bytes() {
  return static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGE_SIZE);
}

}  // namespace retort::base
