// A line of a shard; the same bytes as a compressed shard.
#include "corpus/record.h"

#include "corpus/zstd_internal.h"
#include "json/value.h"
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = retort::fuzz::text_of(data, size);
  retort::corpus::ZstdLines lines(bytes, "input");
  size_t blocks = 0;
  for (auto next = lines.next(); next && !next->empty() && ++blocks < 64; next = lines.next()) {
  }
  const auto value = retort::json::parse(bytes, "input");
  if (!value) return 0;
  const auto record = retort::corpus::record_from_json(*value, "input");
  if (!record) return 0;
  const auto again = retort::corpus::record_from_json(to_json(*record), "input");
  if (!again || !(*again == *record)) __builtin_trap();
  (void)retort::corpus::facts_of(*record);
  return 0;
}
