#include "corpus/record_proof.h"

#include <fmt/core.h>

#include "corpus/bytes_internal.h"
#include "corpus/record_internal.h"
#include "corpus/sealed_files.h"
#include "corpus/shard_internal.h"
#include "ledger/proof_file.h"

namespace retort::corpus {
namespace {

constexpr std::string_view kFirstLine = "retort.record-proof/1\n";
constexpr size_t kParentBytes = 8;
// Places in a leaf (record_internal.h).
constexpr size_t kKindAt = 1, kTermsAt = 66, kDoorAt = 70, kCapturedAt = 78, kFeaturesAt = 87,
                 kParentsAt = 89;

Error wrong(std::string what) {
  return base::bad_input("the proof does not hold: " + std::move(what), "",
                         "ask whoever made it for another one");
}

Result<ProvenRecord> read_leaf(std::string_view leaf) {
  if (leaf.size() < kLeafHeadBytes || number_at(leaf, 0, 1) != 1) {
    return wrong("its leaf is of another form");
  }
  ProvenRecord out;
  const auto kind = static_cast<Kind>(number_at(leaf, kKindAt, 1));
  out.kind = name(kind);
  out.terms_set = static_cast<uint32_t>(number_at(leaf, kTermsAt, 4));
  out.door = static_cast<uint32_t>(number_at(leaf, kDoorAt, 4));
  out.captured_ms = static_cast<int64_t>(number_at(leaf, kCapturedAt, 8));
  out.features = static_cast<uint16_t>(number_at(leaf, kFeaturesAt, 2));
  out.parents = number_at(leaf, kParentsAt, 2);
  if (leaf.size() != kLeafHeadBytes + out.parents * kParentBytes) {
    return wrong("its leaf is cut off, or too long");
  }
  return out;
}

}  // namespace

Result<RecordProof> prove_record(ledger::Ledger& ledger, const std::vector<std::string>& folders,
                                 const std::string& record) {
  RETORT_TRY(const auto found, find_record(ledger, folders, record));
  const auto& one = found.front();
  RETORT_TRY(const auto index, ShardIndex::load(ledger));
  CodeBook codes(ledger);
  RETORT_TRY(const auto shard, Shard::open(one.file.path));
  RETORT_TRY(const auto read, read_shard(shard, index, codes));
  if (read.entry.erased.contains(one.row)) {
    return base::bad_input("this record was erased: what its leaf was made of is gone", one.place(),
                           "its entry “erasure” in the log is what there is to show");
  }
  RecordProof proof;
  const auto& content = read.records[static_cast<size_t>(one.row)];
  RETORT_TRY(const auto content_codes, codes.find(content));
  proof.leaf = leaf_bytes(content, content_codes);
  proof.row = one.row;
  proof.records = std::ssize(read.leaves);
  proof.path = ledger::inclusion_proof(read.leaves, one.row);
  RETORT_TRY(proof.shard, ledger.prove(read.entry.leaf));
  return proof;
}

std::string write_record_proof(const RecordProof& proof) {
  return fmt::format("{}leaf {}\nrow {}\nrecords {}\n{}\n{}", kFirstLine,
                     crypto::to_base64(proof.leaf), proof.row, proof.records,
                     ledger::hash_lines(proof.path), ledger::write_proof(proof.shard));
}

bool is_record_proof(std::string_view text) {
  return text.starts_with(kFirstLine);
}

Result<RecordProof> read_record_proof(std::string_view text, const std::string& where) {
  if (!is_record_proof(text)) {
    return base::bad_input("this is no proof of a record", where,
                           "retort ledger prove --record KEY --out FILE writes one");
  }
  text.remove_prefix(kFirstLine.size());
  RecordProof proof;
  RETORT_TRY(const auto leaf, ledger::take_field(text, "leaf", where));
  auto bytes = crypto::from_base64(leaf);
  if (!bytes || crypto::to_base64(*bytes) != leaf) {
    return base::bad_input("the proof's leaf is not base64", where);
  }
  proof.leaf = std::move(*bytes);
  RETORT_TRY(proof.row, ledger::take_number(text, "row", where));
  RETORT_TRY(proof.records, ledger::take_number(text, "records", where));
  RETORT_TRY(proof.path, ledger::take_hash_lines(text, where));
  RETORT_TRY(proof.shard, ledger::read_proof(text, where));
  return proof;
}

Result<ProvenRecord> verify_record_proof(const RecordProof& proof, const std::string& origin,
                                         const crypto::PublicKey& key) {
  RETORT_TRY(auto out, read_leaf(proof.leaf));
  RETORT_TRY_VOID(ledger::verify_proof(proof.shard, origin, key));
  RETORT_TRY(const auto entry,
             ledger::parse_entry(proof.shard.entry, proof.shard.index, "the shard's entry"));
  if (entry.kind != "shard") return wrong("the entry is about a " + entry.kind + ", not a shard");
  RETORT_TRY(const auto root, entry.body.string_at("root"));
  RETORT_TRY(const auto records, entry.body.int_at("records"));
  RETORT_TRY(const auto root_digest, crypto::digest_from_hex(root));
  if (records != proof.records) return wrong("the shard has another number of records");
  if (!ledger::verify_inclusion(ledger::leaf_hash(proof.leaf), proof.row,
                                {proof.records, root_digest}, proof.path)) {
    return wrong("it does not lead from the leaf to the shard's root");
  }
  RETORT_TRY(const auto from_ms, entry.body.int_at("captured_from_ms"));
  RETORT_TRY(const auto to_ms, entry.body.int_at("captured_to_ms"));
  if (out.captured_ms < from_ms || out.captured_ms > to_ms) {
    return wrong("the record is of another time than its shard");
  }
  out.shard = entry.name;
  out.shard_entry = entry.index;
  RETORT_TRY(const auto checkpoint, ledger::open_checkpoint(proof.shard.checkpoint, origin, key));
  out.log_size = checkpoint.head.size;
  return out;
}

}  // namespace retort::corpus
