#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

#include "base/files.h"
#include "json/value.h"
#include "tokenizer/sentencepiece_internal.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_json_internal.h"

namespace retort::tokenizer {
namespace {

using json::Value;

constexpr int64_t kLimitBytes = int64_t{256} << 20;

Error not_ours(std::string what) {
  return base::bad_input(std::move(what), "",
                         "BPE tokenizers can be read, byte-level or as Llama 2's, and Unigram");
}

bool is_byte_level(const Value& step, bool use_regex) {
  const Value* regex = step.find("use_regex");  // older files lack it and mean true
  const bool uses = regex == nullptr || !regex->is_bool() || regex->as_bool();
  return is_type(step, "ByteLevel") && !is_true(step, "add_prefix_space") && uses == use_regex;
}

Result<PreTokenizer> read_pre_tokenizer(const Value* value) {
  const Error refused =
      base::bad_input(fmt::format("its pre_tokenizer is of no known kind: {}",
                                  value == nullptr ? "none" : json::dump(*value).substr(0, 300)),
                      "", "known are those of GPT-2, SmolLM2, Llama 3 and Qwen2");
  if (value == nullptr) return refused;
  if (is_byte_level(*value, /*use_regex=*/true)) return PreTokenizer::gpt2;
  const Value* steps = value->find("pretokenizers");
  if (!is_type(*value, "Sequence") || steps == nullptr || !steps->is_array() ||
      steps->as_array().size() != 2) {
    return refused;
  }
  const Value& first = steps->as_array()[0];
  const Value& second = steps->as_array()[1];
  if (is_type(first, "Digits") && is_true(first, "individual_digits") &&
      is_byte_level(second, /*use_regex=*/true)) {
    return PreTokenizer::smollm;
  }
  const Value* pattern = first.find("pattern");
  const Value* regex = pattern == nullptr ? nullptr : pattern->find("Regex");
  const Value* behavior = first.find("behavior");
  if (!is_type(first, "Split") || regex == nullptr || !regex->is_string() || behavior == nullptr ||
      *behavior != Value("Isolated") || is_true(first, "invert") ||
      !is_byte_level(second, /*use_regex=*/false)) {
    return refused;
  }
  if (regex->as_string() == kLlama3Pattern) return PreTokenizer::llama3;
  if (regex->as_string() == kQwen2Pattern) return PreTokenizer::qwen2;
  return refused;
}

Result<void> check_model(const Value& model) {
  if (!is_type(model, "BPE") && !is_absent(model.find("type")))
    return not_ours("its model is neither BPE nor Unigram");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Value* found = model.find(key);
    if (!is_absent(found) && *found != Value("")) return not_ours(fmt::format("it uses {}", key));
  }
  return {};
}

Result<void> read_tokens(const Value& root, const Value& model, SpeltTokens& out) {
  const Value* vocab = model.find("vocab");
  if (vocab == nullptr || !vocab->is_object()) return not_ours("model.vocab is no object");
  for (const auto& [token, id] : vocab->as_object()) {
    if (!id.is_int()) return base::bad_input(fmt::format("the id of \"{}\" is no integer", token));
    RETORT_TRY_VOID(out.place(token, id.as_int()));
  }
  return out.place_added(root);
}

Result<void> read_merges(const Value& model, PrintableVocabulary& out) {
  const Value* merges = model.find("merges");
  if (merges == nullptr || !merges->is_array()) return not_ours("model.merges is no list");
  for (const Value& merge : merges->as_array()) {
    if (merge.is_string()) {
      out.merges.push_back(merge.as_string());
    } else if (merge.is_array() && merge.as_array().size() == 2 &&
               merge.as_array()[0].is_string() && merge.as_array()[1].is_string()) {
      out.merges.push_back(merge.as_array()[0].as_string() + " " + merge.as_array()[1].as_string());
    } else {
      return base::bad_input(fmt::format("merge {} is no pair of tokens", out.merges.size()));
    }
  }
  return {};
}

Result<Vocabulary> read_pieces(const Value& root, const Value& model) {
  RETORT_TRY(const SpacePrefix prefix, read_space_prefix(root));
  if (is_true(model, "ignore_merges")) return not_ours("it uses byte_fallback and ignore_merges");
  SpeltTokens spelt;
  RETORT_TRY_VOID(read_tokens(root, model, spelt));
  RETORT_TRY_VOID(read_merges(model, spelt));
  Pieces pieces{spelt.tokens, spelt.special, {}};
  std::unordered_map<std::string_view, TokenId> ids;
  for (size_t i = 0; i < spelt.tokens.size(); ++i) {
    pieces.byte.push_back(!spelt.special[i] && byte_of_piece(spelt.tokens[i]));
    if (!spelt.special[i]) ids.emplace(spelt.tokens[i], static_cast<TokenId>(i));
  }
  RETORT_TRY(Vocabulary vocabulary, from_pieces(pieces));
  vocabulary.space_prefix = prefix;
  vocabulary.shown = std::move(spelt.shown);
  for (const std::string_view merge : spelt.merges) {
    const size_t blank = std::min(merge.find(' '), merge.size());
    const auto left = ids.find(merge.substr(0, blank));
    const auto right = ids.find(merge.substr(std::min(blank + 1, merge.size())));
    if (left == ids.end() || right == ids.end()) {
      return base::bad_input(fmt::format("merge {} (\"{}\") is not of two known tokens",
                                         vocabulary.merges.size(), merge));
    }
    vocabulary.merges.emplace_back(left->second, right->second);
  }
  return vocabulary;
}

Result<Vocabulary> read_tokenizer(const Value& root) {
  const Value* model = root.find("model");
  if (model == nullptr || !model->is_object()) return not_ours("it has no model");
  if (is_type(*model, "Unigram")) return read_unigram(root, *model);
  RETORT_TRY_VOID(check_model(*model));
  if (is_true(*model, "byte_fallback")) return read_pieces(root, *model);
  if (!is_absent(root.find("normalizer"))) {
    return base::bad_input("it has a normalizer", "", "only tokenizers without one can be read");
  }
  RETORT_TRY(const PreTokenizer pre, read_pre_tokenizer(root.find("pre_tokenizer")));
  SpeltTokens printable;
  RETORT_TRY_VOID(read_tokens(root, *model, printable));
  RETORT_TRY_VOID(read_merges(*model, printable));
  RETORT_TRY(Vocabulary vocabulary, from_printable(printable, pre));
  vocabulary.shown = std::move(printable.shown);
  vocabulary.whole_words = is_true(*model, "ignore_merges");
  return vocabulary;
}

TokenId id_of(const Vocabulary& vocabulary, const Value* spelling) {
  if (spelling != nullptr && spelling->is_object()) spelling = spelling->find("content");
  if (spelling == nullptr || !spelling->is_string()) return -1;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.special[id] && vocabulary.tokens[id] == spelling->as_string()) {
      return static_cast<TokenId>(id);
    }
  }
  return -1;
}

bool begins_with_special(const Value& root) {
  const Value* step = root.find("post_processor");
  const Value* single = step == nullptr || !step->is_object() ? nullptr : step->find("single");
  return single != nullptr && single->is_array() && !single->as_array().empty() &&
         single->as_array()[0].is_object() && single->as_array()[0].find("SpecialToken") != nullptr;
}

// What stands beside tokenizer.json, when it does.
Result<void> read_neighbours(const std::string& folder, const Value& root, Vocabulary& vocabulary) {
  const std::string config_path = base::join(folder, "tokenizer_config.json");
  if (base::exists(config_path)) {
    RETORT_TRY(const std::string text, base::read_file(config_path, kLimitBytes));
    RETORT_TRY(const Value config, json::parse(text, config_path));
    vocabulary.bos = id_of(vocabulary, config.find("bos_token"));
    vocabulary.eos = id_of(vocabulary, config.find("eos_token"));
    vocabulary.pad = id_of(vocabulary, config.find("pad_token"));
    const Value* adds = config.find("add_bos_token");
    if (is_absent(adds)) {
      // Llama 2's newer files leave it to the post-processor.
      vocabulary.add_bos = vocabulary.is_sentencepiece() && begins_with_special(root);
    } else {
      vocabulary.add_bos = is_true(config, "add_bos_token");
    }
    vocabulary.add_bos = vocabulary.add_bos && vocabulary.bos >= 0;
    const Value* chat = config.find("chat_template");
    if (chat != nullptr && chat->is_string()) vocabulary.chat_template = chat->as_string();
  }
  const std::string chat_path = base::join(folder, "chat_template.jinja");
  if (base::exists(chat_path)) {
    RETORT_TRY(vocabulary.chat_template, base::read_file(chat_path, kLimitBytes));
  }
  return {};
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> load_tokenizer_json(const std::string& path) {
  RETORT_TRY(const std::string text, base::read_file(path, kLimitBytes));
  RETORT_TRY(const Value root, json::parse(text, path));
  auto vocabulary = read_tokenizer(root);
  if (!vocabulary) return vocabulary.error().at(path);
  RETORT_TRY_VOID(read_neighbours(base::parent(path), root, *vocabulary));
  auto made = Tokenizer::create(std::move(*vocabulary));
  if (!made) return made.error().at(path);
  return made;
}

}  // namespace retort::tokenizer
