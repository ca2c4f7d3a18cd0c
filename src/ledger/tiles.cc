#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "ledger/tiles_internal.h"

namespace retort::ledger {
namespace {

constexpr int64_t kWidth = 256;
constexpr int kEntries = -1;
constexpr size_t kHashBytes = sizeof(Digest);

// Where nothing is lost with the file: a whole one or none, but not synced.
Result<void> write_unsynced(const std::string& path, std::string_view bytes) {
  const std::string draft = path + ".new";
  std::ofstream file(draft, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) return base::errno_error("write", draft);
  std::error_code code;
  std::filesystem::rename(draft, path, code);
  if (!code) return {};
  errno = code.value();
  return base::errno_error("rename to", path);
}

// Nodes of a tree level that `size` entries complete.
int64_t hashes_at(int level, int64_t size) {
  return size >> (8 * std::max(level, 0));
}

// Levels that have anything, the entries first.
int levels_of(int64_t size) {
  int levels = 0;
  while (hashes_at(levels, size) > 0) ++levels;
  return levels;
}

// Cut short, or with zeros where bytes never got to the disk.
bool is_torn(const std::string& bytes, const std::string& wanted, size_t common) {
  return bytes.size() <= wanted.size() && bytes.find_first_not_of('\0', common) == bytes.npos;
}

// Which of a tile's hashes or entries holds the byte at `at`.
int64_t item_at(const std::string& bytes, size_t at, bool entries) {
  if (!entries) return static_cast<int64_t>(at / kHashBytes);
  int64_t item = 0;
  for (size_t end = 0; end + 1 < bytes.size(); ++item) {
    end += 2 + (static_cast<size_t>(static_cast<unsigned char>(bytes[end])) << 8 |
                static_cast<unsigned char>(bytes[end + 1]));
    if (at < end) break;
  }
  return item;
}

}  // namespace

Result<Tiles> Tiles::open(const std::string& folder, store::Database& database, Nodes& nodes) {
  RETORT_TRY(
      auto entries,
      database.prepare("SELECT entry FROM entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx"));
  return Tiles(base::join(folder, "tile"), std::move(entries), nodes);
}

std::string Tiles::index_path(int64_t index) {
  std::string out = fmt::format("{:03}", index % 1000);
  for (index /= 1000; index > 0; index /= 1000) out = fmt::format("x{:03}/{}", index % 1000, out);
  return out;
}

std::string Tiles::path(const Place& place) const {
  const std::string level = place.level == kEntries ? "entries" : std::to_string(place.level);
  std::string out = fmt::format("{}/{}/{}", folder_, level, index_path(place.index));
  if (place.width < kWidth) out += fmt::format(".p/{}", place.width);
  return out;
}

Result<std::string> Tiles::content(const Place& place) {
  const int64_t begin = place.index * kWidth;
  if (place.level != kEntries) return nodes_->run(8 * place.level, begin, begin + place.width);
  std::string out;
  entries_.bind(1, begin).bind(2, begin + place.width);
  while (true) {
    RETORT_TRY(const bool row, entries_.step());
    if (!row) return out;
    const std::string_view entry = entries_.blob(0);
    out += static_cast<char>(entry.size() >> 8);
    out += static_cast<char>(entry.size() & 255);
    out += entry;
  }
}

Result<void> Tiles::write(const Place& place) {
  RETORT_TRY(const auto bytes, content(place));
  const std::string to = path(place);
  RETORT_TRY_VOID(base::make_directories(base::parent(to)));
  if (place.width < kWidth) return write_unsynced(to, bytes);
  RETORT_TRY_VOID(base::write_file_atomic(to, bytes));
  return base::remove_all(to + ".p");
}

Result<void> Tiles::derive(int64_t from, int64_t size) {
  for (int level = kEntries; level < levels_of(size); ++level) {
    const int64_t had = hashes_at(level, from);
    const int64_t has = hashes_at(level, size);
    if (had == has) continue;
    for (int64_t index = had / kWidth; index * kWidth < has; ++index) {
      RETORT_TRY_VOID(write({level, index, std::min(kWidth, has - index * kWidth)}));
    }
  }
  return {};
}

Result<bool> Tiles::tail_is_whole(int64_t size) {
  for (int level = kEntries; level < levels_of(size); ++level) {
    const int64_t has = hashes_at(level, size);
    const int64_t index = (has - 1) / kWidth;
    const Place place{level, index, has - index * kWidth};
    RETORT_TRY(const auto wanted, content(place));
    const std::string file = path(place);
    if (!base::exists(file)) return false;
    RETORT_TRY(const auto bytes, base::read_file(file));
    if (bytes != wanted) return false;
  }
  return true;
}

// False: it is not there, or torn.
Result<bool> Tiles::check_file(const std::string& file, const std::string& wanted,
                               const Place& place) {
  if (!base::exists(file)) return false;
  RETORT_TRY(const auto bytes, base::read_file(file));
  if (bytes == wanted) return true;
  const auto common = static_cast<size_t>(
      std::mismatch(bytes.begin(), bytes.end(), wanted.begin(), wanted.end()).first -
      bytes.begin());
  if (is_torn(bytes, wanted, common)) return false;
  const int64_t item = item_at(wanted, common, place.level == kEntries);
  const int64_t entry = (place.index * kWidth + item) << (8 * std::max(place.level, 0));
  return base::bad_input(
      fmt::format("a tile of the log is not what its database holds, from entry {} on", entry),
      file, "it was changed after it was written; take the folder tile away, it is derived again");
}

// The tile and the partial ones that it still has beside it.
Result<int64_t> Tiles::check_tile(const Place& place) {
  RETORT_TRY(const auto wanted, content(place));
  RETORT_TRY(const bool good, check_file(path(place), wanted, place));
  if (!good) RETORT_TRY_VOID(write(place));
  int64_t rebuilt = good ? 0 : 1;
  const std::string partial = base::parent(path({place.level, place.index, 1}));
  if (!base::is_directory(partial)) return rebuilt;
  RETORT_TRY(const auto names, base::list_directory(partial));
  for (const auto& name : names) {
    int64_t width = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), width);
    if (parsed.ptr != name.data() + name.size() || width < 1 || width == place.width) continue;
    const Place other{place.level, place.index, std::min(width, place.width)};
    RETORT_TRY(const auto beginning, content(other));
    const std::string file = base::join(partial, name);
    RETORT_TRY(const bool whole, check_file(file, beginning, other));
    if (whole) continue;
    RETORT_TRY_VOID(write_unsynced(file, beginning));
    ++rebuilt;
  }
  return rebuilt;
}

Result<int64_t> Tiles::check(int64_t size) {
  int64_t rebuilt = 0;
  for (int level = kEntries; level < levels_of(size); ++level) {
    const int64_t has = hashes_at(level, size);
    for (int64_t index = 0; index * kWidth < has; ++index) {
      RETORT_TRY(const auto count,
                 check_tile({level, index, std::min(kWidth, has - index * kWidth)}));
      rebuilt += count;
    }
  }
  return rebuilt;
}

}  // namespace retort::ledger
