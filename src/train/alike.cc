#include <fmt/core.h>

#include <bit>

#include "base/cpu.h"
#include "base/random.h"
#include "train/alike_internal.h"

namespace retort::train {
namespace {

// How many processes have another value than the first.
int64_t others(Collective& collective, uint64_t mine) {
  uint64_t first = mine;
  collective.broadcast_value(first);
  double count = first == mine ? 0 : 1;
  collective.sum(std::span(&count, 1));
  return static_cast<int64_t>(count);
}

}  // namespace

Result<void> check_processors(Collective& collective, model::Precision precision) {
  const base::CpuFeatures& here = base::cpu_features();
  const bool bf16 = precision == model::Precision::bf16;
  const unsigned kind = here.avx2 | here.avx512 << 1 | here.avx512_vnni << 2 |
                        here.avx512_bf16 << 3 | unsigned{bf16} << 4;
  const int64_t count = others(collective, kind);
  if (count == 0) return {};
  return base::usage_error(
      fmt::format("{} of {} processes run on processors of another kind, which round otherwise",
                  count, collective.size()),
      "", "set RETORT_ISA=avx2 and train.precision = \"fp32\" for all, or leave them out");
}

Result<void> check_alike(Collective& collective, std::span<const float> weights, int64_t step) {
  if (collective.size() == 1) return {};
  uint64_t hash = 0;
  for (const float value : weights) hash = base::mix64(hash ^ std::bit_cast<uint32_t>(value));
  const int64_t count = others(collective, hash);
  if (count == 0) return {};
  return base::internal_error(
      fmt::format("the weights of {} of {} processes are not those of the first", count,
                  collective.size()),
      fmt::format("step {}", step));
}

}  // namespace retort::train
