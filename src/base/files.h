// Files, and what is needed to lose none: write under a temporary name, sync, rename, sync the
// folder. Paths are UTF-8 strings. Safe from any thread; two writers of one path are the caller's
// mistake (FileLock keeps a second process out).
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace retort::base {

bool exists(const std::string& path);
bool is_directory(const std::string& path);
Result<int64_t> file_size(const std::string& path);
// Names (not paths) of a folder's entries, sorted.
Result<std::vector<std::string>> list_directory(const std::string& path);
Result<void> make_directories(const std::string& path);
Result<void> remove_all(const std::string& path);
// Free bytes of the file system that holds `path` (or its nearest existing parent).
Result<int64_t> free_bytes(const std::string& path);

std::string join(std::string_view folder, std::string_view name);
std::string parent(std::string_view path);
std::string base_name(std::string_view path);

// The whole file; larger than `limit_bytes` is bad input.
Result<std::string> read_file(const std::string& path, int64_t limit_bytes = int64_t{1} << 32);

// The file is either as before or whole and on disk, whatever happens in between.
Result<void> write_file_atomic(const std::string& path, std::string_view content);
// A folder written under a temporary name takes its final one: contents synced, `to` replaced.
Result<void> publish_directory(const std::string& from, const std::string& to);
Result<void> sync_directory(const std::string& path);

// All of it to an open file; `path` is what an error names.
Result<void> write_all(int fd, std::string_view bytes, const std::string& path);

// Writes a file piece by piece; nothing is promised before finish() returned success.
class FileWriter {
 public:
  static Result<FileWriter> create(const std::string& path);
  FileWriter(FileWriter&& other) noexcept;
  FileWriter& operator=(FileWriter&&) = delete;
  ~FileWriter();

  Result<void> write(std::string_view bytes);
  Result<void> write(const void* data, int64_t size_bytes);
  int64_t position() const { return position_; }
  // Flushes, syncs, closes.
  Result<void> finish();

 private:
  FileWriter(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  Result<void> flush();

  int fd_;
  std::string path_;
  std::string pending_;
  int64_t position_ = 0;
};

// A read-only view of a whole file, mapped. The size is fixed at opening.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  const uint8_t* data() const { return data_; }
  int64_t size() const { return size_; }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(data_), static_cast<size_t>(size_)};
  }

 private:
  MappedFile(const uint8_t* data, int64_t size) : data_(data), size_(size) {}
  const uint8_t* data_;
  int64_t size_;
};

// Held by one process at a time; released when the object or the process ends.
class FileLock {
 public:
  // A second holder gets a storage error that names the first one's process id.
  static Result<FileLock> acquire(const std::string& path);
  FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace retort::base
