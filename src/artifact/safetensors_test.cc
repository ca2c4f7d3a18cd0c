#include "artifact/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

namespace retort::artifact {
namespace {

using testing::HasSubstr;

// Parsed from a copy of exactly this size on the heap, so that a sanitizer sees any read past it.
Result<SafetensorsFile> parse_safetensors_copy(const std::string& text) {
  static std::vector<uint8_t> copy;
  copy = std::vector<uint8_t>(text.begin(), text.end());
  copy.shrink_to_fit();
  return SafetensorsFile::parse(copy, "test.safetensors");
}

std::string file_of(const std::string& header, size_t data_bytes) {
  const uint64_t size = header.size();
  std::string out(reinterpret_cast<const char*>(&size), sizeof size);
  return out + header + std::string(data_bytes, '\1');
}
std::string error_of(const std::string& header, size_t data_bytes) {
  const auto file = parse_safetensors_copy(file_of(header, data_bytes));
  return file.ok() ? "parsed" : file.error().text();
}

float golden_value(int index) {
  return static_cast<float>(std::sin(index * 0.7310585) * std::exp2(index % 7 - 4));
}

TEST(SafetensorsTest, ReadsWhatThePythonPackageWrote) {
  const auto file = SafetensorsFile::open(std::string(RETORT_SOURCE_DIR) +
                                          "/tests/golden/artifact/small.safetensors");
  ASSERT_TRUE(file.ok()) << file.error().text();
  EXPECT_EQ(file->tensors().size(), 5u);
  EXPECT_EQ(file->metadata().at("format"), "np");
  const SafeTensor* matrix = file->find("matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->shape, (std::vector<int64_t>{4, 6}));
  std::vector<float> values(24);
  ASSERT_TRUE(file->read(*matrix, values).ok());
  for (int i = 0; i < 24; ++i) EXPECT_FLOAT_EQ(values[static_cast<size_t>(i)], golden_value(i));
  ASSERT_TRUE(file->read(*file->find("half"), values).ok());
  for (int i = 0; i < 24; ++i) {
    EXPECT_NEAR(values[static_cast<size_t>(i)], golden_value(i), 1e-3f * 4);
  }
  std::vector<float> one(1);
  ASSERT_TRUE(file->read(*file->find("scalar"), one).ok());
  EXPECT_EQ(one[0], 2.5f);
  EXPECT_EQ(file->find("empty")->size_bytes, 0);
  std::vector<float> four(4);
  EXPECT_THAT(file->read(*file->find("counts"), four).error().text(), HasSubstr("I64"));
}

TEST(SafetensorsTest, WritesWhatItReads) {
  const std::string path = testing::TempDir() + "/retort_write.safetensors";
  auto writer = SafetensorsWriter::create(path, {{"format", "pt"}},
                                          {{"b", "F32", {2, 3}}, {"a", "BF16", {5}}});
  ASSERT_TRUE(writer.ok()) << writer.error().text();
  const std::vector<float> values = {1, -2, 3.5f, 0, 1e-8f, 7};
  EXPECT_FALSE(writer->add(std::span(values).first(5)).ok());
  ASSERT_TRUE(writer->add(values).ok());
  EXPECT_FALSE(writer->finish().ok());
  ASSERT_TRUE(writer->add(std::span(values).first(5)).ok());
  EXPECT_FALSE(writer->add(values).ok());
  ASSERT_TRUE(writer->finish().ok());

  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().text();
  EXPECT_EQ(file->tensors()[0].offset % 8, 0);
  std::vector<float> back(6);
  ASSERT_TRUE(file->read(*file->find("b"), back).ok());
  EXPECT_EQ(back, values);
  std::vector<float> half(5);
  ASSERT_TRUE(file->read(*file->find("a"), half).ok());
  EXPECT_EQ(half[2], 3.5f);
  EXPECT_EQ(file->metadata().at("format"), "pt");
  EXPECT_FALSE(SafetensorsWriter::create(path, {}, {{"x", "F31", {1}}}).ok());
}

TEST(SafetensorsTest, EveryTruncationIsAnError) {
  const std::string whole = file_of(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"k":"v"}})", 8);
  ASSERT_TRUE(parse_safetensors_copy(whole).ok());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_safetensors_copy(whole.substr(0, size)).ok()) << size;
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int byte : {0x00, 0x22, 0x30, 0x39, 0x7f, 0xff}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(byte);
      const auto file = parse_safetensors_copy(changed);
      if (!file) continue;
      for (const SafeTensor& one : file->tensors()) {
        std::vector<float> values(static_cast<size_t>(one.elements));
        (void)file->read(one, values).ok();
      }
    }
  }
}

TEST(SafetensorsTest, HostileHeadersAreRefused) {
  EXPECT_EQ(error_of("{}", 0), "parsed");
  EXPECT_THAT(error_of("{}", 1), HasSubstr("the file has 1"));
  EXPECT_THAT(error_of("[]", 0), HasSubstr("no JSON object"));
  EXPECT_THAT(error_of("{", 0), HasSubstr("JSON"));
  EXPECT_THAT(error_of(R"({"a":1})", 0), HasSubstr("no object"));
  const std::string f32 = R"({"a":{"dtype":"F32","shape":)";
  EXPECT_THAT(error_of(f32 + R"([2],"data_offsets":[0,4]}})", 8), HasSubstr("do not span"));
  EXPECT_THAT(error_of(f32 + R"([2],"data_offsets":[8,0]}})", 8), HasSubstr("do not span"));
  EXPECT_THAT(error_of(f32 + R"([2],"data_offsets":[4,12]}})", 12), HasSubstr("hole"));
  EXPECT_THAT(error_of(f32 + R"([2],"data_offsets":[0,8,9]}})", 8), HasSubstr("do not span"));
  EXPECT_THAT(error_of(f32 + R"([-2],"data_offsets":[0,8]}})", 8), HasSubstr("no count"));
  EXPECT_THAT(error_of(f32 + R"([1.5],"data_offsets":[0,8]}})", 8), HasSubstr("no count"));
  EXPECT_THAT(error_of(f32 + R"([2],"data_offsets":[0,8],"x":1}})", 8), HasSubstr("unknown key"));
  EXPECT_THAT(error_of(f32 + R"([4611686018427387904,4],"data_offsets":[0,0]}})", 0),
              HasSubstr("shape"));
  EXPECT_THAT(error_of(f32 + R"([4611686018427387904],"data_offsets":[0,0]}})", 0),
              HasSubstr("too large"));
  EXPECT_THAT(error_of(f32 + R"([2],"data_offsets":[0,8]}})", 4), HasSubstr("the file has 4"));
  const std::string two = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"NAME":{"dtype":)"
                          R"("U8","shape":[4],"data_offsets":[2,6]}})";
  EXPECT_THAT(error_of(two, 6), HasSubstr("overlap"));
  std::string same = two;
  same.replace(same.find("NAME"), 4, "a");
  EXPECT_THAT(error_of(same, 6), HasSubstr("twice"));
  EXPECT_THAT(error_of(R"({"__metadata__":{"k":1}})", 0), HasSubstr("no text"));
}

TEST(SafetensorsTest, ALengthThatCannotBeAllocatesNothing) {
  for (const uint64_t size : {uint64_t{100'000'001}, UINT64_MAX, uint64_t{1} << 40}) {
    std::string text(reinterpret_cast<const char*>(&size), sizeof size);
    EXPECT_FALSE(parse_safetensors_copy(text + "{}").ok());
  }
}

}  // namespace
}  // namespace retort::artifact
