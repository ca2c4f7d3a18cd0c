// How many reservations a second quotas grant and settle, and what that costs the store: in a file,
// and on a PostgreSQL with a folder for each process, as on two machines.
//
//   retort_bench_quota [SECONDS]
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "accounts/quota.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/files.h"
#include "quota/fresh_minute.h"
#include "store/postgres_testing.h"

namespace {

using namespace retort;
using accounts::Limit;
using accounts::Quotas;
using accounts::Resource;
using accounts::Window;

constexpr int kThreads = 8;  // of a process
const std::vector<Limit> kLimits = {
    {"key:k", Resource::output_tokens, Window::month, int64_t{1} << 50},
    {"account:a", Resource::requests, Window::month, int64_t{1} << 50},
    {"all", Resource::parallel, Window::now, 1024}};

struct Shared {
  std::atomic<int64_t> pairs{0}, tokens{0};
  std::atomic<int> ready{0};
  std::atomic<bool> go{false}, stop{false};
};

struct Setting {
  std::string name, folder, store;  // "": in the folder
  int processes = 1;
};

std::string folder_of(const Setting& setting, int process) {
  return setting.store.empty() ? setting.folder
                               : base::join(setting.folder, std::to_string(process));
}

void work(Quotas& quotas, Shared& shared) {
  int64_t pairs = 0, tokens = 0;
  while (!shared.go) ::usleep(100);
  while (!shared.stop) {
    auto admitted = quotas.reserve({"key:k", "account:a", "all"}, {.output_tokens = 512});
    RETORT_CHECK(admitted.ok() && admitted->admitted(), "nothing was granted");
    admitted->reservation.settle({.output_tokens = 100});
    ++pairs;
    tokens += 100;
  }
  shared.pairs += pairs;
  shared.tokens += tokens;
}

void serve(const Setting& setting, int process, Shared& shared) {
  auto quotas = std::move(*Quotas::open(folder_of(setting, process), {.store = setting.store}));
  ++shared.ready;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&] { work(*quotas, shared); });
  for (auto& thread : threads) thread.join();
}

// Transactions that wrote: SQLite counts them in its header, PostgreSQL numbers them.
int64_t writes(const Setting& setting) {
  if (setting.store.empty()) {
    const auto head = *base::read_file(base::join(setting.folder, "quota.db"), int64_t{1} << 30);
    int64_t count = 0;
    for (size_t i = 24; i < 28; ++i) count = count << 8 | static_cast<unsigned char>(head[i]);
    return count;
  }
  auto database = std::move(*store::Database::open(setting.store));
  auto row = *database->prepare("SELECT pg_snapshot_xmax(pg_current_snapshot())");
  RETORT_CHECK(row.step().value_or(false), "no answer");
  return row.integer(0);
}

void measure(const Setting& setting, double seconds) {
  RETORT_CHECK(base::make_directories(setting.folder).ok(), "no folder");
  {
    auto quotas = std::move(*Quotas::open(folder_of(setting, 0), {.store = setting.store}));
    for (const auto& limit : kLimits) RETORT_CHECK(quotas->set_limit(limit).ok(), "no limit");
  }
  auto* shared = new (::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared;
  std::vector<pid_t> children;
  for (int i = 0; i < setting.processes; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      serve(setting, i, *shared);
      ::_exit(0);
    }
    children.push_back(pid);
  }
  while (shared->ready < setting.processes) ::usleep(1000);
  const int64_t before = writes(setting);
  const double begin_s = base::monotonic_seconds();
  shared->go = true;
  ::usleep(static_cast<useconds_t>(seconds * 1e6));
  shared->stop = true;
  const double took_s = base::monotonic_seconds() - begin_s;
  const int64_t wrote = writes(setting) - before;
  for (const pid_t pid : children) {
    int status = 0;
    RETORT_CHECK(::waitpid(pid, &status, 0) == pid && status == 0, "a process failed");
  }
  // Right before it is fast: what the store says is what was settled.
  auto quotas = std::move(*Quotas::open(folder_of(setting, 0), {.store = setting.store}));
  const int64_t used = *quotas->used(kLimits[0], base::system_clock().wall_ms());
  RETORT_CHECK(used == shared->tokens, "used {} of {}", used, shared->tokens.load());
  const auto pairs = static_cast<double>(shared->pairs);
  std::printf("%-28s %d process%s x %d threads  %9.0f pairs/s  %7.3f store writes a 1,000 pairs\n",
              setting.name.c_str(), setting.processes, setting.processes == 1 ? "  " : "es",
              kThreads, pairs / took_s, static_cast<double>(wrote) * 1000 / pairs);
  std::fflush(stdout);  // before a process begins that would print it again
}

}  // namespace

int main(int count, char** words) {
  const double seconds = count > 1 ? std::atof(words[1]) : 3;
  std::string folder = "/tmp/retort_quota_XXXXXX";
  RETORT_CHECK(::mkdtemp(folder.data()) != nullptr, "no folder");
  for (const int processes : {1, 2}) {
    measure({"SQLite", base::join(folder, "file" + std::to_string(processes)), "", processes},
            seconds);
  }
  store::TestCluster::durable() = true;
  if (auto* cluster = store::TestCluster::get()) {
    for (const int processes : {1, 2}) {
      measure({"PostgreSQL, same machine", base::join(folder, "server" + std::to_string(processes)),
               cluster->fresh(), processes},
              seconds);
    }
  }
  bench::measure_fresh_minute("SQLite", base::join(folder, "fresh_file"), "");
  if (auto* cluster = store::TestCluster::get()) {
    bench::measure_fresh_minute("PostgreSQL, same machine", base::join(folder, "fresh_server"),
                                cluster->fresh());
  }
  (void)base::remove_all(folder);
  return 0;
}
