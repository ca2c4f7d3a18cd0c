// C2SP tlog-checkpoint and signed-note: the size and root of a log with an Ed25519 signature, as
// text.
//   origin, size, root in base64, blank line, "— name base64(key id || signature)"
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "crypto/ed25519.h"
#include "ledger/tree.h"

namespace retort::ledger {

// "— NAME ..." lines end a note; the name is the log's origin.
std::string sign_checkpoint(const std::string& origin, const TreeHead& head,
                            const crypto::SigningKey& key);

struct Checkpoint {
  std::string origin;
  TreeHead head;
};
// Refuses text that is not a checkpoint of `origin` signed by this key.
Result<Checkpoint> open_checkpoint(std::string_view text, const std::string& origin,
                                   const crypto::PublicKey& key);

// The first four bytes of SHA-256(name || 0x0A || 0x01 || public key).
uint32_t key_id(const std::string& name, const crypto::PublicKey& key);
// "name+1234abcd+base64(0x01 || public key)", as verifiers want it.
std::string verifier_key(const std::string& name, const crypto::PublicKey& key);
Result<std::pair<std::string, crypto::PublicKey>> parse_verifier_key(std::string_view text);

// The signed-note layer alone: text ends with a newline.
std::string sign_note(const std::string& text, const std::string& name,
                      const crypto::SigningKey& key);
// The text of the note when one of its signatures is by this key under this name.
Result<std::string> open_note(std::string_view note, const std::string& name,
                              const crypto::PublicKey& key);

}  // namespace retort::ledger
