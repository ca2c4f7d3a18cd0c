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

// What makers left that did not come to their end: keys that nothing was ever signed with. A copy
// that a person keeps there has another name than a number.
void remove_drafts(const std::string& path) {
  const std::string folder = base::parent(path);
  const std::string first = base::base_name(path) + ".";
  for (const auto& name : base::list_directory(folder).value_or({})) {
    const bool is_draft = name.starts_with(first) &&
                          name.find_first_not_of("0123456789", first.size()) == std::string::npos;
    if (is_draft) ::unlink(base::join(folder, name).c_str());
  }
}

// Under a name of its own first, so that nobody ever sees half a key; link() lets one maker win.
Result<void> make_key(const std::string& path) {
  RETORT_TRY(const auto key, crypto::SigningKey::generate());
  RETORT_TRY(const auto pem, key.to_pem());
  const std::string draft = path + "." + std::to_string(::getpid());
  ::unlink(draft.c_str());
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return base::errno_error("make the log's key", draft);
  auto written = base::write_all(fd, pem, draft);
  if (written.ok() && ::fsync(fd) != 0) written = base::errno_error("sync", draft);
  ::close(fd);
  bool linked = written.ok() && ::link(draft.c_str(), path.c_str()) == 0;
  const Error link_error = base::errno_error("make the log's key", path);
  // Another maker may have won, and taken this draft away.
  linked = linked || (written.ok() && base::exists(path));
  ::unlink(draft.c_str());
  if (!written) return written;
  if (!linked) return link_error;
  return base::sync_directory(base::parent(path));
}

}  // namespace

Result<crypto::SigningKey> load_or_make_key(const std::string& path) {
  if (!base::exists(path)) RETORT_TRY_VOID(make_key(path));
  remove_drafts(path);
  return load_key(path);
}

}  // namespace retort::ledger
