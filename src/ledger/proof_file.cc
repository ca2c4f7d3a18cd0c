#include "ledger/proof_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace retort::ledger {
namespace {

constexpr std::string_view kProofLine = "c2sp.org/tlog-proof@v1";
constexpr size_t kMaxHashes = 63;

Error not_a_proof(std::string what, const std::string& where) {
  return base::bad_input("this is no proof: " + std::move(what), where,
                         "retort ledger prove --out FILE writes one");
}

// The next line without its end, which must be there.
Result<std::string_view> take_line(std::string_view& text, const std::string& where) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return not_a_proof("a line is cut off", where);
  const auto line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

}  // namespace

std::string hash_lines(const std::vector<Digest>& hashes) {
  std::string out;
  for (const auto& hash : hashes) out += crypto::to_base64(crypto::as_bytes(hash)) + "\n";
  return out;
}

Result<std::vector<Digest>> take_hash_lines(std::string_view& text, const std::string& where) {
  std::vector<Digest> hashes;
  while (true) {
    RETORT_TRY(const auto line, take_line(text, where));
    if (line.empty()) return hashes;
    const auto bytes = crypto::from_base64(line);
    if (!bytes || bytes->size() != sizeof(Digest)) {
      return not_a_proof("a line of its path is no hash", where);
    }
    if (hashes.size() == kMaxHashes) return not_a_proof("its path has more than 63 hashes", where);
    std::copy(bytes->begin(), bytes->end(), hashes.emplace_back().begin());
  }
}

Result<std::string> take_field(std::string_view& text, std::string_view word,
                               const std::string& where) {
  RETORT_TRY(const auto line, take_line(text, where));
  if (!line.starts_with(word) || line.size() <= word.size() || line[word.size()] != ' ') {
    return not_a_proof(fmt::format("it has no line “{}”", word), where);
  }
  return std::string(line.substr(word.size() + 1));
}

Result<int64_t> take_number(std::string_view& text, std::string_view word,
                            const std::string& where) {
  RETORT_TRY(const auto field, take_field(text, word, where));
  int64_t value = 0;
  const char* end = field.data() + field.size();
  const auto parsed = std::from_chars(field.data(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end || value < 0 ||
      field != std::to_string(value)) {
    return not_a_proof(fmt::format("its “{}” is no number", word), where);
  }
  return value;
}

std::string write_proof(const Proof& proof) {
  return fmt::format("{}\nextra {}\nindex {}\n{}\n{}", kProofLine, crypto::to_base64(proof.entry),
                     proof.index, hash_lines(proof.path), proof.checkpoint);
}

Result<Proof> read_proof(std::string_view text, const std::string& where) {
  Proof proof;
  RETORT_TRY(const auto first, take_line(text, where));
  if (first != kProofLine) return not_a_proof("its first line is another", where);
  RETORT_TRY(const auto extra, take_field(text, "extra", where));
  auto entry = crypto::from_base64(extra);
  if (!entry) return not_a_proof("its entry is not base64", where);
  proof.entry = std::move(*entry);
  RETORT_TRY(proof.index, take_number(text, "index", where));
  RETORT_TRY(proof.path, take_hash_lines(text, where));
  proof.checkpoint = std::string(text);
  return proof;
}

std::string write_consistency_proof(const ConsistencyProof& proof) {
  return fmt::format("old {}\n{}\n{}", proof.old_size, hash_lines(proof.path), proof.checkpoint);
}

Result<ConsistencyProof> read_consistency_proof(std::string_view text, const std::string& where) {
  ConsistencyProof proof;
  RETORT_TRY(proof.old_size, take_number(text, "old", where));
  RETORT_TRY(proof.path, take_hash_lines(text, where));
  proof.checkpoint = std::string(text);
  return proof;
}

Result<void> verify_consistency_proof(const ConsistencyProof& proof,
                                      std::string_view old_checkpoint, const std::string& origin,
                                      const crypto::PublicKey& key) {
  RETORT_TRY(const auto old_log, open_checkpoint(old_checkpoint, origin, key));
  RETORT_TRY(const auto new_log, open_checkpoint(proof.checkpoint, origin, key));
  const std::string which = fmt::format("entries {} to {}", old_log.head.size, new_log.head.size);
  if (old_log.head.size != proof.old_size) {
    return base::bad_input(fmt::format("the proof begins at {} entries, the checkpoint at {}",
                                       proof.old_size, old_log.head.size),
                           which, "ask for a proof since that checkpoint");
  }
  if (old_log.head.size == 0) return {};  // every log continues the empty one
  if (verify_consistency(old_log.head, new_log.head, proof.path)) return {};
  return base::bad_input("the proof does not show that the log only grew", which,
                         "treat the newer log as another one, until its owner explains it");
}

}  // namespace retort::ledger
