// The logits of each of the engine's three paths over windows of texts, for compare.py beside this
// file, which starts it and reads them from a pipe: a line of JSON, then for each window [tokens,
// V] floats of fp32, of scoring and of decoding. README.md says what is made of them.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/cpu.h"
#include "base/files.h"
#include "engine/engine.h"
#include "json/value.h"

namespace retort {
namespace {

using engine::Engine;
using tokenizer::TokenId;
using Window = std::vector<TokenId>;

constexpr int64_t kWindow = 512;

// The first whole windows of a text, at most `most`.
Result<std::vector<Window>> windows_of(const std::string& path,
                                       const tokenizer::Tokenizer& tokenizer, int64_t most) {
  RETORT_TRY(const std::string text, base::read_file(path));
  const auto ids = tokenizer.encode(text);
  std::vector<Window> out;
  for (int64_t at = 0; at + kWindow <= std::ssize(ids) && std::ssize(out) < most; at += kWindow) {
    out.emplace_back(ids.begin() + at, ids.begin() + at + kWindow);
  }
  return out;
}

Result<void> hand_over(const Result<std::vector<float>>& logits) {
  if (!logits) return logits.error();
  if (std::fwrite(logits->data(), sizeof(float), logits->size(), stdout) == logits->size()) {
    return {};
  }
  return base::bad_input("the logits are not read any more", "stdout", "start compare.py");
}

Result<void> run(const std::string& model, int64_t most, const std::vector<std::string>& texts) {
  engine::Options options{.max_batch = 1, .kv_cache_bytes = int64_t{64} << 20};
  RETORT_TRY(const auto served, Engine::open(model, options));
  options.exact = true;
  RETORT_TRY(const auto exact, Engine::open(model, options));
  std::vector<Window> windows;
  for (const std::string& path : texts) {
    RETORT_TRY(const auto more, windows_of(path, served->tokenizer(), most));
    windows.insert(windows.end(), more.begin(), more.end());
  }
  json::Value lists = json::Value::array();
  for (const Window& window : windows) lists.push(json::Array(window.begin(), window.end()));
  fmt::print("{}\n", json::dump(json::Value::object({{"machine", base::cpu_summary()},
                                                     {"vocab", served->config().vocab},
                                                     {"windows", std::move(lists)}})));
  for (const Window& window : windows) {
    RETORT_TRY_VOID(hand_over(exact->logits(window)));
    RETORT_TRY_VOID(hand_over(served->logits(window)));
    RETORT_TRY_VOID(hand_over(served->decode_logits(window)));
  }
  return {};
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "retort_bench_quality MODEL WINDOWS TEXT...\n");
    return 2;
  }
  const auto done =
      retort::run(argv[1], std::atoll(argv[2]), std::vector<std::string>(argv + 3, argv + argc));
  if (done) return 0;
  fmt::print(stderr, "{}\n", done.error().text());
  return 4;
}
