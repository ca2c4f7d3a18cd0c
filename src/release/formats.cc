#include "release/formats.h"

#include <fmt/core.h>

#include <cmath>

namespace retort::release {
namespace {

constexpr int64_t kBlock = 32;  // weights that share a scale in q8_0

struct Facts {
  const char* name;
  double same_program;
  double other_program;
};

// Measured on random and trained students, and left a factor of four to spare; a wrong tensor or a
// wrong order of rows moves logits by more than a whole standard deviation.
constexpr Facts kFacts[] = {
    {"f32", 0.0, 2e-3}, {"bf16", 0.1, 0.1}, {"f16", 0.02, 0.02}, {"q8_0", 0.15, 0.2}};

const Facts& facts(Format format) {
  return kFacts[static_cast<int>(format)];
}

}  // namespace

const char* name(Format format) {
  return facts(format).name;
}

Result<Format> parse_format(const std::string& text) {
  for (const Format format : {Format::f32, Format::bf16, Format::f16, Format::q8_0}) {
    if (text == name(format)) return format;
  }
  return base::usage_error(fmt::format("\"{}\" is no format for weights", text), "",
                           "use f32, bf16, f16 or q8_0");
}

Format gguf_format(const model::TensorInfo& tensor, Format wanted) {
  if (tensor.is_vector) return Format::f32;
  if (wanted == Format::q8_0 && tensor.cols % kBlock != 0) return Format::f16;
  return wanted;
}

double rounding_bound(Format format, float original, float largest) {
  const double size = std::abs(static_cast<double>(original));
  switch (format) {
    case Format::f32:
      return 0;
    case Format::bf16:
      return size * 0x1p-8 + 0x1p-133;
    case Format::f16:
      return size * 0x1p-11 + 0x1p-25;
    case Format::q8_0: {
      // Half a step of the scale largest / 127, the scale itself rounded to f16.
      const double scale_error = static_cast<double>(largest) * 0x1p-10 + 128 * 0x1p-25;
      return static_cast<double>(largest) / 254 + scale_error;
    }
  }
  return 0;
}

double logit_bound(Format format, bool same_program) {
  return same_program ? facts(format).same_program : facts(format).other_program;
}

}  // namespace retort::release
