// Lists of who may come, and X-Forwarded-For from proxies and from whoever pretends to be one: the
// address that asked is the connection's or one that the header spells.
#include "base/address.h"

#include <string>
#include <vector>

#include "http/forwarded_internal.h"
#include "target.h"

namespace {

namespace base = retort::base;

void check_block(std::string_view text) {
  const auto block = base::parse_address_block(text);
  const auto address = base::parse_address(text);
  if (address && (!block || block->bits != 128)) __builtin_trap();
  if (!block) return;
  if (block->bits < 0 || block->bits > 128 || !block->holds(block->bytes)) __builtin_trap();
  // Who reads the list again, in any language, must find the same addresses in it.
  if (text.find_first_not_of("0123456789abcdefABCDEF.:/") != std::string_view::npos) {
    __builtin_trap();
  }
}

void check_asking(std::string_view value) {
  static const std::vector<base::AddressBlock> proxies = {
      *base::parse_address_block("127.0.0.1"), *base::parse_address_block("10.0.0.0/8"),
      *base::parse_address_block("2001:db8::/32")};
  const size_t middle = value.size() / 2;
  const retort::http::Headers headers = {{"X-Forwarded-For", std::string(value.substr(0, middle))},
                                         {"x-forwarded-for", std::string(value.substr(middle))}};
  const std::string stranger = "203.0.113.9";
  if (retort::http::asking_address(proxies, stranger, headers) != stranger) __builtin_trap();
  const auto asking = retort::http::asking_address(proxies, "127.0.0.1", headers);
  if (asking == "127.0.0.1") return;
  if (!base::parse_address(asking) || value.find(asking) == std::string_view::npos) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = retort::fuzz::text_of(data, size);
  check_block(text);
  check_asking(text);
  return 0;
}
