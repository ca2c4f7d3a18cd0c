// A teacher that misbehaves on request: an HTTP server of raw sockets for tests. What it does with
// a request is said in the request's last message, between double brackets:
//
//   Tell me of a boat. [[status=429 retry-after=0.05 times=2]]
//
//   status=N        answer with this HTTP status and an error object
//   times=N         misbehave for the first N attempts of this prompt only
//   retry-after=V, retry-after-ms=V, reset-tokens=V, location=V   headers, as they are
//   code=V          the error object's code, as in insufficient_quota
//   delay=MS        wait before the answer; drip=MS  wait between pieces of 16 bytes
//   never           take the request and say nothing
//   cut=head|body|before   close the connection inside the head, the body, or before either
//   reset           close with RST before the answer
//   short=N         say N bytes more in Content-Length than are sent
//   body=garbage|truncated|error|no-choices|no-usage|null-usage|empty|huge|deep
//   finish=V        finish_reason; model=V  another model's name; refusal  a refusal
//   logprobs=ignored|refused|positive   what a request for log-probabilities ends in
//   usage=train-ai=n   the Content-Usage header; license=URL  a Link header with rel="license"
//
// Without brackets it answers properly, in words made from the prompt; asked for log-probabilities,
// it takes the words for tokens, each of mass 1/2 before alternatives of 1/4, 1/8 ... It keeps a
// log of all it was asked, in memory and, for tests that kill their client, nowhere else.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace retort::fakellm {

struct Entry {
  std::string prompt;         // the last message
  std::string authorization;  // as it came
  std::string idempotency_key;
  std::string body;
  int attempt = 0;      // 1 for the first time this prompt came
  bool served = false;  // a proper answer was handed to the socket in full
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;
};

struct Settings {
  int port = 0;          // 0: any free one
  int64_t delay_ms = 0;  // of every answer
  std::string model = "fake-1";
  std::string required_key;  // else 401
  int most_at_once = 0;      // more requests at once get 429; 0: no limit
};

class FakeLlm {
 public:
  explicit FakeLlm(Settings settings = {});
  ~FakeLlm();
  FakeLlm(const FakeLlm&) = delete;

  int port() const { return port_; }
  std::string base_url() const;  // "http://127.0.0.1:PORT/v1"
  std::vector<Entry> log() const;
  int64_t requests() const;
  int64_t most_in_flight() const { return most_in_flight_; }
  void clear_log();
  // From now on every answer is this status; 0: as the prompts say.
  void set_status(int status) { forced_status_ = status; }

 private:
  friend class Connection;
  void accept_loop();

  Settings settings_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> forced_status_{0};
  std::atomic<int64_t> in_flight_{0};
  std::atomic<int64_t> most_in_flight_{0};
  mutable std::mutex mutex_;
  std::vector<Entry> log_;
  std::map<std::string, int> attempts_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace retort::fakellm
