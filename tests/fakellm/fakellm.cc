#include "fakellm/fakellm.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "base/check.h"
#include "base/random.h"
#include "json/value.h"

namespace retort::fakellm {
namespace {

constexpr int kPoll_ms = 20;
constexpr size_t kMostBytes = size_t{64} << 20;

using Directives = std::map<std::string, std::string>;

Directives parse_directives(const std::string& prompt) {
  Directives out;
  const size_t start = prompt.find("[[");
  const size_t end = prompt.find("]]", start);
  if (start == std::string::npos || end == std::string::npos) return out;
  std::istringstream words(prompt.substr(start + 2, end - start - 2));
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    out[word.substr(0, equals)] = equals == std::string::npos ? "" : word.substr(equals + 1);
  }
  return out;
}

std::string value_of(const Directives& directives, const std::string& name) {
  const auto found = directives.find(name);
  return found == directives.end() ? "" : found->second;
}

int number_of(const Directives& directives, const std::string& name) {
  return std::atoi(value_of(directives, name).c_str());
}

// Words that depend on the prompt alone, so that two answers are rarely alike.
std::string story(const std::string& prompt, int64_t words) {
  constexpr const char* kWords[] = {"quiet",  "garden", "walked", "under", "silver",  "laughed",
                                    "window", "slowly", "bright", "river", "carried", "morning",
                                    "friend", "yellow", "jumped", "over",  "little",  "stone",
                                    "sang",   "before", "winter", "found", "gentle",  "cloud"};
  uint64_t seed = 0;
  for (const char c : prompt) seed = base::mix64(seed ^ static_cast<unsigned char>(c));
  base::Random random(seed);
  std::string out = "One day";
  for (int64_t i = 2; i < words; ++i) out += std::string(" ") + kWords[random.below(24)];
  return out + ".";
}

json::Value token_of(const std::string& text, double logprob) {
  return json::Value::object({{"token", text}, {"logprob", logprob}, {"bytes", nullptr}});
}

// Of the answer's words, blanks in front of them.
json::Value logprobs_of(const std::string& text, int64_t top, bool positive) {
  json::Value content = json::Value::array();
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(' ', at + 1), text.size());
    const double first = positive ? 0.5 : std::log(0.5);
    json::Value token = token_of(text.substr(at, end - at), first);
    json::Value others = json::Value::array({token});
    for (int64_t i = 1; i < top; ++i) {
      others.push(token_of(fmt::format(" other{}", i), std::log(0.5) * static_cast<double>(i + 1)));
    }
    token.set("top_logprobs", others);
    content.push(token);
    at = end;
  }
  return json::Value::object({{"content", content}, {"refusal", nullptr}});
}

int64_t count_words(const std::string& text) {
  std::istringstream words(text);
  int64_t count = 0;
  for (std::string word; words >> word;) ++count;
  return count;
}

const char* reason(int status) {
  return status == 200 ? "OK" : "Not so";
}

}  // namespace

class Connection {
 public:
  Connection(FakeLlm& owner, int socket) : owner_(owner), socket_(socket) {}
  ~Connection() { close(socket_); }
  void run() {
    while (!owner_.stopping_ && read_request() && answer()) {
    }
  }

 private:
  bool fill() {
    while (!owner_.stopping_) {
      pollfd wait{socket_, POLLIN, 0};
      if (poll(&wait, 1, kPoll_ms) == 0) continue;
      char bytes[65536];
      const ssize_t got = recv(socket_, bytes, sizeof bytes, 0);
      if (got <= 0 || buffer_.size() > kMostBytes) return false;
      buffer_.append(bytes, static_cast<size_t>(got));
      return true;
    }
    return false;
  }

  std::string header(std::string name) const {
    std::istringstream lines(head_);
    for (std::string line; std::getline(lines, line);) {
      if (line.size() <= name.size() || line[name.size()] != ':') continue;
      bool same = true;
      for (size_t i = 0; i < name.size(); ++i) {
        same = same && std::tolower(line[i]) == std::tolower(name[i]);
      }
      if (!same) continue;
      std::string value = line.substr(name.size() + 1);
      while (!value.empty() && value.front() == ' ') value.erase(0, 1);
      while (!value.empty() && (value.back() == '\r' || value.back() == ' ')) value.pop_back();
      return value;
    }
    return "";
  }

  bool read_request() {
    size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
      if (!fill()) return false;
    }
    head_ = buffer_.substr(0, end);
    buffer_.erase(0, end + 4);
    const auto length = static_cast<size_t>(std::atoll(header("content-length").c_str()));
    if (header("expect") == "100-continue") send_all("HTTP/1.1 100 Continue\r\n\r\n");
    while (buffer_.size() < length) {
      if (!fill()) return false;
    }
    body_ = buffer_.substr(0, length);
    buffer_.erase(0, length);
    return true;
  }

  bool send_all(const std::string& bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t sent = send(socket_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += static_cast<size_t>(sent);
    }
    return true;
  }

  void rest(int64_t duration_ms) {
    for (int64_t left = duration_ms; left > 0 && !owner_.stopping_; left -= kPoll_ms) {
      std::this_thread::sleep_for(std::chrono::milliseconds(std::min<int64_t>(left, kPoll_ms)));
    }
  }

  void reset() {
    const linger hard{1, 0};
    setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }

  bool reply(int status, const std::string& body, const std::string& extra = "") {
    return send_all(fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}",
        status, reason(status), body.size(), extra, body));
  }

  bool answer() {
    if (head_.starts_with("GET /v1/models")) {
      return reply(200,
                   fmt::format(R"({{"object":"list","data":[{{"id":"{}","object":"model"}}]}})",
                               owner_.settings_.model));
    }
    if (!head_.starts_with("POST /v1/chat/completions")) return reply(404, "{}");
    const auto request = json::parse(body_);
    if (!request) return reply(400, R"({"error":{"message":"not JSON"}})");
    size_t index = 0;
    const Directives directives = note_request(*request, index);

    const int64_t now = ++owner_.in_flight_;
    int64_t most = owner_.most_in_flight_;
    while (now > most && !owner_.most_in_flight_.compare_exchange_weak(most, now)) {
    }
    const bool too_many = owner_.settings_.most_at_once > 0 && now > owner_.settings_.most_at_once;
    rest(owner_.settings_.delay_ms + number_of(directives, "delay"));
    const bool keep = too_many ? reply(429, R"({"error":{"message":"too many"}})")
                               : behave(directives, *request, index);
    --owner_.in_flight_;
    return keep;
  }

  // Logs the request; the directives that count for this attempt.
  Directives note_request(const json::Value& request, size_t& index) {
    Entry entry;
    const json::Value* messages = request.find("messages");
    if (messages != nullptr && messages->is_array() && !messages->as_array().empty()) {
      entry.prompt = messages->as_array().back().string_at("content", "").value_or("");
    }
    entry.authorization = header("authorization");
    entry.idempotency_key = header("idempotency-key");
    entry.body = body_;
    const std::lock_guard lock(owner_.mutex_);
    entry.attempt = ++owner_.attempts_[entry.prompt];
    index = owner_.log_.size();
    Directives directives = parse_directives(entry.prompt);
    const int times = number_of(directives, "times");
    if (times > 0 && entry.attempt > times) directives.clear();
    owner_.log_.push_back(std::move(entry));
    return directives;
  }

  bool behave(const Directives& directives, const json::Value& request, size_t index) {
    const std::string& key = owner_.settings_.required_key;
    if (!key.empty() && header("authorization") != "Bearer " + key) {
      return reply(401, R"({"error":{"message":"wrong key","code":"invalid_api_key"}})");
    }
    if (directives.contains("never")) {
      while (!owner_.stopping_ && poll_quiet()) {
      }
      return false;
    }
    if (value_of(directives, "logprobs") == "refused" && request.find("logprobs") != nullptr) {
      return reply(400, R"({"error":{"message":"logprobs are not supported"}})");
    }
    if (directives.contains("reset")) return reset(), false;
    const std::string cut = value_of(directives, "cut");
    if (cut == "before") return false;
    if (cut == "head") return send_all("HTTP/1.1 200 OK\r\nContent-Le"), false;
    const int status =
        owner_.forced_status_ != 0 ? owner_.forced_status_.load() : number_of(directives, "status");
    if (status != 0) return reply_error(status, directives);
    return reply_answer(directives, request, index);
  }

  // True while the client says nothing and is still there.
  bool poll_quiet() {
    pollfd wait{socket_, POLLIN, 0};
    return poll(&wait, 1, kPoll_ms) == 0;
  }

  bool reply_error(int status, const Directives& directives) {
    std::string extra;
    for (const auto& [name, header] :
         {std::pair{"retry-after", "Retry-After"}, std::pair{"retry-after-ms", "retry-after-ms"},
          std::pair{"reset-tokens", "x-ratelimit-reset-tokens"},
          std::pair{"location", "Location"}}) {
      if (directives.contains(name)) {
        extra += fmt::format("{}: {}\r\n", header, value_of(directives, name));
      }
    }
    return reply(status,
                 fmt::format(R"({{"error":{{"message":"as you asked","code":"{}"}}}})",
                             value_of(directives, "code")),
                 extra);
  }

  json::Value good_answer(const Directives& directives, const json::Value& request, Entry& entry) {
    const int64_t most = request.int_at("max_tokens", 40).value_or(40);
    const int64_t words =
        std::min<int64_t>(most, 12 + static_cast<int64_t>(entry.prompt.size() % 9));
    std::string text = value_of(directives, "body") == "empty" ? "" : story(entry.prompt, words);
    entry.prompt_tokens = count_words(entry.prompt) + 4;
    entry.answer_tokens = count_words(text);
    const std::string finish = value_of(directives, "finish");
    const std::string model = value_of(directives, "model");
    json::Value message = json::Value::object({{"role", "assistant"}, {"content", text}});
    if (directives.contains("refusal")) message.set("refusal", "I cannot help with that.");
    json::Value choice = json::Value::object(
        {{"index", 0}, {"message", message}, {"finish_reason", finish.empty() ? "stop" : finish}});
    const std::string logprobs = value_of(directives, "logprobs");
    if (request.bool_at("logprobs", false).value_or(false) && logprobs != "ignored") {
      const int64_t top = request.int_at("top_logprobs", 0).value_or(0);
      choice.set("logprobs", logprobs_of(text, top, logprobs == "positive"));
    }
    json::Value out =
        json::Value::object({{"id", "chatcmpl-fake"},
                             {"object", "chat.completion"},
                             {"model", model.empty() ? owner_.settings_.model : model},
                             {"choices", json::Value::array({choice})}});
    out.set("usage",
            json::Value::object({{"prompt_tokens", entry.prompt_tokens},
                                 {"completion_tokens", entry.answer_tokens},
                                 {"total_tokens", entry.prompt_tokens + entry.answer_tokens}}));
    return out;
  }

  std::string shaped(const std::string& shape, json::Value good) {
    if (shape == "garbage") return "<html>Bad Gateway \x01\xff</html>";
    if (shape == "error") return R"({"error":{"message":"broke in the middle"}})";
    if (shape == "deep") return std::string(200'000, '[');
    if (shape == "huge") return "\"" + std::string(size_t{40} << 20, 'x') + "\"";
    if (shape == "no-choices") good.set("choices", json::Value::array());
    if (shape == "null-usage") good.set("usage", nullptr);
    if (shape == "no-usage")
      std::erase_if(good.as_object(), [](auto& m) { return m.first == "usage"; });
    std::string text = json::dump(good);
    return shape == "truncated" ? text.substr(0, text.size() / 2) : text;
  }

  bool reply_answer(const Directives& directives, const json::Value& request, size_t index) {
    Entry entry;
    {
      const std::lock_guard lock(owner_.mutex_);
      entry = owner_.log_[index];
    }
    const std::string shape = value_of(directives, "body");
    const std::string body = shaped(shape, good_answer(directives, request, entry));
    std::string head =
        fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
                    body.size() + static_cast<size_t>(number_of(directives, "short")));
    if (directives.contains("usage")) {
      head += "Content-Usage: " + value_of(directives, "usage") + "\r\n";
    }
    if (directives.contains("license")) {
      head += "Link: <" + value_of(directives, "license") + ">; rel=\"license\"\r\n";
    }
    head += "\r\n";
    if (value_of(directives, "cut") == "body") {
      return send_all(head + body.substr(0, body.size() / 2)), false;
    }
    if (!send_dripping(head + body, number_of(directives, "drip"))) return false;
    const std::lock_guard lock(owner_.mutex_);
    entry.served = true;
    if (index < owner_.log_.size()) owner_.log_[index] = entry;
    return !directives.contains("short");
  }

  bool send_dripping(const std::string& bytes, int pause_ms) {
    if (pause_ms == 0) return send_all(bytes);
    for (size_t at = 0; at < bytes.size() && !owner_.stopping_; at += 16) {
      if (!send_all(bytes.substr(at, 16))) return false;
      rest(pause_ms);
    }
    return true;
  }

  FakeLlm& owner_;
  int socket_;
  std::string buffer_;
  std::string head_;
  std::string body_;
};

FakeLlm::FakeLlm(Settings settings) : settings_(std::move(settings)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(settings_.port));
  RETORT_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  RETORT_CHECK(listen(listener_, 128) == 0);
  socklen_t size = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

FakeLlm::~FakeLlm() {
  stopping_ = true;
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
  close(listener_);
}

void FakeLlm::accept_loop() {
  while (!stopping_) {
    pollfd wait{listener_, POLLIN, 0};
    if (poll(&wait, 1, kPoll_ms) <= 0) continue;
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const int yes = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    threads_.emplace_back([this, socket] { Connection(*this, socket).run(); });
  }
}

std::string FakeLlm::base_url() const {
  return fmt::format("http://127.0.0.1:{}/v1", port_);
}

std::vector<Entry> FakeLlm::log() const {
  const std::lock_guard lock(mutex_);
  return log_;
}

int64_t FakeLlm::requests() const {
  const std::lock_guard lock(mutex_);
  return static_cast<int64_t>(log_.size());
}

void FakeLlm::clear_log() {
  const std::lock_guard lock(mutex_);
  log_.clear();
  attempts_.clear();
}

}  // namespace retort::fakellm
