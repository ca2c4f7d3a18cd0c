// A PostgreSQL of a test's own: made in a temporary folder, reached over a socket there, gone with
// the process. Without PostgreSQL's programs there is none, and the test skips.
#pragma once
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/files.h"
#include "store/database.h"

namespace retort::store {

class TestCluster {
 public:
  // The one of this process; null where there can be none.
  static TestCluster* get() {
    static const std::unique_ptr<TestCluster> cluster = make();
    return cluster.get();
  }
  // Whether it writes through to the disk, for benches; before the first get().
  static bool& durable() {
    static bool value = false;
    return value;
  }
  ~TestCluster() {
    if (owner_ != ::getpid()) return;
    stop();
    (void)base::remove_all(folder_);
  }

  const std::string& socket_folder() const { return folder_; }
  static std::string address_at(const std::string& folder, const std::string& database) {
    return "postgresql:///" + database + "?host=" + folder + "&user=retort";
  }
  std::string address(const std::string& database) const { return address_at(folder_, database); }
  // The address of a new, empty database.
  std::string fresh() {
    const std::string name = "test" + std::to_string(++databases_);
    auto admin = Database::open(address("postgres"));
    if (!admin || !(*admin)->execute("CREATE DATABASE " + name)) std::abort();
    return address(name);
  }
  // As after a crash of the server: nobody is told, everything is recovered from its log.
  void crash() {
    stop();
    start();
  }
  void stop() {
    ::kill(server_, SIGQUIT);
    ::waitpid(server_, nullptr, 0);
  }
  void start() {
    server_ = spawn({programs_ + "/postgres", "-D", folder_ + "/data", "-k", folder_, "-c",
                     "listen_addresses=", "-c", durable() ? "fsync=on" : "fsync=off", "-c",
                     "max_connections=60"});
    for (int i = 0; i < 600 && !Database::open(address("postgres")); ++i) {
      base::system_clock().sleep_ms(50);
    }
  }

 private:
  TestCluster(std::string programs, std::string folder)
      : programs_(std::move(programs)), folder_(std::move(folder)) {}

  static std::unique_ptr<TestCluster> make() {
    const auto probe = Database::open("postgresql:///none?host=/nowhere");
    if (!probe && probe.error().message.find("built without") != std::string::npos) return nullptr;
    const std::string programs = find_programs();
    std::string folder = "/tmp/retort_pg_XXXXXX";
    if (programs.empty() || ::mkdtemp(folder.data()) == nullptr) return nullptr;
    std::unique_ptr<TestCluster> out(new TestCluster(programs, folder));
    if (const auto* user = unprivileged()) {
      if (::chown(folder.c_str(), user->pw_uid, user->pw_gid) != 0) return nullptr;
    }
    const pid_t made = out->spawn({programs + "/initdb", "-D", folder + "/data", "-A", "trust",
                                   "-U", "retort", "-N", "-E", "UTF8", "--locale=C"});
    int status = 0;
    if (::waitpid(made, &status, 0) != made || status != 0) return nullptr;
    out->start();
    return out;
  }

  static std::string find_programs() {
    const std::string root = "/usr/lib/postgresql";
    const auto versions = base::list_directory(root);
    if (!versions) return "";
    for (auto one = versions->rbegin(); one != versions->rend(); ++one) {
      const std::string folder = root + "/" + *one + "/bin";
      const bool both = base::exists(folder + "/initdb") && base::exists(folder + "/postgres");
      if (both && (::geteuid() != 0 || unprivileged() != nullptr)) return folder;
    }
    return "";
  }

  // PostgreSQL refuses to run as root.
  static const passwd* unprivileged() {
    return ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr;
  }

  pid_t spawn(std::vector<std::string> words) {
    const auto* user = unprivileged();
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    if (user != nullptr && (::setgid(user->pw_gid) != 0 || ::setuid(user->pw_uid) != 0)) ::_exit(1);
    ::prctl(PR_SET_PDEATHSIG, SIGQUIT);  // it does not outlive a test that crashed
    if (::chdir("/tmp") != 0) ::_exit(1);
    const std::string log = folder_ + "/log";
    if (std::freopen(log.c_str(), "a", stdout) == nullptr) ::_exit(1);
    if (std::freopen(log.c_str(), "a", stderr) == nullptr) ::_exit(1);
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }

  std::string programs_, folder_;
  pid_t owner_ = ::getpid();
  pid_t server_ = -1;
  int databases_ = 0;
};

}  // namespace retort::store
