// One client of the server: its requests one after another, each with its answer. Everything but
// the outbox runs on the thread of the connection's loop.
#pragma once
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/address.h"
#include "http/head_internal.h"
#include "http/loop_internal.h"
#include "http/outbox_internal.h"
#include "http/server.h"

namespace retort::http {

// What all connections share.
struct Core {
  ServerOptions options;
  Handler handler;
  std::vector<base::AddressBlock> proxies = {};
  bool loopback = false;
  std::atomic<bool> stopping{false};

  std::mutex mutex;
  std::condition_variable changed;
  int64_t connections = 0;  // protected by mutex
  // Likewise, by base::customer_of(); none of them zero.
  std::unordered_map<std::string, int64_t> of_customer = {};

  Reply error_reply(int status, const std::string& reason) const {
    if (options.error_reply) return options.error_reply(status, reason);
    return {status, {{"Content-Type", "text/plain"}}, reason + "\n"};
  }
};

class Connection : public Watched, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Core& core, Loop& loop, int socket, std::string address);
  ~Connection() override;

  // On the loop's thread: watches from now on.
  void begin();
  // On the loop's thread: ends at once, or only when no request is under way.
  void stop(bool at_once);

  void on_ready(uint32_t events) override;
  void on_deadline() override;
  void on_all_read() override;
  void on_wake() override;
  void on_broken() override { close(); }

 private:
  enum class State {
    head,       // of the next request
    body,       // of so many bytes
    chunks,     // a body of chunks
    answering,  // the handler has the request, or has it soon
    refusing,   // why it was refused leaves, what the client still says is dropped
    closed,
  };

  void read();
  void meet_end();
  void drop();
  void advance();
  bool read_head();
  bool begin_body();
  bool read_body();
  bool read_chunks();
  Refusal judge_origin() const;
  bool refuse(Refusal refusal);
  void answer();
  void call_handler(ServerRequest request);
  void drain();
  bool send();
  void finish_answer();
  void await_request();
  void wake();
  void close();
  void want();
  bool is_idle() const { return state_ == State::head && buffer_.empty(); }

  Core& core_;
  Loop& loop_;
  const int socket_;
  const std::string address_, customer_;  // of the other end
  State state_ = State::head;
  std::string buffer_;  // what came and was not looked at
  Head head_;
  std::string body_;
  std::unique_ptr<ChunkedDecoder> chunks_;

  std::shared_ptr<Outbox> outbox_;  // of the answer under way
  std::string out_;                 // leaving
  size_t out_sent_ = 0;
  bool asked_ = false;     // the handler does not have the request yet
  bool writable_ = false;  // there is room again for what is leaving
  bool over_ = false;      // nothing follows `out_`
  bool reusable_ = false;  // and another request may
  bool input_ended_ = false;
  int64_t dropped_bytes_ = 0;
};

}  // namespace retort::http
