// tokenizer.json of the kind Unigram: {"vocab": [["<unk>", 0.0], ...], "unk_id": 0}, and how its
// normalizer and pre-tokenizer say what SentencePiece does to texts.
#include <fmt/core.h>

#include <algorithm>

#include "crypto/hash.h"
#include "tokenizer/sentencepiece_internal.h"
#include "tokenizer/tokenizer_json_internal.h"

namespace retort::tokenizer {
namespace {

using json::Value;

// What is done to a text before it is cut.
struct Rewriting {
  std::string charsmap = {};
  bool drops_blanks = false;
  SpacePrefix prefix = SpacePrefix::none;
};

// The steps of a Sequence, or the one step that there is.
json::Array steps_of(const Value* value, const char* key) {
  if (is_absent(value)) return {};
  const Value* steps = is_type(*value, "Sequence") ? value->find(key) : nullptr;
  return steps != nullptr && steps->is_array() ? steps->as_array() : json::Array{*value};
}

bool is_text_at(const Value& step, const char* key, std::string_view text) {
  const Value* found = step.find(key);
  return found != nullptr && found->is_string() && found->as_string() == text;
}

// Blanks at the end go, several become one.
bool is_strip(const Value& step) {
  return is_type(step, "Strip") && !is_true(step, "strip_left") && is_true(step, "strip_right");
}
bool is_squeeze(const Value& step) {
  const Value* pattern = step.find("pattern");
  return is_type(step, "Replace") && pattern != nullptr && is_text_at(*pattern, "Regex", " {2,}") &&
         (is_text_at(step, "content", " ") || is_text_at(step, "content", kMetaspace));
}
bool is_prefixing(const Value& step) {
  const Value* scheme = step.find("prepend_scheme");
  return is_type(step, "Metaspace") && is_text_at(step, "replacement", kMetaspace) &&
         (scheme == nullptr ? !is_false(step, "add_prefix_space") : *scheme == Value("always"));
}

// T5's and those of its kind, which SentencePiece trains by default: rules for characters, then
// blanks dropped at the ends and squeezed between, one put in front.
Result<Rewriting> read_rewriting(const Value& root) {
  const Value* normalizer = root.find("normalizer");
  json::Array steps = steps_of(normalizer, "normalizers");
  json::Array splits = steps_of(root.find("pre_tokenizer"), "pretokenizers");
  Rewriting out;
  if (!steps.empty() && is_type(steps[0], "Precompiled")) {
    RETORT_TRY(const std::string coded, steps[0].string_at("precompiled_charsmap"));
    RETORT_TRY(out.charsmap, crypto::from_base64(coded));
    steps.erase(steps.begin());
  }
  const bool strips = !steps.empty() && is_strip(steps[0]);
  if (strips) steps.erase(steps.begin());
  const bool squeezes = !steps.empty() && is_squeeze(steps[0]);
  if (squeezes) steps.erase(steps.begin());
  const bool splits_words = !splits.empty() && is_type(splits[0], "WhitespaceSplit");
  if (splits_words) splits.erase(splits.begin());
  if (out.charsmap.empty() && !strips && !squeezes && !splits_words) {
    RETORT_TRY(out.prefix, read_space_prefix(root));
    return out;
  }
  if (!steps.empty() || !(squeezes || splits_words) || splits.size() != 1 ||
      !is_prefixing(splits[0])) {
    const std::string shown = is_absent(normalizer) ? "none" : json::dump(*normalizer);
    return base::bad_input(
        fmt::format("its normalizer and pre_tokenizer together are of no known kind: {}",
                    shown.substr(0, 300)),
        "", "known for Unigram are those of T5 and of Llama 2");
  }
  out.drops_blanks = true;
  out.prefix = SpacePrefix::each;
  return out;
}

Result<void> read_scored(const Value& model, SpeltTokens& out, std::vector<float>& scores) {
  const Value* vocab = model.find("vocab");
  if (vocab == nullptr || !vocab->is_array()) return base::bad_input("model.vocab is no list");
  for (const Value& pair : vocab->as_array()) {
    const bool fits = pair.is_array() && pair.as_array().size() == 2 &&
                      pair.as_array()[0].is_string() && pair.as_array()[1].is_number();
    if (!fits) {
      return base::bad_input(
          fmt::format("model.vocab[{}] is no pair of a token and its score", scores.size()));
    }
    RETORT_TRY_VOID(out.place(pair.as_array()[0].as_string(), std::ssize(scores)));
    scores.push_back(static_cast<float>(pair.as_array()[1].as_number()));
  }
  return {};
}

}  // namespace

Result<Vocabulary> read_unigram(const Value& root, const Value& model) {
  RETORT_TRY(Rewriting rewriting, read_rewriting(root));
  SpeltTokens spelt;
  std::vector<float> scores;
  RETORT_TRY_VOID(read_scored(model, spelt, scores));
  RETORT_TRY_VOID(spelt.place_added(root));
  const size_t size = spelt.tokens.size();
  const Value* unk = model.find("unk_id");
  int64_t unknown = -1;
  if (!is_absent(unk)) {
    if (!unk->is_int() || unk->as_int() < 0 || unk->as_int() >= static_cast<int64_t>(size)) {
      return base::bad_input("model.unk_id is no token of the vocabulary");
    }
    unknown = unk->as_int();
    spelt.special[static_cast<size_t>(unknown)] = true;
  }
  Pieces pieces{spelt.tokens, spelt.special, {}};
  const bool bytes = is_true(model, "byte_fallback");
  for (size_t i = 0; i < size; ++i) {
    pieces.byte.push_back(bytes && !spelt.special[i] && byte_of_piece(spelt.tokens[i]));
  }
  RETORT_TRY(Vocabulary vocabulary, bytes ? from_pieces(pieces) : from_spelt_pieces(pieces));
  scores.resize(size);
  vocabulary.unigram = true;
  vocabulary.scores = std::move(scores);
  vocabulary.unk = static_cast<TokenId>(unknown);
  vocabulary.shown = std::move(spelt.shown);
  vocabulary.charsmap = std::move(rewriting.charsmap);
  vocabulary.drops_blanks = rewriting.drops_blanks;
  vocabulary.space_prefix = rewriting.prefix;
  return vocabulary;
}

}  // namespace retort::tokenizer
