#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <map>
#include <mutex>

#include "collect/sender.h"
#include "http/client.h"

namespace retort::collect {
namespace {

// A chat answer is kilobytes; logprobs of a long one a few megabytes.
constexpr int64_t kMaxAnswer_bytes = int64_t{32} << 20;

Exchange to_exchange(http::Outcome outcome) {
  Exchange out;
  out.status = outcome.response.status;
  out.headers = std::move(outcome.response.headers);
  out.body = std::move(outcome.response.body);
  if (outcome.ok()) {
    out.end = Exchange::End::answered;
  } else {
    out.end = outcome.sent ? Exchange::End::uncertain : Exchange::End::not_sent;
    out.failure = outcome.error.message;
  }
  return out;
}

class HttpSender : public Sender {
 public:
  HttpSender(std::string url, std::string key, const Options& options)
      : url_(std::move(url)),
        key_(std::move(key)),
        timeout_ms_(options.timeout_s * 1000),
        client_({.max_connections = options.concurrency, .user_agent = "retort", .ca_file = ""}) {}

  void send(int64_t job, std::string body, const std::string& key) override {
    http::Request request;
    request.method = "POST";
    request.url = url_;
    request.headers = {{"Content-Type", "application/json"},
                       {"Accept", "application/json"},
                       {"Idempotency-Key", key}};
    if (!key_.empty()) request.headers.emplace_back("Authorization", "Bearer " + key_);
    request.body = std::move(body);
    request.idle_timeout_ms = timeout_ms_;
    request.total_timeout_ms = timeout_ms_;
    request.max_response_bytes = kMaxAnswer_bytes;
    // The lock keeps the answer from arriving before its id is known.
    const std::lock_guard lock(mutex_);
    flying_[job] = client_.send(std::move(request), [this, job](http::Outcome outcome) {
      const std::lock_guard inner(mutex_);
      flying_.erase(job);
      ended_.push_back({job, to_exchange(std::move(outcome))});
      something_ended_.notify_one();
    });
  }

  std::vector<Ended> wait(int64_t timeout_ms) override {
    std::unique_lock lock(mutex_);
    something_ended_.wait_for(lock, std::chrono::milliseconds(std::max<int64_t>(0, timeout_ms)),
                              [&] { return !ended_.empty(); });
    return std::exchange(ended_, {});
  }

  void cancel_all() override {
    std::vector<http::ExchangeId> ids;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [job, id] : flying_) ids.push_back(id);
    }
    for (const auto id : ids) client_.cancel(id);
  }

 private:
  std::string url_;
  std::string key_;
  int64_t timeout_ms_;
  std::mutex mutex_;
  std::condition_variable something_ended_;
  std::vector<Ended> ended_;
  std::map<int64_t, http::ExchangeId> flying_;
  http::Client client_;  // last: its end calls back into what stands above
};

}  // namespace

Result<std::unique_ptr<Sender>> open_http_sender(const Teacher& teacher, const Options& options,
                                                 const std::string& route) {
  std::string key;
  if (!teacher.api_key_env.empty()) {
    const char* value = std::getenv(teacher.api_key_env.c_str());
    if (value == nullptr || *value == '\0') {
      return base::usage_error("the environment variable for the API key is not set",
                               "teacher.api_key_env = \"" + teacher.api_key_env + "\"",
                               "export " + teacher.api_key_env + "=... and run again");
    }
    key = value;
  }
  std::string url = teacher.base_url;
  while (url.ends_with('/')) url.pop_back();
  return std::unique_ptr<Sender>(
      std::make_unique<HttpSender>(url + route, std::move(key), options));
}

}  // namespace retort::collect
