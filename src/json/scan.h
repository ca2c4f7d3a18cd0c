// Reads JSON text of a known shape where it lies, without making a document: for lines that this
// program wrote itself and reads by the million. Each call takes the next piece or gives false,
// and then the caller parses the text in the ordinary way (value.h), which decides. What is taken
// is in canonical form: the bytes between a string's quotes are those that canonical() prints for
// it. The text outlives the scanner and everything that it gave out. UTF-8 is not looked at:
// is_utf8() does that for a whole text at once.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace retort::json {

bool is_utf8(std::string_view text);

// What stands between a string's quotes.
struct ScannedString {
  std::string_view inside{};
  bool has_escapes = false;

  std::string text() const;
  // Puts the text into `out`, in place of what it holds.
  void text_to(std::string& out) const;
};

class Scanner {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool at_end() const { return at_ == end_; }
  std::string_view rest() const { return {at_, static_cast<size_t>(end_ - at_)}; }

  // Exactly these bytes.
  bool literal(std::string_view text) {
    if (!rest().starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  // The same for words in the source, whose length the compiler knows.
  template <size_t n>
  bool literal(const char (&text)[n]) {
    constexpr size_t kBytes = n - 1;
    if (static_cast<size_t>(end_ - at_) < kBytes) return false;
    if (std::memcmp(at_, text, kBytes) != 0) return false;
    at_ += kBytes;
    return true;
  }
  bool string(ScannedString& out);
  // A whole number as canonical() prints it, of at most 18 digits.
  bool integer(int64_t& out);
  // A number of any form, as its text.
  bool number(std::string_view& out);

 private:
  const char* at_;
  const char* end_;
};

}  // namespace retort::json
