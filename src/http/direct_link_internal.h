// One connection to a server that is asked directly: one request at a time, then idle for the next.
#pragma once
#include <memory>
#include <string>

#include "http/direct_internal.h"

namespace retort::http {

class DirectLink : public Watched, public std::enable_shared_from_this<DirectLink> {
 public:
  DirectLink(Direct& owner, Loop& loop, std::string host)
      : owner_(&owner), loop_(loop), host_(std::move(host)) {}

  const std::string& host() const { return host_; }
  // A new one connects first, an idle one asks at once.
  void begin(std::unique_ptr<Direct::Work> work, bool connected);
  // Its work fails with this, and it ends. Not from within its own callbacks.
  void fail(Failure failure, Error error);
  // Of one without work.
  void close();
  // The owner is gone.
  void orphan() { owner_ = nullptr; }

  void on_ready(uint32_t events) override;
  void on_deadline() override;
  void on_broken() override;

 private:
  void connect();
  bool open(const sockaddr_storage& address);
  void meet_connection();
  void ask();
  void write();
  void read();
  void look();
  void take_head(Response& head);
  void take_body(std::string_view piece);
  void touch();
  void finish(Failure failure, Error error);
  std::string place() const;

  Direct* owner_;
  Loop& loop_;
  const std::string host_;
  int socket_ = -1;
  size_t next_address_ = 0;
  bool connected_ = false, too_large_ = false;
  std::unique_ptr<Direct::Work> work_;
  std::string out_;
  size_t out_sent_ = 0;
  std::unique_ptr<AnswerReader> reader_;
};

}  // namespace retort::http
