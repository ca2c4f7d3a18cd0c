// The administration's own listener, on a port of its own: JSON under /admin/v1 that keys of the
// kind admin open and no others, and the console, a page that asks for it. Nothing of the public
// door is here, and nothing of this is there. docs/reference/admin.md lists the routes.
//
// What it shows it reads from the provider's folder, and what it changes it changes there by the
// functions of the terminal's commands (provider/administration.h): the door heeds it as it heeds
// those. Every change stands in the histories with the key that made it.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "json/value.h"

namespace retort::admin {

struct Options {
  std::string accounts = {};  // the folder; what detection and the audit hold is this machine's
  std::string store = {};     // a server that keeps accounts and limits; "": the folder
  std::string host = "127.0.0.1";
  int port = 0;  // 0: the system picks one
  // Names that Host may carry beside loopback's, where a proxy stands in front.
  std::vector<std::string> names = {};
  base::Clock* clock = nullptr;  // nullptr: the machine's
  // What goes through the door (serve/server.h); called from any thread. Empty: there is none.
  std::function<json::Value()> traffic = {};
  // Told the error's code of whoever was not let in; called from any thread. Empty: nobody is told.
  std::function<void(const std::string& code)> refused = {};
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> start(const Options& options);
  ~Server();  // stops
  int port() const;
  // Whether anybody holds a key that opens it.
  Result<bool> has_keys();
  void stop();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort::admin
