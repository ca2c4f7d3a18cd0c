#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/files.h"
#include "ledger/key_internal.h"

namespace retort::ledger {
namespace {

Result<crypto::SigningKey> load_key(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return base::errno_error("look at", path);
  if ((info.st_mode & 077) != 0) {
    return base::bad_input("the log's private key can be read by others", path,
                           "take their access away: chmod 600 " + path);
  }
  RETORT_TRY(const auto pem, base::read_file(path, 1 << 16));
  return crypto::SigningKey::from_pem(pem, path);
}

// Under a name of its own first, so that nobody ever sees half a key; link() lets one maker win.
Result<void> make_key(const std::string& path) {
  RETORT_TRY(const auto key, crypto::SigningKey::generate());
  RETORT_TRY(const auto pem, key.to_pem());
  const std::string draft = path + "." + std::to_string(::getpid());
  ::unlink(draft.c_str());
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return base::errno_error("make the log's key", draft);
  const bool written =
      ::write(fd, pem.data(), pem.size()) == static_cast<ssize_t>(pem.size()) && ::fsync(fd) == 0;
  const Error write_error = base::errno_error("write the log's key", draft);
  ::close(fd);
  const bool linked = written && (::link(draft.c_str(), path.c_str()) == 0 || errno == EEXIST);
  const Error link_error = base::errno_error("make the log's key", path);
  ::unlink(draft.c_str());
  if (!written) return write_error;
  if (!linked) return link_error;
  return base::sync_directory(base::parent(path));
}

}  // namespace

Result<crypto::SigningKey> load_or_make_key(const std::string& path) {
  if (!base::exists(path)) RETORT_TRY_VOID(make_key(path));
  return load_key(path);
}

}  // namespace retort::ledger
