#include <algorithm>
#include <string_view>

#include "base/ascii.h"
#include "http/forwarded_internal.h"

namespace retort::http {
namespace {

constexpr std::string_view kHeader = "X-Forwarded-For";

// Some proxies add the port: "203.0.113.7:4711", "[2001:db8::1]:4711".
std::string_view without_port(std::string_view text) {
  if (text.starts_with('[')) return text.substr(1, text.find(']') - 1);
  const size_t colon = text.find(':');
  const bool is_v4 = colon != std::string_view::npos && text.find('.') < colon;
  return is_v4 ? text.substr(0, colon) : text;
}

// From the end of the last such header to the beginning of the first.
class Chain {
 public:
  explicit Chain(const Headers& headers) : next_(headers.rbegin()), end_(headers.rend()) {}

  // False when there is no more.
  bool next(std::string_view& address) {
    while (!has_rest_) {
      if (next_ == end_) return false;
      has_rest_ = is_same_word(next_->first, kHeader);
      rest_ = next_++->second;
    }
    const size_t comma = rest_.rfind(',');
    address = without_port(base::trimmed(rest_.substr(comma + 1)));
    has_rest_ = comma != std::string_view::npos;
    if (has_rest_) rest_ = rest_.substr(0, comma);
    return true;
  }

 private:
  Headers::const_reverse_iterator next_, end_;
  std::string_view rest_;
  bool has_rest_ = false;
};

}  // namespace

bool is_of(const std::vector<base::AddressBlock>& blocks, std::string_view address) {
  if (blocks.empty()) return false;
  const auto bytes = base::parse_address(address);
  return bytes && std::any_of(blocks.begin(), blocks.end(),
                              [&bytes](const auto& block) { return block.holds(*bytes); });
}

std::string asking_address(const std::vector<base::AddressBlock>& proxies, const std::string& peer,
                           const Headers& headers) {
  std::string asking = peer;
  Chain chain(headers);
  std::string_view before;
  while (is_of(proxies, asking) && chain.next(before) && base::parse_address(before)) {
    asking = before;
  }
  return asking;
}

}  // namespace retort::http
