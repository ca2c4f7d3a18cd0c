#include <fmt/core.h>

#include "tokenizer/tokenizer_json_internal.h"

namespace retort::tokenizer {

using json::Value;

bool is_type(const Value& value, std::string_view type) {
  const Value* found = value.find("type");
  return found != nullptr && found->is_string() && found->as_string() == type;
}

bool is_true(const Value& value, std::string_view key) {
  const Value* found = value.find(key);
  return found != nullptr && found->is_bool() && found->as_bool();
}

bool is_absent(const Value* value) {
  return value == nullptr || value->is_null();
}

bool is_false(const Value& value, std::string_view key) {
  const Value* found = value.find(key);
  return found != nullptr && *found == Value(false);
}

Result<void> SpeltTokens::place(const std::string& token, int64_t id) {
  constexpr int64_t kMostTokens = int64_t{1} << 24;
  if (id < 0 || id >= kMostTokens) {
    return base::bad_input(fmt::format("token \"{}\" has the id {}", token, id));
  }
  const auto at = static_cast<size_t>(id);
  if (at >= tokens.size()) {
    tokens.resize(at + 1);
    special.resize(at + 1);
    seen.resize(at + 1);
  }
  if (seen[at] && tokens[at] != token) {
    return base::bad_input(fmt::format("two tokens have the id {}", id));
  }
  seen[at] = true;
  tokens[at] = token;
  return {};
}

Result<void> SpeltTokens::place_added(const Value& root) {
  const Value* added = root.find("added_tokens");
  if (!is_absent(added) && !added->is_array()) return base::bad_input("added_tokens is no list");
  for (const Value& entry : is_absent(added) ? json::Array{} : added->as_array()) {
    RETORT_TRY(const std::string token, entry.string_at("content"));
    RETORT_TRY(const int64_t id, entry.int_at("id"));
    RETORT_TRY_VOID(place(token, id));
    special[static_cast<size_t>(id)] = true;
    const Value* says = entry.find("special");
    if (says != nullptr && *says == Value(false)) {
      shown.resize(tokens.size());
      shown[static_cast<size_t>(id)] = true;
    }
  }
  for (size_t id = 0; id < seen.size(); ++id) {
    if (!seen[id]) return base::bad_input(fmt::format("no token has the id {}", id));
  }
  return {};
}

// Llama 2's: either a normalizer that puts U+2581 before a text and for each blank, or, in newer
// files, a pre-tokenizer that does both and splits nothing.
Result<SpacePrefix> read_space_prefix(const Value& root) {
  const auto refused = [](const char* key, const Value* value) {
    return base::bad_input(
        fmt::format("its {} is of no known kind: {}", key,
                    value == nullptr ? "none" : json::dump(*value).substr(0, 300)),
        "", "known with byte_fallback are those of Llama 2 and Mistral");
  };
  const Value* pre = root.find("pre_tokenizer");
  const Value* normalizer = root.find("normalizer");
  if (is_absent(normalizer)) {
    if (is_absent(pre) || !is_type(*pre, "Metaspace")) return refused("pre_tokenizer", pre);
    const Value* split = pre->find("split");
    const Value* blank = pre->find("replacement");
    const Value* scheme = pre->find("prepend_scheme");
    if (split == nullptr || *split != Value(false) || blank == nullptr ||
        *blank != Value(kMetaspace) || scheme == nullptr) {
      return refused("pre_tokenizer", pre);
    }
    if (*scheme == Value("always")) return SpacePrefix::each_unless_blank;
    if (*scheme == Value("first")) return SpacePrefix::first_unless_blank;
    if (*scheme == Value("never")) return SpacePrefix::none;
    return refused("pre_tokenizer", pre);
  }
  if (!is_absent(pre)) return refused("pre_tokenizer", pre);
  const Value replace = Value::object({{"type", "Replace"},
                                       {"pattern", Value::object({{"String", " "}})},
                                       {"content", kMetaspace}});
  const Value prepend = Value::object({{"type", "Prepend"}, {"prepend", kMetaspace}});
  if (*normalizer == replace) return SpacePrefix::none;
  const Value* steps = normalizer->find("normalizers");
  if (is_type(*normalizer, "Sequence") && steps != nullptr &&
      *steps == Value::array({prepend, replace})) {
    return SpacePrefix::each;
  }
  return refused("normalizer", normalizer);
}

}  // namespace retort::tokenizer
