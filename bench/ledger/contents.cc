#include "ledger/contents.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "corpus/record_internal.h"
#include "corpus/shard.h"
#include "crypto/hash.h"
#include "ledger/passes.h"

namespace retort::bench {
namespace {

constexpr int kPasses = 15;

struct Amounts {
  int64_t records = 0;
  int64_t json_bytes = 0;   // the lines with their ends
  int64_t file_bytes = 0;   // the same, compressed
  int64_t hash_blocks = 0;  // of 64 bytes, that SHA-256 has to take in
};

int64_t blocks(size_t bytes) {
  return static_cast<int64_t>((bytes + 9 + 63) / 64);  // RFC 6234: a byte and the length behind it
}

// Of one record: the text of its key; the HMAC of prompt and of answer under one salt (two blocks
// make the key, each has an outer block); the leaf; a node of the tree.
int64_t blocks_of(const corpus::Record& record) {
  const size_t prompt = json::canonical(corpus::messages_json(record.messages)).size();
  const std::string rest = json::canonical(
      json::Value::object({{"door", json::Value::object({{"endpoint", record.door.endpoint},
                                                         {"plan", record.door.plan},
                                                         {"provider", record.door.provider}})},
                           {"messages", ""},
                           {"model", record.model},
                           {"sampling", corpus::sampling_json(record.sampling)},
                           {"sample", record.sample}}));
  constexpr size_t kNodeBytes = 65;
  return blocks(rest.size() - 2 + prompt) + 2 + blocks(prompt) + 1 + blocks(record.answer.size()) +
         1 + blocks(1 + corpus::kLeafHeadBytes) + blocks(kNodeBytes);
}

Result<Amounts> count(const std::vector<corpus::Shard>& shards) {
  Amounts out;
  for (const auto& shard : shards) {
    out.file_bytes += shard.size_bytes();
    out.hash_blocks += blocks(static_cast<size_t>(shard.size_bytes()));
  }
  RETORT_TRY_VOID(each_line(shards, [&](std::string_view line) -> Result<void> {
    ++out.records;
    out.json_bytes += std::ssize(line) + 1;
    RETORT_TRY(const auto value, json::parse(line));
    RETORT_TRY(const auto record, corpus::record_from_json(value, shards.front().path()));
    out.hash_blocks += blocks_of(record);
    return {};
  }));
  return out;
}

// Prints the median and gives it.
Result<double> time_passes(const char* what, const Amounts& amounts,
                           const std::function<Result<void>()>& pass) {
  std::vector<double> seconds;
  for (int i = 0; i < kPasses; ++i) {
    const double from_s = base::monotonic_seconds();
    RETORT_TRY_VOID(pass());
    seconds.push_back(base::monotonic_seconds() - from_s);
  }
  std::sort(seconds.begin(), seconds.end());
  const auto rate = [&](double of_s) {
    return static_cast<double>(amounts.json_bytes) / of_s / 1e6;
  };
  const double median = seconds[kPasses / 2];
  std::printf("  %-44s %5.0f MB/s of JSON (%.0f to %.0f), %.2f us a record\n", what, rate(median),
              rate(seconds.back()), rate(seconds.front()),
              median * 1e6 / static_cast<double>(amounts.records));
  return median;
}

}  // namespace

Result<void> measure_contents(const std::string& folder) {
  RETORT_TRY(auto log, ledger::Ledger::open(folder + "/ledger"));
  RETORT_TRY(const auto shards, corpus::list_shards(folder + "/shards"));
  RETORT_TRY(const auto amounts, count(shards));
  const auto verify = [&]() -> Result<void> {
    for (const auto& shard : shards) RETORT_TRY_VOID(corpus::verify(shard, *log));
    return {};
  };
  std::printf("contents of %lld records, %.0f bytes of JSON each, %.0f compressed, %.1f blocks\n",
              static_cast<long long>(amounts.records),
              static_cast<double>(amounts.json_bytes) / static_cast<double>(amounts.records),
              static_cast<double>(amounts.file_bytes) / static_cast<double>(amounts.records),
              static_cast<double>(amounts.hash_blocks) / static_cast<double>(amounts.records));
  {
    const OneThread one;
    RETORT_TRY(const double all_s, time_passes("verified, one core (wanted 400)", amounts, verify));
    RETORT_TRY(const double unpacked_s, time_passes("  unpacking alone", amounts, [&] {
                 return each_line(shards, [](std::string_view) -> Result<void> { return {}; });
               }));
    const std::string zeros(static_cast<size_t>(amounts.hash_blocks) * 64 - 9, '\0');
    RETORT_TRY(const double hashed_s, time_passes("  SHA-256 of as many blocks in one piece",
                                                  amounts, [&]() -> Result<void> {
                                                    if (crypto::sha256(zeros).front() == 0)
                                                      std::fputs("", stdout);
                                                    return {};
                                                  }));
    std::printf("  share of what verifying takes: unpacking %.2f, SHA-256 %.2f\n",
                unpacked_s / all_s, hashed_s / all_s);
  }
  RETORT_TRY_VOID(time_passes("verified, all cores", amounts, verify));
  return {};
}

}  // namespace retort::bench
