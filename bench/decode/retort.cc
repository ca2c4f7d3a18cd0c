// Prompt and decoding speed of the engine over a model file, with the limits of this machine
// measured in the same run. See README.md beside this file.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/files.h"
#include "base/parallel.h"
#include "base/random.h"
#include "engine/engine.h"
#include "json/value.h"
#include "kernels/convert.h"
#include "kernels/decode.h"
#include "kernels/matmul.h"
#include "tensor/buffer.h"

namespace retort {
namespace {

using engine::Engine;
using engine::Event;
using engine::Request;
using tokenizer::TokenId;

constexpr int64_t kFirst = 64, kLast = 192;  // positions between which decoding is timed
constexpr int kRepeats = 5;

std::vector<TokenId> prompt_of(int64_t size, uint64_t seed, int64_t vocab) {
  base::Random random(seed);
  std::vector<TokenId> ids;
  for (int64_t i = 0; i < size; ++i) {
    ids.push_back(static_cast<TokenId>(100 + random.below(static_cast<uint64_t>(vocab - 200))));
  }
  return ids;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Tokens a second of `streams` requests between their first token and their last.
double decode_speed(Engine& engine, int64_t streams) {
  std::mutex mutex;
  std::promise<void> all_done;
  int64_t done = 0, begun = 0;
  double from_s = 0, to_s = 0;
  int64_t counted = 0;
  for (int64_t i = 0; i < streams; ++i) {
    Request request;
    request.prompt = prompt_of(kFirst, static_cast<uint64_t>(i) + 1, engine.config().vocab);
    request.max_tokens = kLast - kFirst;
    request.sampling.temperature = 0;
    request.on_event = [&, first = true](const Event& event) mutable {
      const std::lock_guard lock(mutex);
      // The clock starts when every stream has begun, and stops when the first has ended.
      if (begun == streams && done == 0) {
        counted += static_cast<int64_t>(event.tokens.size());
        to_s = base::monotonic_seconds();
      }
      if (first && ++begun == streams) from_s = base::monotonic_seconds();
      first = false;
      if (event.done && ++done == streams) all_done.set_value();
    };
    if (!engine.submit(std::move(request))) return 0;
  }
  all_done.get_future().wait();
  return static_cast<double>(counted) / (to_s - from_s);
}

double prefill_speed(Engine& engine, int64_t tokens, uint64_t seed) {
  Request request;
  request.prompt = prompt_of(tokens, seed, engine.config().vocab);
  request.max_tokens = 1;
  request.sampling.temperature = 0;
  const double started_s = base::monotonic_seconds();
  if (!engine.generate(std::move(request))) return 0;
  return static_cast<double>(tokens) / (base::monotonic_seconds() - started_s);
}

// The claim's own matrix products alone, streamed over the layers, in bf16 where the engine uses
// it.
double products_limit(const model::Config& c, int64_t tokens) {
  using kernels::Bf16;
  const int64_t shapes[][2] = {{c.q_width() + 2 * c.kv_width(), c.width},
                               {c.width, c.q_width()},
                               {2 * c.ffn, c.width},
                               {c.width, c.ffn}};
  std::vector<tensor::Buffer<Bf16>> weights;
  for (int64_t layer = 0; layer < c.layers; ++layer) {
    for (const auto& [out, in] : shapes) weights.emplace_back(out * in);
  }
  tensor::Buffer<Bf16> x(tokens * std::max(c.ffn, c.width));
  tensor::Buffer<float> y(tokens * 2 * c.ffn);
  std::vector<double> seconds;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const double started_s = base::monotonic_seconds();
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto& [out, in] = shapes[i % 4];
      kernels::matmul({.product = kernels::Product::nt, .m = tokens, .n = out, .k = in}, x.data(),
                      weights[i].data(), y.data());
    }
    seconds.push_back(base::monotonic_seconds() - started_s);
  }
  return static_cast<double>(tokens) / *std::min_element(seconds.begin(), seconds.end());
}

// Bytes a second that both cores read from a block larger than the caches.
double read_bandwidth() {
  constexpr int64_t kFloats = int64_t{64} << 20;
  tensor::Buffer<float> block(kFloats);
  std::fill_n(block.data(), kFloats, 1.0f);
  std::vector<double> seconds;
  volatile float sink = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const double started_s = base::monotonic_seconds();
    base::parallel_for(kFloats, 1024, [&](int64_t begin, int64_t end) {
      sink = kernels::row_maximum(block.data() + begin, end - begin);
    });
    seconds.push_back(base::monotonic_seconds() - started_s);
  }
  (void)sink;
  return 4.0 * static_cast<double>(kFloats) / *std::min_element(seconds.begin(), seconds.end());
}

// Mean negative log-likelihood of a real text, for the comparison with the peer.
double mean_nll(Engine& engine, const std::vector<TokenId>& ids) {
  Request request;
  request.prompt = ids;
  request.max_tokens = 0;
  request.prompt_logprobs = 0;
  double total = 0;
  std::promise<void> done;
  request.on_event = [&](const Event& event) {
    for (size_t i = 1; i < event.prompt_chosen.size(); ++i) {
      total -= static_cast<double>(event.prompt_chosen[i].logprob);
    }
    if (event.done) done.set_value();
  };
  if (!engine.submit(std::move(request))) return 0;
  done.get_future().wait();
  return total / static_cast<double>(ids.size() - 1);
}

// For the peer, which must say the same of the same tokens before it is timed.
void leave_reference(const json::Value& reference) {
  const char* shared = std::getenv("RETORT_BENCH_SHARED");
  if (shared == nullptr) return;
  const auto written =
      base::write_file_atomic(base::join(shared, "decode.json"), json::dump(reference));
  if (!written) fmt::print(stderr, "{}\n", written.error().text());
}

json::Value list_of(const std::vector<TokenId>& ids) {
  json::Value out = json::Value::array();
  for (const TokenId id : ids) out.push(int64_t{id});
  return out;
}

// With `streams` only decoding so many is timed, for a profile.
int profile(Engine& engine, int64_t streams) {
  for (int i = 0; i < 5; ++i) {
    fmt::print("{} streams: {:.4g} tokens/s\n", streams, decode_speed(engine, streams));
  }
  return 0;
}

int run(const std::string& path, int64_t streams) {
  const double opened_s = base::monotonic_seconds();
  auto opened = Engine::open(path, {.max_batch = 64});
  if (!opened) {
    fmt::print(stderr, "{}\n", opened.error().text());
    return 4;
  }
  Engine& engine = **opened;
  if (streams > 0) return profile(engine, streams);
  json::Value out = json::Value::object({{"side", "retort"}, {"machine", base::cpu_summary()}});
  const auto put = [&](const char* name, double value) {
    fmt::print("{:<34} {:.4g}\n", name, value);
    out.set(name, value);
  };
  prefill_speed(engine, 16, 1);
  put("open_and_first_token_s", base::monotonic_seconds() - opened_s);
  const auto text = base::read_file(RETORT_SOURCE_DIR "/LICENSE");
  if (!text) {
    fmt::print(stderr, "{}\n", text.error().text());
    return 4;
  }
  auto ids = engine.tokenizer().encode(*text);
  ids.resize(std::min<size_t>(ids.size(), 1024));
  const double nll = mean_nll(engine, ids);
  put("mean_nll", nll);
  std::vector<double> prefill;
  for (int i = 0; i < kRepeats; ++i) prefill.push_back(prefill_speed(engine, 512, 100 + i));
  put("prefill_512_tokens_per_s", median(prefill));
  const double products = products_limit(engine.config(), 512);
  put("prefill_limit_products_alone", products);
  put("prefill_share_of_limit", median(prefill) / products);
  const double bandwidth = read_bandwidth();
  put("read_bandwidth_gb_per_s", bandwidth / 1e9);
  for (const int64_t streams : {1, 8, 32, 64}) {
    std::vector<double> speeds;
    for (int i = 0; i < 3; ++i) speeds.push_back(decode_speed(engine, streams));
    put(fmt::format("decode_{}_streams_tokens_per_s", streams).c_str(), median(speeds));
  }
  fmt::print("{}\n", json::dump(out));
  json::Value figures = json::Value::object();
  for (const auto& [name, value] : out.as_object()) {
    if (name.ends_with("tokens_per_s")) figures.set(name, value);
  }
  leave_reference(
      json::Value::object({{"nll_tokens", list_of(ids)},
                           {"mean_nll", nll},
                           {"prefill_tokens", list_of(prompt_of(512, 100, engine.config().vocab))},
                           {"figures", std::move(figures)}}));
  return 0;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    fmt::print(stderr, "usage: retort_bench_decode MODEL.gguf [STREAMS]\n");
    return 2;
  }
  return retort::run(argv[1], argc == 3 ? std::atoll(argv[2]) : 0);
}
