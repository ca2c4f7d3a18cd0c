// Exchanges of one client over connections of a server's loop: who asks and who is asked wait on
// the same thread, so that nothing is handed from one to another. For plain http to an address
// (127.0.0.1, [::1], 10.1.2.3) or localhost, where no proxy stands between; everything else is
// libcurl's. What answers are taken stands in answer_internal.h. Callbacks are never called from
// within send().
//
// Threads: the loop's own.
#pragma once
#include <sys/socket.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "http/answer_internal.h"
#include "http/client.h"
#include "http/loop_internal.h"

namespace retort::http {

struct Target {
  std::vector<sockaddr_storage> addresses;  // the first that listens is taken
  std::string host;                         // as the URL has it, with a port: for the header
  std::string path;                         // with the query
};

// None for what libcurl is to do, or to refuse.
std::optional<Target> direct_target(const std::string& url);

class DirectLink;

class Direct : public Attached {
 public:
  Direct(Loop& loop, const ClientOptions& options);
  ~Direct() override;  // tells all that they are cancelled

  void send(ExchangeId id, Request request, Handlers handlers,
            std::shared_ptr<const Target> target);
  void cancel(ExchangeId id);

  // One exchange: asked, or waiting for its turn.
  struct Work {
    ExchangeId id = 0;
    Request request;
    Handlers handlers;
    std::shared_ptr<const Target> target;
    int64_t began_ms = 0;
    bool sent = false;
    Response response = {};
  };

 private:
  friend class DirectLink;
  void start(std::unique_ptr<Work> work);
  void start_waiting();
  // A link has done with this exchange, and waits for the next or is gone.
  void leave(DirectLink& link, ExchangeId id, bool reusable);
  void forget(DirectLink& link);
  void fail_later(std::unique_ptr<Work> work, Failure failure, Error error);

  Loop& loop_;
  const ClientOptions options_;
  const size_t links_max_;
  std::vector<DirectLink*> idle_;                      // the one used last is the last
  std::unordered_map<ExchangeId, DirectLink*> asked_;  // under way
  std::deque<std::unique_ptr<Work>> waiting_;
  std::shared_ptr<bool> alive_;  // for calls that come later
};

}  // namespace retort::http
