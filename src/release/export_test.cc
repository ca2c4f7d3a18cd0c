#include "release/export_internal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "json/value.h"
#include "model/model_file.h"
#include "release/gguf_export_internal.h"
#include "release/testing_internal.h"

namespace retort::release {
namespace {

namespace fs = std::filesystem;

class ExportTest : public testing::Test {
 protected:
  void SetUp() override {
    out_ = testing::TempDir() + "retort_release_" + std::to_string(::getpid()) + "_" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(out_);
  }
  void TearDown() override { fs::remove_all(out_); }

  ExportInput input() {
    ExportInput made{.weights = weights_,
                     .tokenizer = tokenizer_,
                     .out_folder = out_,
                     .options = {},
                     .facts = {},
                     .licence_texts = {},
                     .questions = {"Write a story about the moon."},
                     .on_written = {}};
    made.facts.model_id = "stories-tiny";
    made.facts.teacher = "teacher <b>|x";
    made.facts.terms = {{.series = "apache",
                         .version = "2",
                         .id = "sha256:00",
                         .basis = "silent",
                         .reader = "A. Reader",
                         .source_url = "",
                         .clause = "royalty-free",
                         .records = 12}};
    return made;
  }
  std::string read(const std::string& name) {
    auto content = base::read_file(base::join(out_, name));
    return content.ok() ? *content : "";
  }
  // Exports with `tamper` between writing and the gate; the refusal's text, "" when published.
  std::string refusal(ExportInput in, std::function<void(const std::string&)> tamper) {
    in.on_written = std::move(tamper);
    const auto report = write_and_check(in, duties_);
    if (report.ok()) return "";
    EXPECT_EQ(report.error().code, ErrorCode::refused_by_gate) << report.error().text();
    EXPECT_FALSE(base::exists(base::join(out_, ".export.tmp")));
    return report.error().text();
  }
  static void change_byte(const std::string& path, int64_t from_end) {
    auto content = base::read_file(path);
    ASSERT_TRUE(content.ok());
    (*content)[content->size() - static_cast<size_t>(from_end)] ^= 0x40;
    ASSERT_TRUE(base::write_file_atomic(path, *content).ok());
  }
  static void replace(const std::string& path, const std::string& from, const std::string& to) {
    auto content = base::read_file(path);
    ASSERT_TRUE(content.ok());
    const size_t at = content->find(from);
    ASSERT_NE(at, std::string::npos) << from;
    ASSERT_TRUE(base::write_file_atomic(path, content->replace(at, from.size(), to)).ok());
  }

  std::string out_;
  std::vector<Duty> duties_;
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer_ = small_tokenizer();
  model::Weights weights_ = small_weights(tokenizer_->size(), /*tied=*/true, 3);
};

TEST_F(ExportTest, WhatIsPublishedIsTheTrainersModel) {
  const auto report = write_and_check(input(), duties_);
  ASSERT_TRUE(report.ok()) << report.error().text();
  for (const char* file : {"student/config.json", "student/generation_config.json",
                           "student/model.safetensors", "student/tokenizer.json",
                           "student/tokenizer_config.json", "student/special_tokens_map.json",
                           "student/chat_template.jinja", "student/README.md", "student.gguf"}) {
    EXPECT_TRUE(base::exists(base::join(out_, file))) << file;
    EXPECT_NE(std::find(report->files.begin(), report->files.end(), file), report->files.end());
  }
  EXPECT_FALSE(base::exists(base::join(out_, ".export.tmp")));
  ASSERT_EQ(report->checks.size(), 12u);
  for (const auto& check : report->checks) {
    EXPECT_TRUE(check.passed) << sentence(check);
    EXPECT_GT(check.compared, 0) << sentence(check);
    if (check.what == "weights") {
      EXPECT_EQ(check.measured, 0);
    }
    if (check.what == "greedy tokens") {
      EXPECT_EQ(check.compared, 3 * 64);
    }
  }
  const auto folder = model::load_weights(base::join(out_, "student"));
  ASSERT_TRUE(folder.ok());
  EXPECT_EQ(folder->config(), weights_.config());
  const std::string card = read("student/README.md");
  EXPECT_NE(card.find("teacher &lt;b>\\|x"), std::string::npos) << card;
  EXPECT_NE(card.find("**apache 2**, 12 records"), std::string::npos) << card;
}

// Two parts of one run: each adapter says and carries what its own terms ask for, the student both.
TEST_F(ExportTest, AdaptersOfPartsOweWhatTheirOwnTermsAskFor) {
  const model::Adapter one = model::Adapter::random(weights_.config(), {.rank = 2, .alpha = 4}, 1);
  const model::Adapter other =
      model::Adapter::random(weights_.config(), {.rank = 2, .alpha = 4}, 2);
  ExportInput in = input();
  in.base_name = "a base";
  in.facts.notes = {"measured with both"};
  in.facts.teacher = "a teacher";
  const auto part_of = [](const std::string& id, const std::string& teacher, int64_t records) {
    AdapterPart part;
    part.terms_ids = {id};
    part.terms.emplace_back();
    part.terms[0].series = "series-" + id;
    part.terms[0].id = id;
    part.terms[0].records = records;
    part.teacher = teacher;
    part.counts = {{"records learnt from", records}};
    return part;
  };
  in.adapters = {{"adapters/a", &one, part_of("a", "", 31)},
                 {"adapters/b", &other, part_of("b", "a teacher", 47)}};
  in.licence_texts = {{"L-a", "the words of L-a"}, {"L-b", "the words of L-b"}};
  const std::vector<Duty> owed = {{DutyKind::licence_copy, "L-a", "series-a 1", "a"},
                                  {DutyKind::display, "Shown for a", "series-a 1", "a"},
                                  {DutyKind::licence_copy, "L-b", "series-b 1", "b"},
                                  {DutyKind::notice, "Noticed for b", "series-b 1", "b"}};
  ASSERT_TRUE(write_and_check(in, owed).ok());
  const auto whole = [&](const std::string& folder) {
    std::string text;
    const auto names = base::list_directory(base::join(out_, folder));
    for (const auto& name : *names) {
      if (!name.ends_with(".safetensors")) text += name + "\n" + read(folder + "/" + name);
    }
    return text;
  };
  const std::vector<std::string> of_a = {"the words of L-a", "Shown for a", "series-a", "31"};
  const std::vector<std::string> of_b = {"the words of L-b", "Noticed for b", "series-b", "47",
                                         "A student of a teacher"};
  for (const auto& words : of_a) {
    EXPECT_NE(whole("adapters/a").find(words), std::string::npos) << words;
    EXPECT_EQ(whole("adapters/b").find(words), std::string::npos) << words;
  }
  for (const auto& words : of_b) {
    EXPECT_NE(whole("adapters/b").find(words), std::string::npos) << words;
    EXPECT_EQ(whole("adapters/a").find(words), std::string::npos) << words;
  }
  for (const char* words : {"the words of L-a", "the words of L-b", "measured with both"}) {
    EXPECT_NE(whole("student").find(words), std::string::npos) << words;
  }
  EXPECT_EQ(whole("adapters/a").find("measured with both"), std::string::npos);
}

TEST_F(ExportTest, AnAdapterIsPublishedBesideTheStudent) {
  model::Adapter adapter = model::Adapter::random(weights_.config(), {.rank = 2, .alpha = 4}, 1);
  for (float& value : adapter.block()) value += 0.01f;
  model::merge(weights_, adapter);
  ExportInput in = input();
  in.adapters = {{.adapter = &adapter}};
  in.base_name = "a base";
  const auto report = write_and_check(in, duties_);
  ASSERT_TRUE(report.ok()) << report.error().text();
  for (const char* file : {"adapter_config.json", "adapter_model.safetensors", "README.md"}) {
    const std::string name = base::join("adapter", file);
    EXPECT_NE(std::ranges::find(report->files, name), report->files.end()) << name;
  }
  EXPECT_EQ(report->checks.size(), 13u);
  const auto back = model::load_adapter(base::join(out_, "adapter"), weights_.config());
  ASSERT_TRUE(back.ok()) << back.error().text();
  EXPECT_TRUE(std::ranges::equal(back->block(), adapter.block()));
  EXPECT_NE(read("adapter/README.md").find("base_model: \"a base\""), std::string::npos);
  const auto damaged = [](const std::string& at) {
    change_byte(at + "/adapter/adapter_model.safetensors", 2);
  };
  EXPECT_NE(refusal(in, damaged).find("adapter/: weights"), std::string::npos);
  const auto other = [](const std::string& at) {
    replace(at + "/adapter/adapter_config.json", "\"lora_alpha\": 4", "\"lora_alpha\": 5");
  };
  EXPECT_NE(refusal(in, other).find("another rank, scale"), std::string::npos);
}

TEST_F(ExportTest, RoundedFormatsPassWithinTheirBounds) {
  weights_ = small_weights(tokenizer_->size(), /*tied=*/false, 4);
  const char* formats[][2] = {{"bf16", "q8_0"}, {"f16", "f16"}, {"bf16", "bf16"}};
  for (const auto& [folder, gguf] : formats) {
    ExportInput in = input();
    in.options.weights = folder;
    in.options.gguf_weights = gguf;
    const auto report = write_and_check(in, duties_);
    ASSERT_TRUE(report.ok()) << report.error().text();
    ASSERT_EQ(report->checks.size(), 12u);
    EXPECT_GT(report->checks.front().measured, 0);
  }
}

TEST_F(ExportTest, EveryFamilyIsPublishedUnderItsName) {
  for (const std::string family : {"qwen2", "qwen3", "llama3", "linear", "odd"}) {
    weights_ = small_family(family, tokenizer_->size(), 6);
    const auto report = write_and_check(input(), duties_);
    ASSERT_TRUE(report.ok()) << family << ": " << report.error().text();
    ASSERT_EQ(report->checks.size(), 12u);
    const std::string type = family.starts_with("qwen") ? family : "llama";
    EXPECT_NE(read("student/config.json").find("\"" + type + "\""), std::string::npos) << family;
    const bool warned =
        read("student/README.md").find("PreTrainedTokenizerFast") != std::string::npos;
    EXPECT_EQ(warned, family == "qwen2");
    for (const std::string name : {"student", "student.gguf"}) {
      const auto file = model::ModelFile::open(base::join(out_, name));
      ASSERT_TRUE(file.ok()) << file.error().text();
      EXPECT_EQ(file->config(), weights_.config()) << family;
    }
  }
}

TEST_F(ExportTest, ARotationThatAGgufCannotSayIsRefused) {
  auto config = small_family("qwen2", tokenizer_->size(), 6).config();
  config.rope_divisors = {1, 1.25f, 0.5f, 2, 3, 7, 7, 9};
  weights_ = model::Weights::random(config, 1);
  ExportInput in = input();
  const auto both = write_and_check(in, duties_);
  ASSERT_FALSE(both.ok());
  EXPECT_NE(both.error().text().find("qwen2 has no room for rope scaling"), std::string::npos);
  in.options.formats = {"safetensors"};
  EXPECT_TRUE(write_and_check(in, duties_).ok());
}

TEST_F(ExportTest, ADamagedFileIsNotPublishedAndTheOldOneStays) {
  ASSERT_TRUE(write_and_check(input(), duties_).ok());
  const std::string before = read("student.gguf"), folder = read("student/model.safetensors");
  weights_ = small_weights(tokenizer_->size(), /*tied=*/true, 5);
  EXPECT_NE(refusal(input(), [](const std::string& at) { change_byte(at + "/student.gguf", 4099); })
                .find("student.gguf: weights are not the trainer's"),
            std::string::npos);
  EXPECT_NE(
      refusal(input(),
              [](const std::string& at) { change_byte(at + "/student/model.safetensors", 1); })
          .find("student/: weights"),
      std::string::npos);
  EXPECT_EQ(read("student.gguf"), before);
  EXPECT_EQ(read("student/model.safetensors"), folder);
  EXPECT_EQ(refusal(input(), nullptr), "");
  EXPECT_NE(read("student.gguf"), before);
}

TEST_F(ExportTest, ACutFileIsRefused) {
  EXPECT_NE(refusal(input(),
                    [](const std::string& at) {
                      fs::resize_file(at + "/student.gguf",
                                      fs::file_size(at + "/student.gguf") - 8);
                    })
                .find("does not open"),
            std::string::npos);
  EXPECT_NE(
      refusal(input(), [](const std::string& at) { fs::remove(at + "/student/tokenizer.json"); })
          .find("does not open"),
      std::string::npos);
  EXPECT_FALSE(base::exists(base::join(out_, "student")));
}

TEST_F(ExportTest, AnotherShapeVocabularyOrTemplateIsRefused) {
  EXPECT_NE(refusal(input(),
                    [](const std::string& at) {
                      replace(at + "/student/config.json", "10000", "10001");
                    }),
            "");
  EXPECT_NE(refusal(input(),
                    [](const std::string& at) {
                      replace(at + "/student/tokenizer.json", "<|im_end|>", "<|im_and|>");
                    }),
            "");
  EXPECT_NE(refusal(input(),
                    [](const std::string& at) {
                      replace(at + "/student/chat_template.jinja", "<|im_start|>", "<|im_stop|>");
                    }),
            "");
  EXPECT_NE(refusal(input(),
                    [](const std::string& at) {
                      replace(at + "/student.gguf", "<|im_end|>", "<|im_and|>");
                    }),
            "");
}

TEST_F(ExportTest, RowsInTheWrongOrderAreRefused) {
  auto wrong = weights_;
  for (const char* name : {"model.layers.1.self_attn.q_proj.weight"}) {
    auto values = wrong.tensor(name);
    const auto turned = rows_for_llama_cpp(values, 4, 16, 64);
    std::copy(turned.begin(), turned.end(), values.begin());
  }
  EXPECT_NE(refusal(input(),
                    [&](const std::string& at) {
                      ASSERT_TRUE(write_gguf({.weights = wrong,
                                              .tokenizer = *tokenizer_,
                                              .stop_token = 2,
                                              .name = "x",
                                              .description = "",
                                              .licence = ""},
                                             at + "/student.gguf")
                                      .ok());
                    })
                .find("q_proj"),
            std::string::npos);
}

TEST_F(ExportTest, DutiesAreMetOrNamed) {
  ExportInput in = input();
  duties_ = {{DutyKind::display, "Built with Llama", "llama3.1 2024-07-23"},
             {DutyKind::licence_copy, "Llama-3.1", "llama3.1 2024-07-23"},
             {DutyKind::notice, "Llama 3.1 is licensed under ...", "llama3.1 2024-07-23"}};
  EXPECT_NE(refusal(in, nullptr).find("the duty licence_copy of llama3.1 2024-07-23 is unmet"),
            std::string::npos);
  in.licence_texts["Llama-3.1"] = "LICENCE TEXT\n";
  const auto report = write_and_check(in, duties_);
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->duties.size(), 3u);
  EXPECT_EQ(read("student/LICENSE.Llama-3.1.txt"), "LICENCE TEXT\n");
  EXPECT_NE(read("student/README.md").find("\nBuilt with Llama\n"), std::string::npos);
  EXPECT_NE(read("student/NOTICE").find("Llama 3.1 is licensed"), std::string::npos);
  EXPECT_NE(
      refusal(in, [](const std::string& at) { fs::remove(at + "/student/NOTICE"); }).find("NOTICE"),
      std::string::npos);
  EXPECT_NE(refusal(in,
                    [](const std::string& at) {
                      replace(at + "/student/README.md", "Built with", "Made of");
                    })
                .find("Built with Llama"),
            std::string::npos);
  in.options.formats = {"gguf"};
  EXPECT_NE(refusal(in, nullptr).find("no room"), std::string::npos);
}

TEST_F(ExportTest, NamesMustBeginAsTheTermsAsk) {
  ExportInput in = input();
  duties_ = {{DutyKind::name_prefix, "Llama", "llama3.1 2024-07-23"}};
  EXPECT_NE(refusal(in, nullptr).find("name_prefix"), std::string::npos);
  in.facts.model_id = "Llama-stories";
  EXPECT_EQ(refusal(in, nullptr), "");
  duties_.push_back({DutyKind::name_prefix, "Other", "other 1"});
  EXPECT_NE(refusal(in, nullptr).find("no name can meet both"), std::string::npos);
}

TEST_F(ExportTest, EveryOwedDutyBecomesALine) {
  terms::OwedDuty owed;
  owed.label = "llama3.1 2024-07-23";
  owed.duty.name_prefix = "Llama";
  owed.duty.display = {"Built with Llama", "Second"};
  owed.duty.licence_copy = "Llama-3.1";
  owed.duty.notice = "notice";
  owed.duty.use_policy = "policy";
  owed.duty.mau_limit = 700'000'000;
  const auto duties = duties_of({owed, terms::OwedDuty()});
  ASSERT_EQ(duties.size(), 7u);
  EXPECT_EQ(duties[2].value, "Second");
  EXPECT_EQ(duties[6].value, "700000000");
  EXPECT_EQ(duties[0].terms, owed.label);
}

TEST_F(ExportTest, WrongOptionsAreUsageErrors) {
  for (const auto& [formats, weights] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"onnx"}, "f32"}, {{}, "f32"}, {{"gguf"}, "fp8"}, {{"safetensors"}, "q8_0"}}) {
    ExportInput in = input();
    in.options.formats = formats;
    in.options.weights = weights;
    const auto report = write_and_check(in, duties_);
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().code, ErrorCode::usage);
  }
}

}  // namespace
}  // namespace retort::release
