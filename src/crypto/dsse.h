// DSSE v1 envelopes (github.com/secure-systems-lab/dsse): a payload with its type and signatures
// over both. This room knows the bytes that are signed; what an envelope looks like as JSON stands
// in terms/envelope.h. Pure; safe from any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "crypto/ecdsa.h"

namespace retort::crypto {

inline constexpr const char* kInTotoPayload = "application/vnd.in-toto+json";

struct EnvelopeSignature {
  std::string keyid;      // EcPublicKey::id(), or empty
  std::string signature;  // DER bytes
  bool operator==(const EnvelopeSignature&) const = default;
};

struct Envelope {
  std::string payload_type, payload;  // bytes, not base64
  std::vector<EnvelopeSignature> signatures{};
};

// The pre-authentication encoding, which is what is signed:
// "DSSEv1 " LEN(type) " " type " " LEN(payload) " " payload, lengths in decimal bytes.
std::string pae(std::string_view payload_type, std::string_view payload);

Envelope sign_envelope(std::string_view payload_type, std::string_view payload,
                       const EcSigningKey& key);
// Whether one of the signatures is by this key. The keyid is a hint that nobody signed; it is not
// looked at.
bool verify_envelope(const Envelope& envelope, const EcPublicKey& key);

}  // namespace retort::crypto
