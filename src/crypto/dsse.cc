#include "crypto/dsse.h"

#include <fmt/core.h>

#include <algorithm>

namespace retort::crypto {

std::string pae(std::string_view payload_type, std::string_view payload) {
  return fmt::format("DSSEv1 {} {} {} {}", payload_type.size(), payload_type, payload.size(),
                     payload);
}

Envelope sign_envelope(std::string_view payload_type, std::string_view payload,
                       const EcSigningKey& key) {
  Envelope out{std::string(payload_type), std::string(payload)};
  out.signatures.push_back({key.public_key().id(), key.sign(pae(payload_type, payload))});
  return out;
}

bool verify_envelope(const Envelope& envelope, const EcPublicKey& key) {
  const std::string message = pae(envelope.payload_type, envelope.payload);
  return std::any_of(
      envelope.signatures.begin(), envelope.signatures.end(),
      [&](const EnvelopeSignature& one) { return key.verify(message, one.signature); });
}

}  // namespace retort::crypto
