#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "tokenizer/bpe_trainer_internal.h"
#include "tokenizer/chat.h"
#include "tokenizer/testing_internal.h"

namespace retort::tokenizer {
namespace {

using testing::HasSubstr;

class TokenizerJson : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/retort_tokenizer_" + std::to_string(getpid());
    ASSERT_TRUE(base::make_directories(folder_));
  }
  void TearDown() override { ASSERT_TRUE(base::remove_all(folder_)); }

  std::string path(const std::string& name) const { return base::join(folder_, name); }
  std::shared_ptr<const Tokenizer> load() const {
    auto loaded = load_tokenizer_json(path("tokenizer.json"));
    EXPECT_TRUE(loaded) << loaded.error().text();
    return *loaded;
  }
  json::Value read(const std::string& name) const {
    auto value = json::parse(*base::read_file(path(name)), name);
    EXPECT_TRUE(value);
    return *value;
  }
  // What loading says of the SmolLM2 fixture after a change.
  std::string error_after(const std::function<void(json::Value&)>& change) {
    json::Value root = golden_json("smollm2/tokenizer.json");
    change(root);
    EXPECT_TRUE(base::write_file_atomic(path("tokenizer.json"), json::dump(root)));
    const auto loaded = load_tokenizer_json(path("tokenizer.json"));
    return loaded ? std::string("accepted") : loaded.error().text();
  }

  std::string folder_;
};

TEST_F(TokenizerJson, SavedAndLoadedIsEqual) {
  Vocabulary vocabulary = byte_vocabulary({{" ", "t"}, {"\n", "\n"}, {"\xe2", "\x82"}});
  vocabulary.tokens.emplace_back("<|im_end|>");
  vocabulary.tokens.emplace_back("<|\xc3\xa9|>");
  vocabulary.special.resize(vocabulary.tokens.size());
  vocabulary.special[259] = vocabulary.special[260] = true;
  vocabulary.eos = 259;
  vocabulary.bos = 260;
  vocabulary.chat_template = chatml_template_text();
  for (const auto pre :
       {PreTokenizer::gpt2, PreTokenizer::smollm, PreTokenizer::llama3, PreTokenizer::qwen2}) {
    vocabulary.pre = pre;
    vocabulary.add_bos = pre == PreTokenizer::llama3;
    vocabulary.whole_words = pre == PreTokenizer::llama3;
    const auto made = Tokenizer::create(vocabulary);
    ASSERT_TRUE(made);
    ASSERT_TRUE(save_tokenizer(**made, folder_));
    const auto loaded = load();
    const Vocabulary& back = loaded->vocabulary();
    EXPECT_EQ(back.tokens, vocabulary.tokens);
    EXPECT_EQ(back.merges, vocabulary.merges);
    EXPECT_EQ(back.special, vocabulary.special);
    EXPECT_EQ(back.pre, pre);
    EXPECT_EQ(back.bos, 260);
    EXPECT_EQ(back.eos, 259);
    EXPECT_EQ(back.pad, -1);
    EXPECT_EQ(back.add_bos, vocabulary.add_bos);
    EXPECT_EQ(back.whole_words, vocabulary.whole_words);
    EXPECT_EQ(back.chat_template, vocabulary.chat_template);
  }
  EXPECT_EQ(read("special_tokens_map.json").find("eos_token")->as_string(), "<|im_end|>");
  EXPECT_EQ(*base::read_file(path("chat_template.jinja")), chatml_template_text());
}

TEST_F(TokenizerJson, MergesMayBePairs) {
  const auto strings = load_tokenizer_json(golden("smollm2/tokenizer.json"));
  EXPECT_EQ(error_after([](json::Value& root) {
              for (json::Value& merge : root.find("model")->find("merges")->as_array()) {
                const std::string text = merge.as_string();
                const size_t blank = text.find(' ');
                merge = json::Value::array({text.substr(0, blank), text.substr(blank + 1)});
              }
            }),
            "accepted");
  EXPECT_EQ(load()->vocabulary().merges, (*strings)->vocabulary().merges);
  EXPECT_GT(load()->vocabulary().merges.size(), 100u);
}

TEST_F(TokenizerJson, TheChatTemplateFileOverrulesTheConfiguration) {
  EXPECT_EQ(error_after([](json::Value&) {}), "accepted");
  EXPECT_EQ(load()->vocabulary().chat_template, "");
  const json::Value config = json::Value::object(
      {{"chat_template", "one"},
       {"eos_token", json::Value::object({{"content", "<|im_end|>"}, {"lstrip", false}})},
       {"pad_token", "nowhere"}});
  ASSERT_TRUE(base::write_file_atomic(path("tokenizer_config.json"), json::dump(config)));
  EXPECT_EQ(load()->vocabulary().chat_template, "one");
  EXPECT_EQ(load()->vocabulary().eos, 2);
  EXPECT_EQ(load()->vocabulary().pad, -1);
  ASSERT_TRUE(base::write_file_atomic(path("chat_template.jinja"), "two"));
  EXPECT_EQ(load()->vocabulary().chat_template, "two");
}

TEST_F(TokenizerJson, AddedTokensThatAreNotSpecialArePrinted) {
  EXPECT_EQ(error_after([](json::Value& root) {
              root.find("added_tokens")->as_array()[1].set("special", false);
            }),
            "accepted");
  EXPECT_EQ(load()->bytes(1), load()->vocabulary().tokens[1]);
  EXPECT_EQ(load()->bytes(2), "");
  EXPECT_TRUE(load()->is_special(1));
}

TEST_F(TokenizerJson, RefusesWhatItCannotGiveEqualIdsFor) {
  using json::Value;
  EXPECT_THAT(error_after([](Value& root) {
                root.set("normalizer", Value::object({{"type", "NFC"}}));
              }),
              HasSubstr("normalizer"));
  EXPECT_THAT(error_after([](Value& root) { root.find("model")->set("type", "WordPiece"); }),
              HasSubstr("neither BPE nor Unigram"));
  EXPECT_THAT(error_after([](Value& root) { root.find("model")->set("byte_fallback", true); }),
              HasSubstr("its pre_tokenizer is of no known kind"));
  EXPECT_THAT(error_after([](Value& root) { root.set("pre_tokenizer", nullptr); }),
              HasSubstr("pre_tokenizer"));
  EXPECT_THAT(error_after([](Value& root) {
                root.find("pre_tokenizer")
                    ->find("pretokenizers")
                    ->as_array()[1]
                    .set("add_prefix_space", true);
              }),
              HasSubstr("pre_tokenizer"));
  EXPECT_THAT(
      error_after([](Value& root) { root.find("model")->find("merges")->push("zzzz yyyy"); }),
      HasSubstr("zzzz yyyy"));
  EXPECT_THAT(error_after([](Value& root) { root.find("model")->find("merges")->push(5); }),
              HasSubstr("no pair"));
}

TEST_F(TokenizerJson, RefusesDamagedFiles) {
  using json::Value;
  const auto set_id = [](Value id) {
    return [id](Value& root) { root.find("model")->find("vocab")->set("!", id); };
  };
  EXPECT_THAT(error_after(set_id(int64_t{1} << 40)), HasSubstr("has the id"));
  EXPECT_THAT(error_after(set_id(-1)), HasSubstr("has the id"));
  EXPECT_THAT(error_after(set_id("x")), HasSubstr("no integer"));
  EXPECT_THAT(error_after(set_id(18)), HasSubstr("two tokens"));
  EXPECT_THAT(error_after([](Value& root) { root = Value::array(); }), HasSubstr("no model"));
  EXPECT_THAT(error_after([](Value& root) { root.set("added_tokens", 3); }), HasSubstr("no list"));
  EXPECT_THAT(error_after([](Value& root) { root.set("model", Value::object()); }),
              HasSubstr("vocab"));
  ASSERT_TRUE(base::write_file_atomic(path("tokenizer.json"), "{\"model\": "));
  const auto cut = load_tokenizer_json(path("tokenizer.json"));
  ASSERT_FALSE(cut);
  EXPECT_THAT(cut.error().text(), HasSubstr(path("tokenizer.json")));
  EXPECT_FALSE(load_tokenizer_json(path("nowhere.json")));
}

}  // namespace
}  // namespace retort::tokenizer
