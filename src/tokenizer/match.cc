#include "tokenizer/match.h"

#include <fmt/core.h>

#include <string_view>
#include <unordered_map>

#include "tokenizer/printable_internal.h"

namespace retort::tokenizer {
namespace {

using Ids = std::unordered_map<std::string_view, TokenId>;

// A special token's spelling is no text, so the two kinds are kept apart.
struct ByToken {
  Ids text, special;
  Ids& of(const Tokenizer& tokenizer, TokenId id) {
    return tokenizer.is_special(id) ? special : text;
  }
};

}  // namespace

Result<std::vector<TokenId>> match(const Tokenizer& part, const Tokenizer& whole) {
  ByToken known;
  const auto& tokens = whole.vocabulary().tokens;
  for (TokenId id = 0; id < whole.size(); ++id) {
    known.of(whole, id).emplace(tokens[static_cast<size_t>(id)], id);
  }
  std::vector<TokenId> ids;
  int64_t missing = 0;
  std::string first;
  for (TokenId id = 0; id < part.size(); ++id) {
    const std::string& token = part.vocabulary().tokens[static_cast<size_t>(id)];
    const Ids& among = known.of(part, id);
    const auto found = among.find(token);
    ids.push_back(found == among.end() ? -1 : found->second);
    if (found == among.end() && missing++ == 0) first = token;
  }
  if (missing == 0) return ids;
  return base::bad_input(
      fmt::format("{} of {} tokens are no tokens of the other vocabulary, the first: \"{}\"",
                  missing, part.size(), bytes_to_printable(first)));
}

}  // namespace retort::tokenizer
