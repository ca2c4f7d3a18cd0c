// Proofs and checkpoints of somebody's log: what is taken is written again to the letter.
#include "ledger/checkpoint.h"
#include "ledger/proof_file.h"
#include "target.h"

namespace ledger = retort::ledger;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = retort::fuzz::text_of(data, size);
  if (const auto proof = ledger::read_proof(text, "input")) {
    if (ledger::write_proof(*proof) != text) __builtin_trap();
  }
  if (const auto proof = ledger::read_consistency_proof(text, "input")) {
    if (ledger::write_consistency_proof(*proof) != text) __builtin_trap();
  }
  if (const auto key = ledger::parse_verifier_key(text)) {
    if (ledger::verifier_key(key->first, key->second) != text) __builtin_trap();
    (void)ledger::open_checkpoint(text, key->first, key->second);
  }
  (void)ledger::open_checkpoint(text, "example.com/log", retort::crypto::PublicKey{});
  return 0;
}
