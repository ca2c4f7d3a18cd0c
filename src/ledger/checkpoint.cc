#include "ledger/checkpoint.h"

#include <fmt/core.h>

#include <charconv>

namespace retort::ledger {
namespace {

constexpr std::string_view kDash = "— ";  // em dash and a space
constexpr char kEd25519 = 1;

Error not_a_note(const char* what) {
  return base::bad_input(fmt::format("not a signed checkpoint: {}", what));
}

std::string key_bytes(const crypto::PublicKey& key) {
  std::string bytes(1, kEd25519);
  bytes.append(reinterpret_cast<const char*>(key.data()), key.size());
  return bytes;
}

std::string big_endian(uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 255);
  return out;
}

}  // namespace

uint32_t key_id(const std::string& name, const crypto::PublicKey& key) {
  const auto digest = crypto::sha256(name + "\n" + key_bytes(key));
  return static_cast<uint32_t>(digest[0]) << 24 | static_cast<uint32_t>(digest[1]) << 16 |
         static_cast<uint32_t>(digest[2]) << 8 | digest[3];
}

std::string verifier_key(const std::string& name, const crypto::PublicKey& key) {
  return fmt::format("{}+{:08x}+{}", name, key_id(name, key), crypto::to_base64(key_bytes(key)));
}

Result<std::pair<std::string, crypto::PublicKey>> parse_verifier_key(std::string_view text) {
  const size_t first = text.find('+');
  const size_t second = first == std::string_view::npos ? first : text.find('+', first + 1);
  if (second == std::string_view::npos) return base::bad_input("not a verifier key");
  const std::string name(text.substr(0, first));
  RETORT_TRY(const auto bytes, crypto::from_base64(text.substr(second + 1)));
  crypto::PublicKey key{};
  if (bytes.size() != key.size() + 1 || bytes[0] != kEd25519) {
    return base::bad_input("not an Ed25519 verifier key");
  }
  std::copy(bytes.begin() + 1, bytes.end(), key.begin());
  if (text.substr(first + 1, second - first - 1) != fmt::format("{:08x}", key_id(name, key))) {
    return base::bad_input("the verifier key does not fit its own id");
  }
  return std::pair(name, key);
}

std::string sign_note(const std::string& text, const std::string& name,
                      const crypto::SigningKey& key) {
  const std::string signature = big_endian(key_id(name, key.public_key())) + key.sign(text);
  return fmt::format("{}\n{}{} {}\n", text, kDash, name, crypto::to_base64(signature));
}

Result<std::string> open_note(std::string_view note, const std::string& name,
                              const crypto::PublicKey& key) {
  const size_t blank = note.rfind("\n\n");
  if (blank == std::string_view::npos || note.back() != '\n') return not_a_note("no signature");
  const std::string text(note.substr(0, blank + 1));
  std::string_view lines = note.substr(blank + 2);
  const std::string prefix = std::string(kDash) + name + " ";
  const std::string id = big_endian(key_id(name, key));
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    const std::string_view line = lines.substr(0, end);
    lines = end == std::string_view::npos ? std::string_view{} : lines.substr(end + 1);
    if (line.substr(0, kDash.size()) != kDash) return not_a_note("a line that is no signature");
    if (line.substr(0, prefix.size()) != prefix) continue;  // somebody else's
    const auto bytes = crypto::from_base64(line.substr(prefix.size()));
    if (!bytes || bytes->size() < id.size() || bytes->substr(0, id.size()) != id) continue;
    if (crypto::verify(key, text, std::string_view(*bytes).substr(id.size()))) return text;
    return not_a_note("the signature is wrong");
  }
  return not_a_note("no signature by the log's key");
}

std::string sign_checkpoint(const std::string& origin, const TreeHead& head,
                            const crypto::SigningKey& key) {
  const std::string text = fmt::format("{}\n{}\n{}\n", origin, head.size,
                                       crypto::to_base64(crypto::as_bytes(head.root)));
  return sign_note(text, origin, key);
}

Result<Checkpoint> open_checkpoint(std::string_view text, const std::string& origin,
                                   const crypto::PublicKey& key) {
  RETORT_TRY(const auto body, open_note(text, origin, key));
  const size_t first = body.find('\n');
  const size_t second = first == std::string::npos ? first : body.find('\n', first + 1);
  const size_t third = second == std::string::npos ? second : body.find('\n', second + 1);
  if (third == std::string::npos || third + 1 != body.size()) return not_a_note("not three lines");
  Checkpoint out;
  out.origin = body.substr(0, first);
  if (out.origin != origin) return not_a_note("of another log");
  const char* begin = body.data() + first + 1;
  const char* end = body.data() + second;
  const auto parsed = std::from_chars(begin, end, out.head.size);
  if (parsed.ec != std::errc{} || parsed.ptr != end || out.head.size < 0 ||
      (*begin == '0' && end - begin > 1)) {
    return not_a_note("the size is no number");
  }
  RETORT_TRY(const auto root,
             crypto::from_base64(std::string_view(body).substr(second + 1, third - second - 1)));
  if (root.size() != out.head.root.size()) return not_a_note("the root has not 32 bytes");
  std::copy(root.begin(), root.end(), out.head.root.begin());
  return out;
}

}  // namespace retort::ledger
