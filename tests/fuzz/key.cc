// Keys of accounts: what is taken is one spelling, and no letter of it may be another.
#include "accounts/key.h"

#include <string>

#include "target.h"

namespace {

using retort::accounts::parse_key;

constexpr size_t kSecretLetters = 32;

// A checksum is hardly ever guessed, so here a key that was made is spoiled.
void check_spoiled(std::string_view text) {
  static const std::string good = retort::accounts::make_key(retort::accounts::KeyKind::api);
  if (!parse_key(good)) __builtin_trap();
  std::string key = good;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    key[static_cast<unsigned char>(text[i]) % key.size()] = text[i + 1];
  }
  // By chance one in 2^30 of the others would be taken.
  if (parse_key(key) && key != good) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = retort::fuzz::text_of(data, size);
  if (const auto kind = parse_key(text)) {
    const std::string prefix = std::string("rt_") + name(*kind) + "_";
    if (!text.starts_with(prefix) || text.size() <= prefix.size() + kSecretLetters) {
      __builtin_trap();
    }
  }
  check_spoiled(text);
  return 0;
}
