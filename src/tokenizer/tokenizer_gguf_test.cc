#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "artifact/gguf.h"
#include "tokenizer/testing_internal.h"

namespace retort::tokenizer {
namespace {

using artifact::GgufArray;
using artifact::GgufMetadata;
using testing::HasSubstr;

GgufMetadata metadata_of(const Vocabulary& vocabulary) {
  auto printable = to_printable(vocabulary);
  std::vector<int32_t> types;
  for (const bool special : printable.special) types.push_back(special ? 3 : 1);
  return {{"general.architecture", std::string("llama")},
          {"tokenizer.ggml.model", std::string("gpt2")},
          {"tokenizer.ggml.pre", std::string("smollm")},
          {"tokenizer.ggml.tokens", GgufArray{std::move(printable.tokens)}},
          {"tokenizer.ggml.token_type", GgufArray{std::move(types)}},
          {"tokenizer.ggml.merges", GgufArray{std::move(printable.merges)}},
          {"tokenizer.ggml.bos_token_id", uint32_t{258}},
          {"tokenizer.chat_template", std::string("{# none #}")}};
}

Result<std::shared_ptr<const Tokenizer>> through_a_file(const GgufMetadata& metadata) {
  const std::string path = testing::TempDir() + "/vocabulary." + std::to_string(getpid()) + ".gguf";
  auto writer = artifact::GgufWriter::create(path, metadata, {});
  EXPECT_TRUE(writer->finish().ok());
  const auto file = artifact::GgufFile::open(path);
  EXPECT_TRUE(file.ok());
  auto loaded = load_tokenizer_gguf(*file);
  std::filesystem::remove(path);
  return loaded;
}

Vocabulary small() {
  Vocabulary vocabulary = byte_vocabulary({{"h", "e"}, {" ", "he"}});
  vocabulary.special.assign(vocabulary.tokens.size(), false);
  vocabulary.tokens.push_back("<|im_start|>");
  vocabulary.special.push_back(true);
  return vocabulary;
}

TEST(TokenizerGguf, SaysWhatTheFileSays) {
  const auto loaded = through_a_file(metadata_of(small()));
  ASSERT_TRUE(loaded.ok()) << loaded.error().text();
  const Vocabulary& vocabulary = (*loaded)->vocabulary();
  EXPECT_EQ(vocabulary.tokens, small().tokens);
  EXPECT_EQ(vocabulary.merges, small().merges);
  EXPECT_EQ(vocabulary.special, small().special);
  EXPECT_EQ(vocabulary.bos, 258);
  EXPECT_EQ(vocabulary.eos, -1);
  EXPECT_EQ(vocabulary.chat_template, "{# none #}");
  EXPECT_EQ(pieces(**loaded, "a he"), (std::vector<std::string>{"a", " he"}));
}

TEST(TokenizerGguf, UserDefinedTokensArePrintedAndNeverReadFromText) {
  GgufMetadata metadata = metadata_of(small());
  for (auto& [name, value] : metadata) {
    if (name != "tokenizer.ggml.token_type") continue;
    std::vector<int32_t> types(259, 1);
    types[258] = 4;
    value = GgufArray{std::move(types)};
  }
  const auto loaded = through_a_file(metadata);
  ASSERT_TRUE(loaded.ok()) << loaded.error().text();
  EXPECT_TRUE((*loaded)->is_special(258));
  EXPECT_EQ((*loaded)->bytes(258), "<|im_start|>");
  EXPECT_EQ((*loaded)->decode({258, 97}), "<|im_start|>a");
  const auto ids = (*loaded)->encode("<|im_start|>");
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 258), 0);
}

TEST(TokenizerGguf, OddFilesAreRefusedByKey) {
  const auto refusal = [](const std::string& key, artifact::GgufValue value) {
    GgufMetadata metadata = metadata_of(small());
    for (auto& [name, old] : metadata) {
      if (name == key) old = std::move(value);
    }
    const auto loaded = through_a_file(metadata);
    return loaded ? std::string() : loaded.error().text();
  };
  EXPECT_THAT(refusal("tokenizer.ggml.model", std::string("bert")), HasSubstr("bert"));
  EXPECT_THAT(refusal("tokenizer.ggml.pre", std::string("odd")), HasSubstr("odd"));
  EXPECT_THAT(refusal("tokenizer.ggml.bos_token_id", uint32_t{259}), HasSubstr("259"));
  EXPECT_THAT(refusal("tokenizer.ggml.token_type", GgufArray{std::vector<int32_t>{1, 1}}),
              HasSubstr("token_type"));
  EXPECT_THAT(refusal("tokenizer.ggml.merges", GgufArray{std::vector<std::string>{"x yz"}}),
              HasSubstr("yz"));
}

}  // namespace
}  // namespace retort::tokenizer
