// kill -9 at random times against a teacher that keeps count outside of the process that dies:
// nothing answered and committed is asked again, and what is asked twice was in flight.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <thread>

#include "base/files.h"
#include "base/random.h"
#include "collect/collect.h"
#include "fakellm/fakellm.h"

namespace retort::collect {
namespace {

constexpr int kPrompts = 160;
constexpr int kConcurrency = 6;

class Kill : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() / ("retort-kill-" + std::to_string(getpid())))
                  .string();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::string prompts;
    for (int i = 0; i < kPrompts; ++i) {
      prompts += "{\"prompt\": \"Tell of thing " + std::to_string(i) + "\"}\n";
    }
    ASSERT_TRUE(base::write_file_atomic(folder_ + "/prompts.jsonl", prompts));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  pid_t start(const std::string& url) const {
    const std::string prompts = folder_ + "/prompts.jsonl";
    const std::string concurrency = std::to_string(kConcurrency);
    const pid_t child = fork();
    if (child == 0) {
      execl(RETORT_COLLECT_CHILD, "collect_child", url.c_str(), folder_.c_str(), prompts.c_str(),
            concurrency.c_str(), nullptr);
      _exit(127);
    }
    return child;
  }
  static int wait_for(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  static void sleep_ms(int64_t duration_ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(duration_ms));
  }

  std::string folder_;
};

TEST_F(Kill, AtAnyTimeNothingIsLostAndLittleAskedTwice) {
  fakellm::Settings settings;
  settings.delay_ms = 20;
  fakellm::FakeLlm server(settings);
  base::Random random(20261123);
  int kills = 0;
  while (kills < 8) {
    const pid_t child = start(server.base_url());
    sleep_ms(40 + static_cast<int64_t>(random.below(200)));
    kill(child, SIGKILL);
    if (wait_for(child) == 0) break;  // it was through
    ++kills;
  }
  ASSERT_EQ(wait_for(start(server.base_url())), 0);
  EXPECT_GE(kills, 3);

  const auto gathering = corpus::Gathering::open(folder_ + "/corpus.db", {.read_only = true});
  ASSERT_TRUE(gathering) << gathering.error().text();
  std::set<std::string> keys;
  int64_t done = 0;
  ASSERT_TRUE((*gathering)->for_each_done([&](const corpus::Gathering::DoneInfo& info) {
    keys.insert(info.key);
    ++done;
  }));
  EXPECT_EQ(done, kPrompts);
  EXPECT_EQ(keys.size(), static_cast<size_t>(kPrompts));

  const auto log = server.log();
  int64_t served_tokens = 0;
  std::map<std::string, int> sends;
  for (const auto& entry : log) {
    ++sends[entry.prompt];
    if (entry.served) served_tokens += entry.prompt_tokens + entry.answer_tokens;
  }
  EXPECT_EQ(sends.size(), static_cast<size_t>(kPrompts));
  EXPECT_LE(static_cast<int64_t>(log.size()) - kPrompts, kills * kConcurrency);
  const auto spend = (*gathering)->spend();
  ASSERT_TRUE(spend);
  EXPECT_GE(spend->requests, static_cast<int64_t>(log.size()));
  EXPECT_GE(spend->prompt_tokens + spend->completion_tokens, served_tokens)
      << "an answer that was lost in a kill was paid all the same";

  // Once more: all is there, so nobody is asked.
  const int64_t before = server.requests();
  EXPECT_EQ(wait_for(start(server.base_url())), 0);
  EXPECT_EQ(server.requests(), before);
}

TEST_F(Kill, CtrlCEndsWithItsOwnCodeAndTheSameCommandGoesOn) {
  fakellm::Settings settings;
  settings.delay_ms = 20;
  fakellm::FakeLlm server(settings);
  const pid_t child = start(server.base_url());
  while (server.requests() < 20) sleep_ms(5);
  kill(child, SIGINT);
  EXPECT_EQ(wait_for(child), 130);
  EXPECT_LT(server.requests(), kPrompts);
  ASSERT_EQ(wait_for(start(server.base_url())), 0);
  EXPECT_EQ(server.requests(), kPrompts) << "what was in flight at Ctrl-C was waited for";
}

}  // namespace
}  // namespace retort::collect
