// A folder of a provider with an account, an administrator and a policy, and the listener over it,
// asked over real sockets.
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "accounts/book.h"
#include "accounts/cases.h"
#include "accounts/quota.h"
#include "admin/server.h"
#include "base/clock.h"
#include "base/files.h"
#include "http/raw_testing.h"
#include "json/value.h"
#include "policy/example_testing.h"

namespace retort::admin {

struct Got {
  int status = 0;
  std::string head, body;
  json::Value json() const { return json::parse(body).value_or(json::Value()); }
  std::string error(const char* key = "code") const {
    const json::Value root = json();
    const json::Value* error = root.find("error");
    const json::Value* value = error == nullptr ? nullptr : error->find(key);
    return value != nullptr && value->is_string() ? value->as_string() : "";
  }
};

inline Got ask_port(int port, const std::string& line, const std::string& headers = "",
                    const std::string& body = "") {
  http::RawSocket socket = http::RawSocket::connect(port);
  socket.write(line + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
               "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
               body);
  const std::string all = socket.read_all(5000);
  const size_t end = all.find("\r\n\r\n");
  if (end == std::string::npos) return {};
  return {std::stoi(all.substr(9, 3)), all.substr(0, end), all.substr(end + 4)};
}

class AdminTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "/admin_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    ASSERT_TRUE(base::remove_all(folder_).ok());
    const std::string path = base::join(folder_, "accounts.db");
    book_ = std::move(*accounts::Book::open(path));
    account_ = book_->create({.name = "Example Ltd"}, "ann")->id;
    api_key_ = book_->issue({.account = account_}, "ann")->secret;
    staff_ = book_->create({.name = "Provider"}, "ann")->id;
    const auto issued =
        *book_->issue({.account = staff_, .kind = accounts::KeyKind::admin, .label = "ben"}, "ann");
    admin_key_ = issued.secret;
    actor_ = "ben (" + issued.key.id + ")";
    cases_ = std::move(*accounts::Cases::open(path, {}));
    ASSERT_TRUE(cases_->add_policy(*policy::parse_policy(policy::kExamplePolicy, ""), "ann").ok());
  }
  void TearDown() override {
    server_.reset();
    (void)base::remove_all(folder_);
  }
  void start(Options options = {}) {
    options.accounts = folder_;
    auto server = Server::start(options);
    ASSERT_TRUE(server.ok()) << server.error().text();
    server_ = std::move(*server);
  }
  std::string begin(policy::Step step, const std::string& evidence = "") {
    const policy::Finding finding{
        .carries = policy::Step::suspend, .words = "a word list", .evidence = evidence};
    const auto id = cases_->begin(account_, cases_->policies()->front(), finding, "ann")->id;
    while (cases_->find(id)->step < step) {
      const auto moved = cases_->change(
          id, "advanced", "detector", [](const policy::Policy& policy, policy::Case& subject) {
            policy::advance(policy, subject, base::system_clock().wall_ms());
            return Result<void>();
          });
      EXPECT_TRUE(moved.ok()) << moved.error().text();
    }
    return id;
  }
  void appeal(const std::string& id, const std::string& text) {
    const auto moved = cases_->change(
        id, "appealed", "key", [&](const policy::Policy& policy, policy::Case& subject) {
          policy::take_appeal(policy, subject, text, base::system_clock().wall_ms());
          return Result<void>();
        });
    EXPECT_TRUE(moved.ok()) << moved.error().text();
  }
  static std::string bearer(const std::string& key) {
    return "Authorization: Bearer " + key + "\r\n";
  }
  Got get(const std::string& path) {
    return ask_port(server_->port(), "GET /admin/v1/" + path, bearer(admin_key_));
  }
  Got post(const std::string& path, const std::string& body, const std::string& more = "") {
    return ask_port(server_->port(), "POST /admin/v1/" + path,
                    bearer(admin_key_) + "Content-Type: application/json\r\n" + more, body);
  }

  std::string folder_, account_, staff_, api_key_, admin_key_, actor_;
  std::unique_ptr<accounts::Book> book_;
  std::unique_ptr<accounts::Cases> cases_;
  std::unique_ptr<Server> server_;
};

}  // namespace retort::admin
