// What the HTTP door costs: decoding over HTTP beside the same engine in process, and the CPU time
// of each side's threads. See README.md beside this file.
#include <fmt/core.h>
#include <sched.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <future>
#include <mutex>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/files.h"
#include "engine/engine.h"
#include "json/value.h"
#include "load_client.h"
#include "serve/server.h"

namespace retort {
namespace {

using engine::Engine;
using tokenizer::TokenId;
using Ids = std::vector<TokenId>;

constexpr int64_t kPromptTokens = 64;

// The engine belongs to the bench, which asks it in process as well.
class BorrowedEngine : public serve::Backend {
 public:
  explicit BorrowedEngine(Engine& engine) : engine_(engine) {}
  const tokenizer::Tokenizer& tokenizer() const override { return engine_.tokenizer(); }
  const Result<tokenizer::ChatFormat>& chat() const override { return engine_.chat(); }
  int64_t context_length() const override { return engine_.context_length(); }
  engine::Stats stats() const override { return engine_.stats(); }
  Result<engine::RequestId> submit(engine::Request request) override {
    return engine_.submit(std::move(request));
  }
  void cancel(engine::RequestId id) override { engine_.cancel(id); }

 private:
  Engine& engine_;
};

// Seconds that the threads of this process have computed, by their names.
struct Cpu {
  double sockets_s = 0, formatter_s = 0, client_s = 0;
};

std::vector<pid_t> threads_named(const std::string& name) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    const auto comm = base::read_file(base::join(entry.path().string(), "comm"));
    if (comm.ok() && *comm == name + "\n") found.push_back(std::stoi(entry.path().filename()));
  }
  return found;
}

double seconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The clock of another thread's CPU time, as pthread_getcpuclockid() makes it.
clockid_t cpu_clock_of(pid_t thread) {
  return static_cast<clockid_t>((~static_cast<unsigned>(thread) << 3) | 6u);
}

class Threads {
 public:
  // They name themselves when they begin to run.
  static Result<Threads> find() {
    for (int i = 0; i < 1000; ++i) {
      Threads found;
      found.sockets_ = threads_named("retort-http");
      found.formatter_ = threads_named("retort-format");
      if (found.sockets_.size() == 2 && found.formatter_.size() == 1) return found;
      base::system_clock().sleep_ms(1);
    }
    return base::internal_error("the door's threads are not to be found");
  }
  // On the client's thread.
  Cpu cpu() const {
    Cpu out;
    for (const pid_t thread : sockets_) out.sockets_s += seconds_of(cpu_clock_of(thread));
    for (const pid_t thread : formatter_) out.formatter_s += seconds_of(cpu_clock_of(thread));
    out.client_s = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    return out;
  }
  // The door's threads and the client on the first of the cores.
  void pin() const {
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    for (const pid_t thread : sockets_) ::sched_setaffinity(thread, sizeof first, &first);
    for (const pid_t thread : formatter_) ::sched_setaffinity(thread, sizeof first, &first);
    ::sched_setaffinity(0, sizeof first, &first);
  }

 private:
  std::vector<pid_t> sockets_, formatter_;
};

// From when all streams have begun to when the first has ended, as the asking side sees it.
struct Window {
  double from_s = 0, seconds = 0;
  int64_t tokens = 0;
  Cpu cpu;

  void open(const Engine& engine, const Cpu& now) {
    cpu = now;
    tokens = engine.stats().generated_tokens;
    from_s = base::monotonic_seconds();
  }
  void close(const Engine& engine, const Cpu& now) {
    seconds = base::monotonic_seconds() - from_s;
    tokens = engine.stats().generated_tokens - tokens;
    cpu = {now.sockets_s - cpu.sockets_s, now.formatter_s - cpu.formatter_s,
           now.client_s - cpu.client_s};
  }
  double speed() const { return static_cast<double>(tokens) / seconds; }
};

struct Load {
  std::vector<Ids> prompts;
  int64_t max_tokens = 0;
  int repeats = 1;
};

Load load_of(const Ids& text, int64_t streams, int64_t max_tokens, int repeats) {
  Load load{{}, max_tokens, repeats};
  for (int64_t i = 0; i < streams; ++i) {
    const auto begin = text.begin() + (i * 23) % (std::ssize(text) - kPromptTokens);
    load.prompts.emplace_back(begin, begin + kPromptTokens);
  }
  return load;
}

// What the streams in process have said; the engine's thread may still hold it when the asking one
// has gone on.
struct Heard {
  explicit Heard(size_t streams) : said(streams) {}
  std::mutex mutex;
  std::vector<Streamed> said;
  size_t begun = 0, done = 0;
  std::promise<void> all_done;
  Window window;
};

std::vector<Streamed> ask_in_process(Engine& engine, const Load& load, Window& window) {
  const auto heard = std::make_shared<Heard>(load.prompts.size());
  for (size_t i = 0; i < load.prompts.size(); ++i) {
    engine::Request request;
    request.prompt = load.prompts[i];
    request.max_tokens = load.max_tokens;
    request.sampling.temperature = 0;
    request.on_event = [&engine, heard, i, first = true](const engine::Event& event) mutable {
      const std::lock_guard lock(heard->mutex);
      heard->said[i].text += event.text;
      heard->said[i].tokens += std::ssize(event.tokens);
      if (std::exchange(first, false) && ++heard->begun == heard->said.size()) {
        heard->window.open(engine, {});
      }
      if (!event.done) return;
      if (++heard->done == 1) heard->window.close(engine, {});
      if (heard->done == heard->said.size()) heard->all_done.set_value();
    };
    if (!engine.submit(std::move(request))) return {};
  }
  heard->all_done.get_future().wait();
  const std::lock_guard lock(heard->mutex);
  window = heard->window;
  return heard->said;
}

std::string body_of(const Ids& prompt, int64_t max_tokens) {
  json::Value ids = json::Value::array();
  for (const TokenId id : prompt) ids.push(int64_t{id});
  return json::dump(
      json::Value::object({{"model", "model"},
                           {"prompt", std::move(ids)},
                           {"max_tokens", max_tokens},
                           {"temperature", 0},
                           {"ignore_eos", true},
                           {"stream", true},
                           {"stream_options", json::Value::object({{"include_usage", true}})}}));
}

struct Door {
  Engine& engine;
  LoadClient& client;
  const Threads& threads;
};

Result<std::vector<Streamed>> ask_over_http(const Door& door, const Load& load, Window& window) {
  std::vector<std::string> bodies;
  for (const Ids& prompt : load.prompts) bodies.push_back(body_of(prompt, load.max_tokens));
  RETORT_TRY(const auto answers, door.client.ask(
                                     bodies, [&] { window.open(door.engine, door.threads.cpu()); },
                                     [&] { window.close(door.engine, door.threads.cpu()); }));
  std::vector<Streamed> out;
  for (const std::string& answer : answers) {
    RETORT_TRY(auto stream, read_stream(answer));
    out.push_back(std::move(stream));
  }
  return out;
}

Result<void> same(const std::vector<Streamed>& a, const std::vector<Streamed>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].text != b[i].text || a[i].tokens != b[i].tokens) {
      return base::bad_input(fmt::format("stream {} says another thing over HTTP: {} tokens and {}",
                                         i, a[i].tokens, b[i].tokens));
    }
  }
  return {};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

class Figures {
 public:
  void put(const std::string& name, double value) {
    fmt::print("{:<44} {:.4g}\n", name, value);
    std::fflush(stdout);
    out_.set(name, value);
  }
  // Of one core's time while the streams ran.
  void put_cpu(const std::string& name, const Window& window) {
    put(name + "_formatter_share", window.cpu.formatter_s / window.seconds);
    put(name + "_sockets_share", window.cpu.sockets_s / window.seconds);
    put(name + "_client_share", window.cpu.client_s / window.seconds);
    put(name + "_door_us_per_token",
        1e6 * (window.cpu.formatter_s + window.cpu.sockets_s) / static_cast<double>(window.tokens));
    put(name + "_client_us_per_token",
        1e6 * window.cpu.client_s / static_cast<double>(window.tokens));
  }
  const json::Value& all() const { return out_; }

 private:
  json::Value out_ = json::Value::object({{"side", "retort"}, {"machine", base::cpu_summary()}});
};

// Both ways by turns, so that what else the machine does meets both.
Result<void> compare(const Door& door, const Load& load, Figures& figures) {
  std::vector<double> inside, outside, ratios;
  Window window;
  for (int i = 0; i < load.repeats; ++i) {
    const auto expected = ask_in_process(door.engine, load, window);
    inside.push_back(window.speed());
    RETORT_TRY(const auto got, ask_over_http(door, load, window));
    RETORT_TRY_VOID(same(expected, got));
    outside.push_back(window.speed());
    ratios.push_back(outside.back() / inside.back());
  }
  const std::string name = fmt::format("streams_{}", load.prompts.size());
  figures.put(name + "_in_process_tokens_per_s", median(inside));
  figures.put(name + "_http_tokens_per_s", median(outside));
  figures.put(name + "_ratio_median", median(ratios));
  figures.put(name + "_ratio_worst", *std::min_element(ratios.begin(), ratios.end()));
  figures.put(name + "_ratio_best", *std::max_element(ratios.begin(), ratios.end()));
  figures.put_cpu(name, window);
  return {};
}

// Many who say nothing, 64 who listen, and the door's threads on one core.
Result<void> crowd(const Door& door, const Load& load, Figures& figures) {
  Window window;
  const auto expected = ask_in_process(door.engine, load, window);
  RETORT_TRY_VOID(door.client.hold_idle(1000));
  door.threads.pin();
  const double inside = window.speed();
  RETORT_TRY(const auto got, ask_over_http(door, load, window));
  RETORT_TRY_VOID(same(expected, got));
  figures.put("crowd_idle_connections", static_cast<double>(door.client.idle_alive()));
  figures.put("crowd_streams_equal", static_cast<double>(got.size()));
  figures.put("crowd_in_process_tokens_per_s", inside);
  figures.put("crowd_http_tokens_per_s", window.speed());
  figures.put("crowd_ratio", window.speed() / inside);
  figures.put_cpu("crowd", window);
  return {};
}

Result<void> run(const std::string& path, int64_t streams) {
  RETORT_TRY(const auto engine, Engine::open(path, {.max_batch = 64}));
  RETORT_TRY(const auto text, base::read_file(RETORT_SOURCE_DIR "/LICENSE"));
  const Ids ids = engine->tokenizer().encode(text);
  std::vector<serve::Model> models;
  models.push_back({"model", std::make_unique<BorrowedEngine>(*engine)});
  RETORT_TRY(const auto server,
             serve::Server::start({.port = 0, .max_connections = 2048}, std::move(models)));
  LoadClient client(server->port());
  RETORT_TRY(const Threads threads, Threads::find());
  const Door door{*engine, client, threads};
  Figures figures;
  if (streams > 0) return compare(door, load_of(ids, streams, 192, 5), figures);
  RETORT_TRY_VOID(compare(door, load_of(ids, 1, 256, 11), figures));
  RETORT_TRY_VOID(compare(door, load_of(ids, 32, 96, 5), figures));
  RETORT_TRY_VOID(crowd(door, load_of(ids, 64, 96, 1), figures));
  fmt::print("{}\n", json::dump(figures.all()));
  return {};
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    fmt::print(stderr, "usage: retort_bench_serve MODEL.gguf [STREAMS]\n");
    return 2;
  }
  const auto done = retort::run(argv[1], argc == 3 ? std::atoll(argv[2]) : 0);
  if (!done.ok()) fmt::print(stderr, "{}\n", done.error().text());
  return done.ok() ? 0 : 1;
}
