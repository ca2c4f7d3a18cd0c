#include "base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/check.h"

namespace retort::base {
namespace fs = std::filesystem;
namespace {

constexpr size_t kWriteBufferBytes = size_t{1} << 20;

Error from_error_code(const std::error_code& code, std::string_view what, std::string where) {
  errno = code.value();
  return errno_error(what, std::move(where));
}

Result<void> sync_path(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return errno_error("open", path);
  const int synced = ::fsync(fd);
  const Error error = errno_error("sync", path);
  ::close(fd);
  if (synced != 0) return error;
  return {};
}

}  // namespace

bool exists(const std::string& path) {
  std::error_code code;
  return fs::exists(path, code);
}

bool is_directory(const std::string& path) {
  std::error_code code;
  return fs::is_directory(path, code);
}

Result<int64_t> file_size(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno_error("look at", path);
  return static_cast<int64_t>(info.st_size);
}

Result<std::vector<std::string>> list_directory(const std::string& path) {
  std::error_code code;
  std::vector<std::string> names;
  for (fs::directory_iterator it(path, code), end; !code && it != end; it.increment(code)) {
    names.push_back(it->path().filename().string());
  }
  if (code) return from_error_code(code, "list", path);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> make_directories(const std::string& path) {
  if (path.empty()) return {};
  std::error_code code;
  fs::create_directories(path, code);
  if (code) return from_error_code(code, "make the folder", path);
  return {};
}

Result<void> remove_all(const std::string& path) {
  std::error_code code;
  fs::remove_all(path, code);
  if (code) return from_error_code(code, "remove", path);
  return {};
}

Result<int64_t> free_bytes(const std::string& path) {
  fs::path at = fs::path(path.empty() ? "." : path);
  while (!exists(at.string()) && at.has_parent_path() && at != at.parent_path()) {
    at = at.parent_path();
  }
  if (at.empty() || !exists(at.string())) at = ".";
  struct statvfs info {};
  if (::statvfs(at.c_str(), &info) != 0) return errno_error("look at", at.string());
  return static_cast<int64_t>(info.f_bavail) * static_cast<int64_t>(info.f_frsize);
}

std::string join(std::string_view folder, std::string_view name) {
  if (folder.empty()) return std::string(name);
  std::string out(folder);
  if (out.back() != '/') out += '/';
  out += name;
  return out;
}

std::string parent(std::string_view path) {
  return fs::path(path).parent_path().string();
}
std::string base_name(std::string_view path) {
  return fs::path(path).filename().string();
}

Result<std::string> read_file(const std::string& path, int64_t limit_bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_error("open", path);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || S_ISDIR(info.st_mode)) {
    ::close(fd);
    return bad_input("not a readable file", path);
  }
  std::string content;
  char buffer[65536];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const Error error = errno_error("read", path);
      ::close(fd);
      return error;
    }
    if (got == 0) break;
    content.append(buffer, static_cast<size_t>(got));
    if (static_cast<int64_t>(content.size()) > limit_bytes) {
      ::close(fd);
      return bad_input(fmt::format("the file is larger than {} bytes", limit_bytes), path);
    }
  }
  ::close(fd);
  return content;
}

Result<void> write_file_atomic(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  {
    RETORT_TRY(auto writer, FileWriter::create(temporary));
    Result<void> done = writer.write(content);
    if (done) done = writer.finish();
    if (!done) {
      ::unlink(temporary.c_str());
      return done.error().at(path);
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return errno_error("rename to", path);
  return sync_directory(parent(path));
}

Result<void> publish_directory(const std::string& from, const std::string& to) {
  RETORT_TRY(const auto names, list_directory(from));
  for (const auto& entry : names) {
    const std::string path = join(from, entry);
    if (!is_directory(path)) RETORT_TRY_VOID(sync_path(path, O_RDONLY));
  }
  RETORT_TRY_VOID(sync_directory(from));
  if (exists(to)) {
    const std::string old = to + ".old";
    RETORT_TRY_VOID(remove_all(old));
    if (::rename(to.c_str(), old.c_str()) != 0) return errno_error("rename", to);
    if (::rename(from.c_str(), to.c_str()) != 0) return errno_error("rename to", to);
    RETORT_TRY_VOID(sync_directory(parent(to)));
    return remove_all(old);
  }
  if (::rename(from.c_str(), to.c_str()) != 0) return errno_error("rename to", to);
  return sync_directory(parent(to));
}

Result<void> sync_directory(const std::string& path) {
  return sync_path(path.empty() ? "." : path, O_RDONLY | O_DIRECTORY);
}

Result<FileWriter> FileWriter::create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return errno_error("create", path);
  return FileWriter(fd, path);
}

Result<void> write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno_error("write", path);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

FileWriter::FileWriter(FileWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      pending_(std::move(other.pending_)),
      position_(other.position_) {}

FileWriter::~FileWriter() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> FileWriter::write(std::string_view bytes) {
  RETORT_CHECK(fd_ >= 0);
  position_ += static_cast<int64_t>(bytes.size());
  if (bytes.size() >= kWriteBufferBytes) {
    RETORT_TRY_VOID(flush());
    return write_all(fd_, bytes, path_);
  }
  pending_ += bytes;
  if (pending_.size() >= kWriteBufferBytes) return flush();
  return {};
}

Result<void> FileWriter::write(const void* data, int64_t size_bytes) {
  return write(std::string_view(static_cast<const char*>(data), static_cast<size_t>(size_bytes)));
}

Result<void> FileWriter::flush() {
  RETORT_TRY_VOID(write_all(fd_, pending_, path_));
  pending_.clear();
  return {};
}

Result<void> FileWriter::finish() {
  RETORT_CHECK(fd_ >= 0);
  RETORT_TRY_VOID(flush());
  if (::fsync(fd_) != 0) return errno_error("sync", path_);
  if (::close(std::exchange(fd_, -1)) != 0) return errno_error("close", path_);
  return {};
}

Result<MappedFile> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_error("open", path);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0) {
    ::close(fd);
    return bad_input("the file is empty or no ordinary file", path);
  }
  const auto size = static_cast<size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (data == MAP_FAILED) return errno_error("map", path);
  return MappedFile(static_cast<const uint8_t*>(data), static_cast<int64_t>(size));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), static_cast<size_t>(size_));
}

Result<FileLock> FileLock::acquire(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return errno_error("open the lock", path);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    char holder[32] = {};
    const ssize_t got = ::pread(fd, holder, sizeof holder - 1, 0);
    ::close(fd);
    return storage_error(
        fmt::format("another process is using this folder (process {})", got > 0 ? holder : "?"),
        path, "wait for it to end, or choose another `out`");
  }
  const std::string id = std::to_string(::getpid());
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, id.data(), id.size(), 0) < 0) {
    const Error error = errno_error("write the lock", path);
    ::close(fd);
    return error;
  }
  return FileLock(fd);
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace retort::base
