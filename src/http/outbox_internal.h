// What an answer still has to send: any thread fills it, the connection's coroutine empties it. A
// piece of a stream goes straight to the kernel where nothing waits before it, since waking the
// coroutine costs more than the piece. Knows HTTP/1.1's framing and nothing of sockets.
#pragma once
#include <functional>
#include <mutex>
#include <string>

#include "http/server.h"

namespace retort::http {

// How the request wants to be answered.
struct AnswerForm {
  bool head_only = false;  // HEAD: no body follows
  bool http10 = false;     // no chunks: the end of the connection ends the body
  bool keep_alive = true;
  int64_t max_pending_bytes = 1 << 20;
};

class Outbox : public Responder {
 public:
  struct Way {
    // Called, from any thread, when there is something to take(); not after close().
    std::function<void()> wake;
    // Sends what the kernel takes at once and says how many bytes that was; not after close().
    std::function<size_t(std::string_view)> send_now = {};
  };
  Outbox(AnswerForm form, Way way) : form_(form), way_(std::move(way)) {}

  void reply(Reply reply) override;
  void begin(Reply head) override;
  bool write(std::string_view piece) override;
  void finish() override;
  void cut() override;
  void on_gone(std::function<void()> call) override;

  struct Batch {
    std::string bytes = {};
    bool over = false;   // nothing follows
    bool close = false;  // the connection cannot be used again
  };
  // Everything pending, in one piece. The bytes count as unsent until the next take().
  Batch take();
  // No bytes leave any more: the client has gone, or the answer is over.
  void close();
  // close(), unless the answer is whole and only has to be sent: then true.
  bool close_unless_over();
  // The handler dropped the request: this reply, or a cut stream. It is made while somebody still
  // waits, and the connection does not end meanwhile.
  void abandon(const std::function<Reply()>& make);

 private:
  enum class State { fresh, streaming, over };
  void put_reply(const Reply& reply);
  void put_header(std::string_view name, std::string_view value);
  void put_head(const Reply& head, bool streamed);
  void send_or_notify();
  void leave(std::unique_lock<std::mutex>& lock);
  void notify();

  // Constant after construction.
  const AnswerForm form_;

  // State below is protected by mutex_.
  std::mutex mutex_;
  Way way_;
  std::function<void()> gone_call_;
  std::string pending_;
  int64_t unsent_bytes_ = 0;  // taken by the connection
  State state_ = State::fresh;
  bool chunked_ = false;
  bool cut_ = false;
  bool gone_ = false;
  bool closed_ = false;
  bool notified_ = false;
  bool waited_for_ = false;  // the connection took everything and waits for more
};

// "OK" for 200; "Unknown" for what no RFC names.
const char* reason_phrase(int status);

}  // namespace retort::http
