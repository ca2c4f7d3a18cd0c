#include "base/files.h"
#include "json/value.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/tokenizer_json_internal.h"

namespace retort::tokenizer {
namespace {

using json::Value;

Value byte_level(bool use_regex) {
  return Value::object({{"type", "ByteLevel"},
                        {"add_prefix_space", false},
                        {"trim_offsets", true},
                        {"use_regex", use_regex}});
}

Value sequence(Value first, Value second) {
  return Value::object({{"type", "Sequence"},
                        {"pretokenizers", Value::array({std::move(first), std::move(second)})}});
}

Value split(const char* pattern) {
  return Value::object({{"type", "Split"},
                        {"pattern", Value::object({{"Regex", pattern}})},
                        {"behavior", "Isolated"},
                        {"invert", false}});
}

Value pre_tokenizer(PreTokenizer pre) {
  switch (pre) {
    case PreTokenizer::gpt2:
      break;
    case PreTokenizer::smollm:
      return sequence(Value::object({{"type", "Digits"}, {"individual_digits", true}}),
                      byte_level(/*use_regex=*/true));
    case PreTokenizer::llama3:
      return sequence(split(kLlama3Pattern), byte_level(/*use_regex=*/false));
    case PreTokenizer::qwen2:
      return sequence(split(kQwen2Pattern), byte_level(/*use_regex=*/false));
  }
  return byte_level(/*use_regex=*/true);
}

std::string spelling(const Vocabulary& vocabulary, TokenId id) {
  return id < 0 ? "" : vocabulary.tokens[static_cast<size_t>(id)];
}

// Puts the bos token first, as the configuration's add_bos_token asks for.
Value post_processor(const Vocabulary& vocabulary) {
  if (!vocabulary.add_bos || vocabulary.bos < 0) return Value();
  const std::string bos = spelling(vocabulary, vocabulary.bos);
  const auto special = [&] {
    return Value::object({{"SpecialToken", Value::object({{"id", bos}, {"type_id", 0}})}});
  };
  const auto text = [](const char* name, int type) {
    return Value::object({{"Sequence", Value::object({{"id", name}, {"type_id", type}})}});
  };
  const Value entry = Value::object({{"id", bos},
                                     {"ids", Value::array({Value(int64_t{vocabulary.bos})})},
                                     {"tokens", Value::array({Value(bos)})}});
  return Value::object({{"type", "TemplateProcessing"},
                        {"single", Value::array({special(), text("A", 0)})},
                        {"pair", Value::array({special(), text("A", 0), text("B", 1)})},
                        {"special_tokens", Value::object({{bos, entry}})}});
}

bool is_shown(const Vocabulary& vocabulary, size_t id) {
  return id < vocabulary.shown.size() && vocabulary.shown[id];
}

Value tokenizer_json(const Vocabulary& vocabulary) {
  const PrintableVocabulary printable = to_printable(vocabulary);
  json::Array added;
  json::Object vocab;
  for (size_t id = 0; id < printable.tokens.size(); ++id) {
    const auto number = static_cast<int64_t>(id);
    vocab.emplace_back(printable.tokens[id], number);
    if (!vocabulary.special[id]) continue;
    added.push_back(Value::object({{"id", number},
                                   {"content", printable.tokens[id]},
                                   {"single_word", false},
                                   {"lstrip", false},
                                   {"rstrip", false},
                                   {"normalized", false},
                                   {"special", !is_shown(vocabulary, id)}}));
  }
  // Merges as "a b": every version of the tokenizers library reads that form.
  json::Array merges(printable.merges.begin(), printable.merges.end());
  Value model = Value::object({{"type", "BPE"},
                               {"dropout", nullptr},
                               {"unk_token", nullptr},
                               {"continuing_subword_prefix", nullptr},
                               {"end_of_word_suffix", nullptr},
                               {"fuse_unk", false},
                               {"byte_fallback", false},
                               {"ignore_merges", vocabulary.whole_words},
                               {"vocab", std::move(vocab)},
                               {"merges", std::move(merges)}});
  return Value::object({{"version", "1.0"},
                        {"truncation", nullptr},
                        {"padding", nullptr},
                        {"added_tokens", std::move(added)},
                        {"normalizer", nullptr},
                        {"pre_tokenizer", pre_tokenizer(vocabulary.pre)},
                        {"post_processor", post_processor(vocabulary)},
                        {"decoder", byte_level(/*use_regex=*/true)},
                        {"model", std::move(model)}});
}

Value special_tokens_map(const Vocabulary& vocabulary) {
  Value map = Value::object();
  const auto add = [&](const char* key, TokenId id) {
    if (id >= 0) map.set(key, spelling(vocabulary, id));
  };
  add("bos_token", vocabulary.bos);
  add("eos_token", vocabulary.eos);
  add("pad_token", vocabulary.pad);
  return map;
}

Value tokenizer_config(const Vocabulary& vocabulary) {
  Value config = special_tokens_map(vocabulary);
  config.set("add_bos_token", vocabulary.add_bos);
  config.set("add_prefix_space", false);
  config.set("clean_up_tokenization_spaces", false);
  config.set("tokenizer_class", "PreTrainedTokenizerFast");
  if (!vocabulary.chat_template.empty()) config.set("chat_template", vocabulary.chat_template);
  return config;
}

}  // namespace

Result<void> save_tokenizer(const Tokenizer& tokenizer, const std::string& folder) {
  const Vocabulary& vocabulary = tokenizer.vocabulary();
  if (vocabulary.is_sentencepiece()) {
    return base::bad_input("a SentencePiece vocabulary cannot be saved", folder,
                           "copy the tokenizer's files from where it was read");
  }
  RETORT_TRY_VOID(base::make_directories(folder));
  const auto write = [&](const char* file, const std::string& text) {
    return base::write_file_atomic(base::join(folder, file), text);
  };
  RETORT_TRY_VOID(write("tokenizer.json", json::dump(tokenizer_json(vocabulary), 2) + "\n"));
  RETORT_TRY_VOID(
      write("tokenizer_config.json", json::dump(tokenizer_config(vocabulary), 2) + "\n"));
  RETORT_TRY_VOID(
      write("special_tokens_map.json", json::dump(special_tokens_map(vocabulary), 2) + "\n"));
  if (!vocabulary.chat_template.empty()) {
    RETORT_TRY_VOID(write("chat_template.jinja", vocabulary.chat_template));
  }
  return {};
}

}  // namespace retort::tokenizer
