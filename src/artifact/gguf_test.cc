#include "artifact/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "base/files.h"

namespace retort::artifact {
namespace {

using testing::HasSubstr;

std::string golden(const std::string& name) {
  return std::string(RETORT_SOURCE_DIR) + "/tests/golden/artifact/" + name;
}

// Parsed from a copy of exactly this size on the heap, so that a sanitizer sees any read past it.
Result<GgufFile> parse_copy(const std::string& text) {
  static std::vector<uint8_t> copy;
  copy = std::vector<uint8_t>(text.begin(), text.end());
  copy.shrink_to_fit();
  return GgufFile::parse(copy, "test.gguf");
}

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_text(std::string& out, const std::string& text) {
  put(out, uint64_t{text.size()});
  out += text;
}
std::string header(uint64_t tensors, uint64_t entries, uint32_t version = 3) {
  std::string out = "GGUF";
  put(out, version);
  put(out, tensors);
  put(out, entries);
  return out;
}
std::string entry(const std::string& key, uint32_t type) {
  std::string out;
  put_text(out, key);
  put(out, type);
  return out;
}

struct Spot {
  std::string name = "t";
  std::vector<uint64_t> dims = {8};
  uint32_t type = 0;
  uint64_t offset = 0;
};
std::string tensor(const Spot& spot) {
  std::string out;
  put_text(out, spot.name);
  put(out, static_cast<uint32_t>(spot.dims.size()));
  for (const uint64_t dim : spot.dims) put(out, dim);
  put(out, spot.type);
  put(out, spot.offset);
  return out;
}
std::string file_with(const std::vector<Spot>& spots, size_t data_bytes) {
  std::string out = header(spots.size(), 0);
  for (const Spot& spot : spots) out += tensor(spot);
  out.append((32 - out.size() % 32) % 32, '\0');
  return out + std::string(data_bytes, '\1');
}
std::string error_of(const std::string& text) {
  const auto file = parse_copy(text);
  return file.ok() ? "parsed" : file.error().text();
}

std::string small_file() {
  std::string out = header(2, 4);
  out += entry("general.architecture", 8);
  put_text(out, "llama");
  out += entry("numbers", 9);
  put(out, uint32_t{5});
  put(out, uint64_t{2});
  put(out, int32_t{-1});
  put(out, int32_t{7});
  out += entry("nested", 9);
  put(out, uint32_t{9});
  put(out, uint64_t{1});
  put(out, uint32_t{8});
  put(out, uint64_t{2});
  put_text(out, "x");
  put_text(out, "");
  out += entry("flag", 7) + '\1';
  out += tensor({"a", {8, 2}, 0, 0}) + tensor({"b", {32}, 8, 64});
  out.append((32 - out.size() % 32) % 32, '\0');
  return out + std::string(64 + 34, '\2');
}

TEST(GgufTest, ReadsWhatThePythonPackageWrote) {
  const auto file = GgufFile::open(golden("small.gguf"));
  ASSERT_TRUE(file.ok()) << file.error().text();
  EXPECT_EQ(*file->string_at("general.architecture"), "llama");
  EXPECT_EQ(*file->int_at("llama.block_count"), 30);
  EXPECT_EQ(*file->int_at("test.negative"), -5);
  EXPECT_EQ(*file->int_at("test.large"), INT64_MAX);
  EXPECT_EQ(*file->number_at("llama.rope.freq_base"), 100000.0);
  EXPECT_FALSE(*file->bool_at("tokenizer.ggml.add_bos_token"));
  EXPECT_EQ((**file->strings_at("tokenizer.ggml.tokens"))[1], "Ġb");
  EXPECT_EQ((*file->ints_at("tokenizer.ggml.token_type"))[2], 3);

  std::ifstream expected(golden("expected.txt"));
  std::string name;
  int64_t size = 0;
  int checked = 0;
  while (expected >> name >> size) {
    const GgufTensor* found = file->find_tensor(name);
    ASSERT_NE(found, nullptr) << name;
    ASSERT_EQ(found->elements, size);
    std::vector<float> values(static_cast<size_t>(size));
    ASSERT_TRUE(file->read(*found, values).ok());
    for (const float value : values) {
      std::string wanted;
      expected >> wanted;
      ASSERT_EQ(value, std::strtof(wanted.c_str(), nullptr)) << name;
    }
    ++checked;
  }
  EXPECT_EQ(checked, 6);
}

TEST(GgufTest, QuantisedNumbersAreThoseOfThePythonPackage) {
  const auto file = GgufFile::open(golden("quantised.gguf"));
  ASSERT_TRUE(file.ok()) << file.error().text();
  int checked = 0;
  for (const GgufTensor& tensor : file->tensors()) {
    if (!tensor.name.starts_with("t.")) continue;
    const GgufTensor* numbers = file->find_tensor("n." + tensor.name.substr(2));
    ASSERT_NE(numbers, nullptr) << tensor.name;
    EXPECT_EQ(tensor.name.substr(2), name(tensor.type));
    std::vector<float> mine(static_cast<size_t>(tensor.elements)), theirs(mine.size());
    ASSERT_TRUE(file->read(tensor, mine).ok());
    ASSERT_TRUE(file->read(*numbers, theirs).ok());
    EXPECT_EQ(mine, theirs) << tensor.name;
    ++checked;
  }
  EXPECT_EQ(checked, 11);
}

TEST(GgufTest, WritesWhatItReads) {
  const std::string path = testing::TempDir() + "/retort_gguf_write.gguf";
  const GgufMetadata metadata = {
      {"u8", uint8_t{1}},
      {"i8", int8_t{-1}},
      {"u16", uint16_t{2}},
      {"i16", int16_t{-2}},
      {"u32", uint32_t{3}},
      {"i32", int32_t{-3}},
      {"f32", 1.5f},
      {"bool", true},
      {"text", std::string("t\0x", 3)},
      {"u64", uint64_t{1} << 63},
      {"i64", int64_t{-4}},
      {"f64", 0.1},
      {"bools", GgufArray{std::vector<bool>{true, false}}},
      {"nested", GgufArray{std::vector<GgufArray>{{std::vector<float>{1, 2}},
                                                  {std::vector<std::string>{"a", ""}}}}}};
  std::vector<float> values(64);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) - 31;
  auto writer = GgufWriter::create(path, metadata,
                                   {{"m", {32, 2}, TensorType::f32},
                                    {"h", {3}, TensorType::bf16},
                                    {"q", {32, 2}, TensorType::q8_0}});
  ASSERT_TRUE(writer.ok()) << writer.error().text();
  EXPECT_FALSE(writer->add(std::span(values).first(3)).ok());
  ASSERT_TRUE(writer->add(values).ok());
  EXPECT_FALSE(writer->finish().ok());
  ASSERT_TRUE(writer->add(std::span(values).first(3)).ok());
  ASSERT_TRUE(writer->add(values).ok());
  EXPECT_FALSE(writer->add(values).ok());
  ASSERT_TRUE(writer->finish().ok());

  const auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().text();
  EXPECT_EQ(file->metadata(), metadata);
  std::vector<float> back(64);
  ASSERT_TRUE(file->read(*file->find_tensor("m"), back).ok());
  EXPECT_EQ(back, values);
  ASSERT_TRUE(file->read(*file->find_tensor("q"), back).ok());
  for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(back[i], values[i], 0.15);
  EXPECT_EQ(file->find_tensor("h")->size_bytes, 6);
}

TEST(GgufTest, GettersDoNotConfuseTypes) {
  std::string text = header(0, 3) + entry("int", 4);
  put(text, uint32_t{7});
  text += entry("float", 6);
  put(text, 2.0f);
  text += entry("huge", 10);
  put(text, UINT64_MAX);
  const auto file = parse_copy(text);
  ASSERT_TRUE(file.ok()) << file.error().text();
  EXPECT_EQ(*file->int_at("int"), 7);
  EXPECT_FALSE(file->int_at("float").ok());
  EXPECT_FALSE(file->int_at("huge").ok());
  EXPECT_FALSE(file->number_at("int").ok());
  EXPECT_FALSE(file->bool_at("int", true).ok());
  EXPECT_FALSE(file->string_at("int").ok());
  EXPECT_FALSE(file->strings_at("int").ok());
  EXPECT_FALSE(file->ints_at("int").ok());
  EXPECT_THAT(file->int_at("absent").error().text(), HasSubstr("absent is missing"));
  EXPECT_EQ(*file->int_at("absent", 9), 9);
  EXPECT_FALSE(file->has("absent"));
}

TEST(GgufTest, EveryTruncationIsAnErrorOrAFileButNeverACrash) {
  const std::string whole = small_file();
  ASSERT_TRUE(parse_copy(whole).ok()) << error_of(whole);
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_copy(whole.substr(0, size)).ok()) << size;
  }
}

TEST(GgufTest, EveryChangedByteIsAnErrorOrAFileButNeverACrash) {
  const std::string whole = small_file();
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int byte : {0x00, 0x01, 0x09, 0x7f, 0x80, 0xff}) {
      std::string changed = whole;
      changed[i] = static_cast<char>(byte);
      const auto file = parse_copy(changed);
      if (!file) continue;
      for (const GgufTensor& one : file->tensors()) {
        std::vector<float> values(static_cast<size_t>(one.elements));
        (void)file->read(one, values).ok();
      }
    }
  }
}

TEST(GgufTest, CountsThatCannotBeAllocateNothing) {
  EXPECT_THAT(error_of(header(UINT64_MAX, 0)), HasSubstr("number of tensors"));
  EXPECT_THAT(error_of(header(0, UINT64_MAX)), HasSubstr("number of metadata keys"));
  EXPECT_THAT(error_of(header(0, uint64_t{1} << 62) + std::string(64, '\0')),
              HasSubstr("metadata keys"));
  std::string key = header(0, 1);
  put(key, uint64_t{UINT64_MAX - 7});
  EXPECT_THAT(error_of(key + std::string(64, 'k')), HasSubstr("metadata key"));
  for (const uint32_t type : {0u, 3u, 5u, 7u, 8u, 9u, 10u, 12u}) {
    for (const uint64_t count : {uint64_t{100}, uint64_t{1} << 61, UINT64_MAX}) {
      std::string array = header(0, 1) + entry("k", 9);
      put(array, type);
      put(array, count);
      EXPECT_THAT(error_of(array + std::string(90, '\0')), HasSubstr("test.gguf at byte")) << type;
    }
  }
}

TEST(GgufTest, NestingIsBounded) {
  std::string text = header(0, 1) + entry("k", 9);
  for (int i = 0; i < 100'000; ++i) {
    put(text, uint32_t{9});
    put(text, uint64_t{1});
  }
  EXPECT_THAT(error_of(text), HasSubstr("nested too deeply"));
}

TEST(GgufTest, ShapesAndPlacesAreChecked) {
  const uint64_t huge = uint64_t{1} << 62;
  EXPECT_EQ(error_of(file_with({{}}, 32)), "parsed");
  EXPECT_THAT(error_of(file_with({{.dims = {huge, 4}}}, 32)), HasSubstr("shape"));
  EXPECT_THAT(error_of(file_with({{.dims = {huge}}}, 32)), HasSubstr("whole F32 blocks"));
  EXPECT_THAT(error_of(file_with({{.dims = {0}}}, 32)), HasSubstr("shape"));
  EXPECT_THAT(error_of(file_with({{.dims = {UINT64_MAX}}}, 32)), HasSubstr("shape"));
  EXPECT_THAT(error_of(file_with({{.dims = {}}}, 32)), HasSubstr("0 dimensions"));
  EXPECT_THAT(error_of(file_with({{.dims = {1, 1, 1, 1, 1}}}, 32)), HasSubstr("5 dimensions"));
  EXPECT_THAT(error_of(file_with({{.dims = {16, 2}, .type = 8}}, 34)), HasSubstr("whole Q8_0"));
  EXPECT_THAT(error_of(file_with({{.type = 5}}, 32)), HasSubstr("unknown type 5"));
  EXPECT_THAT(error_of(file_with({{.offset = 4}}, 64)), HasSubstr("not aligned"));
  EXPECT_THAT(error_of(file_with({{.offset = 32}}, 32)), HasSubstr("past the end"));
  EXPECT_THAT(error_of(file_with({{.offset = UINT64_MAX - 31}}, 32)), HasSubstr("aligned"));
  EXPECT_THAT(error_of(file_with({{.offset = INT64_MAX - 31}}, 32)), HasSubstr("past the end"));
  EXPECT_THAT(error_of(file_with({{"a", {16}, 0, 0}, {"b", {8}, 0, 32}}, 64)),
              HasSubstr("overlap"));
  EXPECT_THAT(error_of(file_with({{"a", {8}, 0, 0}, {"a", {8}, 0, 32}}, 64)), HasSubstr("twice"));
  EXPECT_THAT(error_of(file_with({{.name = ""}}, 32)), HasSubstr("no name"));
  EXPECT_THAT(error_of(file_with({{.name = std::string(256, 'n')}}, 32)), HasSubstr("name"));
}

TEST(GgufTest, HeaderAndMetadataAreChecked) {
  EXPECT_THAT(error_of("GGML" + header(0, 0).substr(4)), HasSubstr("does not begin with GGUF"));
  EXPECT_THAT(error_of(header(0, 0, 1)), HasSubstr("version 1"));
  EXPECT_THAT(error_of(header(0, 0, 4)), HasSubstr("version 4"));
  EXPECT_THAT(error_of(header(0, 0, 0x03000000)), HasSubstr("big-endian"));
  EXPECT_EQ(error_of(header(0, 0, 2)), "parsed");
  EXPECT_THAT(error_of(header(0, 1) + entry("k", 13) + "\1"), HasSubstr("no value type"));
  EXPECT_THAT(error_of(header(0, 1) + entry("k", 7) + "\2"), HasSubstr("boolean"));
  EXPECT_THAT(error_of(header(0, 2) + entry("k", 7) + "\1" + entry("k", 7) + "\1"),
              HasSubstr("twice"));
  for (const uint32_t alignment : {0u, 3u, 48u, 1u << 20, UINT32_MAX}) {
    std::string text = header(0, 1) + entry("general.alignment", 4);
    put(text, alignment);
    EXPECT_THAT(error_of(text), HasSubstr("power of two")) << alignment;
  }
  EXPECT_FALSE(
      parse_copy(header(0, 1) + entry("general.alignment", 8) + std::string(8, '\0')).ok());
}

TEST(GgufTest, OpeningWhatIsNotThereOrEmptyIsAnError) {
  EXPECT_EQ(GgufFile::open(testing::TempDir() + "/retort_absent.gguf").error().code,
            ErrorCode::not_found);
  const std::string path = testing::TempDir() + "/retort_empty.gguf";
  ASSERT_TRUE(base::write_file_atomic(path, "").ok());
  EXPECT_FALSE(GgufFile::open(path).ok());
}

TEST(GgufTest, TheWriterRefusesWhatTheFormatCannotHold) {
  const std::string path = testing::TempDir() + "/retort_gguf_refused.gguf";
  EXPECT_FALSE(GgufWriter::create(path, {}, {{"q", {31}, TensorType::q8_0}}).ok());
  EXPECT_FALSE(GgufWriter::create(path, {}, {{"q", {}, TensorType::f32}}).ok());
  EXPECT_FALSE(GgufWriter::create(path, {}, {{"q", {0}, TensorType::f32}}).ok());
  EXPECT_FALSE(GgufWriter::create(path, {{"general.alignment", uint32_t{64}}}, {}).ok());
}

}  // namespace
}  // namespace retort::artifact
