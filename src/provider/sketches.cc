#include "provider/sketches.h"

#define XXH_INLINE_ALL  // of runs as short as these, a call is a good part of the work
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>

#include "base/ascii.h"
#include "base/files.h"
#include "base/log.h"
#include "base/random.h"
#include "crypto/hash.h"
#include "http/server.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "provider/segments_internal.h"

namespace retort::provider {
namespace {

constexpr int64_t kSegmentMs = 3'600'000;
constexpr int64_t kSegmentBytes = int64_t{4} << 20;  // sealed in one piece, beside the requests
constexpr int64_t kDayMs = 86'400'000;
constexpr const char* kKind = "sketch";
constexpr const char* kRemoved = "sketch-removed";
constexpr const char* kSecretKind = "sketch-secret";
constexpr const char* kSchema = "retort.sketch/1";
constexpr size_t kSecretBytes = 192;  // what XXH3 takes
constexpr size_t kHitsFewest = 3;

std::string sketch_folder(const std::string& folder) {
  return base::join(folder, "sketches");
}
std::string secret_path(const std::string& folder) {
  return base::join(sketch_folder(folder), "secret");
}

Result<std::string> read_secret(const std::string& folder) {
  RETORT_TRY(auto secret, base::read_file(secret_path(folder), kSecretBytes + 1));
  if (secret.size() == kSecretBytes) return secret;
  return base::storage_error("the secret of the sketches is damaged", secret_path(folder),
                             "restore it from a backup; without it no sketch can be matched");
}

// Of two processes that begin at once the first one's counts.
Result<void> make_secret(const std::string& folder) {
  std::string made(kSecretBytes, '\0');
  base::secure_random(made.data(), made.size());
  const std::string draft =
      secret_path(folder) + "-" + crypto::to_hex(std::string_view(made).substr(0, 8));
  {
    RETORT_TRY(auto file, OpenSegment::create(draft));
    base::secure_random(made.data(), made.size());
    RETORT_TRY_VOID(file.write(made));
    RETORT_TRY_VOID(file.sync());
  }
  const bool placed = ::link(draft.c_str(), secret_path(folder).c_str()) == 0 || errno == EEXIST;
  const std::string why = std::strerror(errno);
  RETORT_TRY_VOID(base::remove_all(draft));
  if (placed) return {};
  return base::storage_error("the secret of the sketches cannot be made: " + why,
                             secret_path(folder), "see that the folder can be written");
}

// The log binds the provider to it, so that none is made up later to fit a text.
Result<std::string> secret_of(const std::string& folder, ledger::Ledger& log) {
  if (!base::exists(secret_path(folder))) RETORT_TRY_VOID(make_secret(folder));
  RETORT_TRY(auto secret, read_secret(folder));
  RETORT_TRY_VOID(log.append(kSecretKind, crypto::sha256_hex(secret),
                             json::Value::object({{"schema", kSchema}})));
  return secret;
}

// A byte of a word, letters of ASCII in lower case; 0 for what stands between words.
constexpr std::array<char, 256> kLowered = [] {
  std::array<char, 256> out{};
  for (int c = 0; c < 256; ++c) {
    const bool word = c >= 0x80 || base::is_alnum(static_cast<char>(c));
    if (word) out[static_cast<size_t>(c)] = base::lower(static_cast<char>(c));
  }
  return out;
}();

// Hashes of all runs of kRunWords words, in their order.
std::vector<uint64_t> hash_runs(std::string_view text, const std::string& secret) {
  std::string plain(text.size() + 1, '\0');  // the words, a blank behind each
  std::vector<size_t> begins;
  begins.reserve(text.size() / 4 + 2);
  char* at = plain.data();
  const char* from = text.data();
  const char* const end = from + text.size();
  const auto letter = [&] { return kLowered[static_cast<unsigned char>(*from)]; };
  while (true) {
    while (from < end && letter() == 0) ++from;
    if (from == end) break;
    begins.push_back(static_cast<size_t>(at - plain.data()));
    for (char c = 0; from < end && (c = letter()) != 0; ++from) *at++ = c;
    *at++ = ' ';
  }
  begins.push_back(static_cast<size_t>(at - plain.data()));
  std::vector<uint64_t> out;
  out.reserve(begins.size());
  for (size_t i = kRunWords; i < begins.size(); ++i) {
    const size_t begin = begins[i - kRunWords];
    out.push_back(XXH3_64bits_withSecret(plain.data() + begin, begins[i] - begin, secret.data(),
                                         secret.size()));
  }
  return out;
}

// The smallest, each once, in order; of those alone that are 0 modulo `every`.
template <uint64_t every>
std::vector<uint64_t> smallest(const std::vector<uint64_t>& hashes, size_t most) {
  std::vector<uint64_t> out;
  out.reserve(most + 1);
  for (const uint64_t hash : hashes) {
    if (hash % every != 0 || (out.size() == most && hash >= out.back())) continue;
    const auto place = std::ranges::lower_bound(out, hash);
    if (place != out.end() && *place == hash) continue;
    out.insert(place, hash);
    if (out.size() > most) out.pop_back();
  }
  return out;
}

std::vector<uint64_t> sample(const std::vector<uint64_t>& hashes) {
  auto out = smallest<kEvery>(hashes, kHashesMax);
  return out.size() >= kHashesFewest ? out : smallest<1>(hashes, kHashesFewest);
}

std::string to_text(const std::vector<uint64_t>& hashes) {
  return crypto::to_hex(std::string_view(reinterpret_cast<const char*>(hashes.data()),
                                         hashes.size() * sizeof(uint64_t)));
}

}  // namespace

struct Sketches::Impl {
  std::string folder, secret;
  base::Clock* clock = nullptr;
  std::unique_ptr<ledger::Ledger> log;
  int64_t removed_ms = 0;  // when what is too old was last looked for

  std::mutex mutex;  // of what follows
  std::unique_ptr<Segments> segments;
  bool told = false;  // that it cannot be written

  Result<void> remove_before(int64_t time_ms);
};

Sketches::Sketches(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Sketches::~Sketches() = default;

Result<std::unique_ptr<Sketches>> Sketches::open(const std::string& folder, base::Clock* clock) {
  auto impl = std::make_unique<Impl>();
  impl->folder = folder;
  impl->clock = clock;
  RETORT_TRY_VOID(base::make_directories(sketch_folder(folder)));
  RETORT_TRY(impl->log, ledger::Ledger::open(log_folder(folder), {.clock = clock}));
  RETORT_TRY(impl->secret, secret_of(folder, *impl->log));
  RETORT_TRY(impl->segments, Segments::open({.folder = sketch_folder(folder),
                                             .what = "sketches",
                                             .kind = kKind,
                                             .schema = kSchema,
                                             .clock = clock},
                                            *impl->log));
  return std::unique_ptr<Sketches>(new Sketches(std::move(impl)));
}

void Sketches::add(const Sketched& one) {
  const auto kept = sample(hash_runs(one.answer, impl_->secret));
  if (kept.empty()) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->segments->begin_line()
        .number("time_ms", one.time_ms)
        .text("request", one.request)
        .text("account", one.account)
        .text("model", one.model)
        .digits("hashes", to_text(kept))
        .end();
  }
  if (!http::before_answers_leave(this, [this] { flush(); })) flush();
}

void Sketches::flush() {
  const std::lock_guard lock(impl_->mutex);
  const auto written = impl_->segments->flush();
  if (written || std::exchange(impl_->told, true)) return;
  base::log_error("provider: {}", written.error().text());
}

Result<void> Sketches::work(int64_t keep_days) {
  bool due = false;
  {
    const std::lock_guard lock(impl_->mutex);
    due = impl_->segments->age_ms() >= kSegmentMs || impl_->segments->bytes() >= kSegmentBytes;
  }
  if (due) RETORT_TRY_VOID(seal());
  const int64_t now_ms = impl_->clock->wall_ms();
  if (now_ms - impl_->removed_ms < kSegmentMs) return {};
  impl_->removed_ms = now_ms;
  return impl_->remove_before(now_ms - keep_days * kDayMs);
}

Result<void> Sketches::seal() {
  {
    const std::lock_guard lock(impl_->mutex);
    RETORT_TRY_VOID(impl_->segments->cut());
  }
  RETORT_TRY_VOID(impl_->segments->seal());
  return {};
}

// Logged before the file goes: a segment that is missing without a word of the log was taken away.
Result<void> Sketches::Impl::remove_before(int64_t time_ms) {
  std::vector<std::string> old;
  RETORT_TRY_VOID(log->for_each(kKind, [&](const ledger::Entry& entry) -> Result<void> {
    const bool there = base::exists(segment_path(sketch_folder(folder), entry.name));
    if (entry.time_ms < time_ms && there) old.push_back(entry.name);
    return {};
  }));
  for (const auto& name : old) {
    RETORT_TRY_VOID(log->append(kRemoved, name, json::Value::object({{"schema", kSchema}})));
    RETORT_TRY_VOID(base::remove_all(segment_path(sketch_folder(folder), name)));
  }
  return {};
}

namespace {

// An answer as it is kept, while texts are looked for.
struct Kept {
  int64_t time_ms = 0;
  std::string request, account;
  std::vector<uint64_t> hashes;
};

Result<Kept> read_line(const json::Value& line) {
  Kept out;
  RETORT_TRY(out.time_ms, line.int_at("time_ms"));
  RETORT_TRY(out.request, line.string_at("request"));
  RETORT_TRY(out.account, line.string_at("account"));
  RETORT_TRY(const auto text, line.string_at("hashes"));
  const auto bytes = crypto::from_hex(text);
  if (!bytes || bytes->size() % sizeof(uint64_t) != 0) {
    return base::bad_input("a sketch's hashes are no hexadecimal digits of whole hashes");
  }
  out.hashes.resize(bytes->size() / sizeof(uint64_t));
  std::copy_n(bytes->data(), bytes->size(), reinterpret_cast<char*>(out.hashes.data()));
  return out;
}

class Matcher {
 public:
  explicit Matcher(std::vector<uint64_t> wanted) : wanted_(std::move(wanted)) {
    std::ranges::sort(wanted_);
    wanted_.erase(std::ranges::unique(wanted_).begin(), wanted_.end());
  }

  void take(const Kept& one) {
    Matched& account = accounts_[one.account];
    account.account = one.account;
    ++account.answers;
    std::vector<uint64_t> hits;
    for (const uint64_t hash : one.hashes) {
      if (std::ranges::binary_search(wanted_, hash)) hits.push_back(hash);
    }
    if (hits.size() < kHitsFewest || 2 * hits.size() < one.hashes.size()) return;
    ++account.found;
    account.first_ms = account.found == 1 ? one.time_ms : std::min(account.first_ms, one.time_ms);
    account.last_ms = std::max(account.last_ms, one.time_ms);
    if (account.requests.size() < kRequestsShown) account.requests.push_back(one.request);
    for (const uint64_t hash : hits) {
      auto& holder = holders_.try_emplace(hash, &account).first->second;
      if (holder != &account) holder = nullptr;
    }
    found_.push_back({&account, std::move(hits)});
  }

  std::vector<Matched> finish() {
    for (const auto& [account, hits] : found_) {
      account->found_alone +=
          std::ranges::all_of(hits, [&](uint64_t hash) { return holders_.at(hash) == account; });
    }
    std::vector<Matched> out;
    for (auto& [id, account] : accounts_) out.push_back(std::move(account));
    std::ranges::stable_sort(out, std::greater(), &Matched::found);
    return out;
  }

 private:
  std::vector<uint64_t> wanted_;
  std::map<std::string, Matched> accounts_;
  std::unordered_map<uint64_t, Matched*> holders_;  // of hashes that were found; null: several
  std::vector<std::pair<Matched*, std::vector<uint64_t>>> found_;
};

Result<std::set<std::string>> removed_segments(ledger::Ledger& log) {
  std::set<std::string> out;
  RETORT_TRY_VOID(log.for_each(kRemoved, [&](const ledger::Entry& entry) -> Result<void> {
    out.insert(entry.name);
    return {};
  }));
  return out;
}

}  // namespace

Result<std::vector<Matched>> match_sketches(const std::string& folder, const Texts& texts) {
  if (!base::exists(secret_path(folder))) {
    return base::not_found("no sketches of answers are kept here", folder,
                           "retort serve --accounts keeps them while a policy is in effect");
  }
  RETORT_TRY(auto log, ledger::Ledger::open(log_folder(folder), {.create = false}));
  RETORT_TRY_VOID(log->verify());
  RETORT_TRY(const auto secret, read_secret(folder));
  if (const auto bound = log->find(kSecretKind, crypto::sha256_hex(secret)); !bound) {
    return base::bad_input("the log knows another secret of the sketches", secret_path(folder),
                           "restore it from a backup");
  }
  std::vector<uint64_t> wanted;
  RETORT_TRY_VOID(texts([&](std::string_view text) {
    const auto hashes = hash_runs(text, secret);
    wanted.insert(wanted.end(), hashes.begin(), hashes.end());
  }));
  Matcher matcher(std::move(wanted));
  RETORT_TRY(const auto removed, removed_segments(*log));
  const auto take = [&matcher](const json::Value& line) -> Result<void> {
    RETORT_TRY(const auto kept, read_line(line));
    matcher.take(kept);
    return {};
  };
  const auto read = log->for_each(kKind, [&](const ledger::Entry& entry) -> Result<void> {
    if (removed.contains(entry.name)) return {};
    RETORT_TRY_VOID(read_segment(sketch_folder(folder), "sketches", entry, take));
    return {};
  });
  RETORT_TRY_VOID(read);
  return matcher.finish();
}

}  // namespace retort::provider
