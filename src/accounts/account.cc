#include "accounts/account.h"

#include <algorithm>

#include "base/address.h"

namespace retort::accounts {

const char* name(Training training) {
  switch (training) {
    case Training::forbidden:
      return "forbidden";
    case Training::non_competing:
      return "non-competing";
    case Training::allowed:
      return "allowed";
  }
  return "";
}

std::optional<Training> parse_training(std::string_view text) {
  for (const auto one : {Training::forbidden, Training::non_competing, Training::allowed}) {
    if (text == name(one)) return one;
  }
  return {};
}

const char* name(State state) {
  switch (state) {
    case State::active:
      return "active";
    case State::suspended:
      return "suspended";
    case State::closed:
      return "closed";
  }
  return "";
}

bool opens(const Key& key, int64_t now_ms) {
  const auto over = [now_ms](int64_t end_ms) { return end_ms != 0 && end_ms <= now_ms; };
  return !over(key.ends_ms) && !over(key.limits.expires_ms);
}

bool address_allowed(const std::vector<std::string>& blocks, std::string_view address) {
  if (blocks.empty()) return true;
  const auto bytes = base::parse_address(address);
  if (!bytes) return false;
  return std::any_of(blocks.begin(), blocks.end(), [&](const std::string& text) {
    const auto block = base::parse_address_block(text);
    return block && block->holds(*bytes);
  });
}

}  // namespace retort::accounts
