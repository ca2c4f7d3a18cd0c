// JSON text: what is read is written as text that reads the same, in the canonical form too.
#include "json/value.h"

#include "json/scan.h"
#include "target.h"

namespace json = retort::json;

namespace {

// The scanner may leave text to the parser, but never reads another thing in it.
void check_scanned(std::string_view text, const json::Value& value) {
  json::Scanner scanner(text);
  json::ScannedString string;
  int64_t integer = 0;
  if (scanner.string(string) && scanner.at_end()) {
    if (!value.is_string() || value.as_string() != string.text()) __builtin_trap();
  } else if (json::Scanner again(text); again.integer(integer) && again.at_end()) {
    if (!value.is_int() || value.as_int() != integer) __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto text = retort::fuzz::text_of(data, size);
  const auto value = json::parse(text, "input");
  if (!value) return 0;
  for (const int indent : {0, 2}) {
    const auto again = json::parse(json::dump(*value, indent), "again");
    if (!again || !(*again == *value)) __builtin_trap();
  }
  const auto canonical = json::canonical(*value);
  const auto again = json::parse(canonical, "canonical");
  if (!again || json::canonical(*again) != canonical) __builtin_trap();
  check_scanned(text, *value);
  return 0;
}
