#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "accounts/quota_live_internal.h"
#include "base/files.h"

namespace retort::accounts {
namespace {

constexpr std::array<char, 8> kMagic = {'r', 't', 'q', 'u', 'o', 't', 'a', '1'};

// Memory that was mapped before a power failure is not to be trusted after it.
std::array<char, 40> boot_identity() {
  std::array<char, 40> out{};
  const auto text = base::read_file("/proc/sys/kernel/random/boot_id", 64);
  if (text) std::copy_n(text->begin(), std::min(text->size(), out.size() - 1), out.begin());
  return out;
}

Result<LiveTables*> map_file(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (fd < 0) return base::errno_error("open", path);
  struct stat info {};
  const bool create = (flags & O_CREAT) != 0;
  const bool sized = create ? ::ftruncate(fd, sizeof(LiveTables)) == 0
                            : ::fstat(fd, &info) == 0 && info.st_size == sizeof(LiveTables);
  const Error size_error = base::errno_error("make room in", path);
  void* memory =
      sized ? ::mmap(nullptr, sizeof(LiveTables), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
            : MAP_FAILED;
  const Error map_error = base::errno_error("map", path);
  ::close(fd);
  if (!sized) return size_error;
  if (memory == MAP_FAILED) return map_error;
  return static_cast<LiveTables*>(memory);
}

}  // namespace

void write_mark(int64_t& mark, int64_t value) {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::atomic_ref<int64_t>(mark).store(value, std::memory_order_release);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

Result<LiveFile> LiveFile::create(const std::string& path) {
  RETORT_TRY(auto* tables, map_file(path, O_RDWR | O_CREAT | O_EXCL));
  tables->header.boot = boot_identity();
  tables->header.magic = kMagic;
  return LiveFile(tables);
}

Result<LiveFile> LiveFile::read(const std::string& path) {
  RETORT_TRY(auto* tables, map_file(path, O_RDWR));
  LiveFile file(tables);
  if (tables->header.magic != kMagic || tables->header.boot != boot_identity()) {
    return base::bad_input("not of this version and this boot of the machine", path);
  }
  const auto& redo = tables->header.redo;
  const bool fits = redo.counters >= 0 && redo.counters <= kMaxCharges && redo.flight >= 0 &&
                    redo.flight < kMaxFlights;
  if (!fits) return base::bad_input("the file is torn", path);
  file.apply_redo();
  return file;
}

LiveFile::LiveFile(LiveFile&& other) noexcept : tables_(std::exchange(other.tables_, nullptr)) {}

LiveFile::~LiveFile() {
  if (tables_ != nullptr) ::munmap(tables_, sizeof(LiveTables));
}

void LiveFile::apply_redo() {
  auto& redo = tables_->header.redo;
  if (redo.valid == 0) return;
  for (int64_t i = 0; i < redo.counters; ++i) {
    const int64_t counter = redo.counter[static_cast<size_t>(i)];
    if (counter < 0 || counter >= kMaxCounters) continue;
    tables_->counters[static_cast<size_t>(counter)].spent = redo.spent[static_cast<size_t>(i)];
  }
  write_mark(tables_->flights[static_cast<size_t>(redo.flight)].charges, 0);
  write_mark(redo.valid, 0);
}

std::unordered_map<int64_t, int64_t> LiveFile::spent() const {
  std::unordered_map<int64_t, int64_t> out;
  for (const auto& counter : tables_->counters) {
    if (counter.row != 0) out[counter.row] = counter.spent;
  }
  for (const auto& flight : tables_->flights) {
    for (int64_t i = 0; i < std::min(flight.charges, kMaxCharges); ++i) {
      const auto& charge = flight.charge[static_cast<size_t>(i)];
      const auto found = out.find(charge.row);
      if (found != out.end()) found->second += charge.produced;
    }
  }
  return out;
}

}  // namespace retort::accounts
