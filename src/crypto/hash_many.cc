#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/hash_many.h"

#include <openssl/sha.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "crypto/sha256_lanes_internal.h"

namespace retort::crypto {
namespace {

constexpr size_t kTextBlock = SHA256_CBLOCK;

// One text on its way: first its whole blocks where they lie, then what is left of it with the
// padding of FIPS 180-4, section 5.1.1. That is written at once, so that it has long reached the
// cache when it is read in larger pieces.
class Stream {
 public:
  bool idle() const { return job_ == nullptr; }

  void begin(HashJob& job) {
    job_ = &job;
    state_ = job.after->words;
    prepare_end();
    at_ = reinterpret_cast<const uint8_t*>(job.text.data());
    blocks_ = job.text.size() / kTextBlock;
    at_end_ = false;
    if (blocks_ == 0) go_to_end();
  }

  size_t blocks() const { return blocks_; }
  Lane lane() { return {state_.data(), at_}; }

  void advance(size_t blocks) {
    at_ += blocks * kTextBlock;
    blocks_ -= blocks;
    if (blocks_ > 0) return;
    if (!at_end_) return go_to_end();
    for (size_t i = 0; i < state_.size(); i += 2) {
      const uint64_t words =
          uint64_t{__builtin_bswap32(state_[i + 1])} << 32 | __builtin_bswap32(state_[i]);
      std::memcpy(job_->digest.data() + 4 * i, &words, sizeof(words));
    }
    job_ = nullptr;
  }

 private:
  void prepare_end() {
    const std::string_view text = job_->text;
    const size_t left = text.size() % kTextBlock;
    end_blocks_ = left + 9 <= kTextBlock ? 1 : 2;
    end_ = {};
    if (left > 0) std::memcpy(end_.data(), text.data() + text.size() - left, left);
    end_[left] = 0x80;
    const uint64_t bits = __builtin_bswap64(8 * (job_->after->bytes + text.size()));
    std::memcpy(end_.data() + end_blocks_ * kTextBlock - 8, &bits, sizeof(bits));
  }

  void go_to_end() {
    at_ = end_.data();
    blocks_ = end_blocks_;
    at_end_ = true;
  }

  HashJob* job_ = nullptr;
  std::array<uint32_t, 8> state_{};
  const uint8_t* at_ = nullptr;
  size_t blocks_ = 0, end_blocks_ = 0;
  bool at_end_ = false;
  std::array<uint8_t, 2 * kTextBlock> end_;
};

}  // namespace

const HashState& empty_hash_state() {
  static constexpr HashState kState = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                        0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
                                       0};
  return kState;
}

void hash_all_reference(std::span<HashJob> jobs) {
  for (auto& job : jobs) {
    SHA256_CTX context;
    RETORT_CHECK(SHA256_Init(&context) == 1);
    std::copy(job.after->words.begin(), job.after->words.end(), std::begin(context.h));
    const uint64_t bits = 8 * job.after->bytes;
    context.Nl = static_cast<SHA_LONG>(bits);
    context.Nh = static_cast<SHA_LONG>(bits >> 32);
    RETORT_CHECK(SHA256_Update(&context, job.text.data(), job.text.size()) == 1);
    RETORT_CHECK(SHA256_Final(job.digest.data(), &context) == 1);
  }
}

void hash_all(std::span<HashJob> jobs) {
  if (!has_sha256_lanes()) return hash_all_reference(jobs);
  Stream first, second;
  size_t next = 0;
  while (true) {
    for (Stream* stream : {&first, &second}) {
      if (stream->idle() && next < jobs.size()) stream->begin(jobs[next++]);
    }
    if (first.idle() && second.idle()) return;
    if (first.idle() || second.idle()) {
      Stream& only = first.idle() ? second : first;
      const size_t blocks = only.blocks();
      compress_one(only.lane(), blocks);
      only.advance(blocks);
      continue;
    }
    const size_t blocks = std::min(first.blocks(), second.blocks());
    compress_two(first.lane(), second.lane(), blocks);
    first.advance(blocks);
    second.advance(blocks);
  }
}

}  // namespace retort::crypto
