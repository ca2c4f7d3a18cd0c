#include "engine/page_cache_internal.h"

#include <algorithm>

#include "base/check.h"
#include "base/random.h"

namespace retort::engine {

using kernels::kPagePositions;
using tokenizer::TokenId;

PageCache::PageCache(int64_t pages) : all_(static_cast<size_t>(pages)) {
  base::secure_random(&seed_, sizeof seed_);
  for (int64_t i = pages - 1; i >= 0; --i) free_.push_back(static_cast<PageId>(i));
}

PageCache::Key PageCache::next_key(const Key& parent, std::span<const TokenId> tokens) const {
  Key key = {base::mix64(parent[0] ^ seed_), base::mix64(parent[1] + seed_)};
  for (const TokenId token : tokens) {
    const auto id = static_cast<uint64_t>(static_cast<uint32_t>(token));
    key[0] = base::mix64(key[0] ^ id);
    key[1] = base::mix64(key[1] + (id << 32 | (id ^ 0x5bd1e995u)));
  }
  return key;
}

void PageCache::take(PageId id) {
  Page& page = all_[static_cast<size_t>(id)];
  if (page.references++ == 0 && page.shared) idle_.erase(page.idle);
}

std::vector<PageId> PageCache::match(const Prefix& prefix, int64_t pages_max) {
  const auto tokens = prefix.tokens;
  std::vector<PageId> found;
  Key key = first_key(prefix);
  const int64_t whole = static_cast<int64_t>(tokens.size()) / kPagePositions;
  for (int64_t i = 0; i < std::min(whole, pages_max); ++i) {
    key = next_key(key, tokens.subspan(static_cast<size_t>(i * kPagePositions), kPagePositions));
    const auto entry = index_.find(key);
    if (entry == index_.end()) break;
    take(entry->second);
    found.push_back(entry->second);
  }
  return found;
}

std::optional<std::vector<PageId>> PageCache::allocate(int64_t count) {
  if (count > available()) return std::nullopt;
  std::vector<PageId> out;
  while (static_cast<int64_t>(out.size()) < count) {
    if (free_.empty()) {
      const PageId oldest = idle_.front();
      idle_.pop_front();
      Page& page = all_[static_cast<size_t>(oldest)];
      index_.erase(page.key);
      page.shared = false;
      free_.push_back(oldest);
    }
    out.push_back(free_.back());
    free_.pop_back();
    all_[static_cast<size_t>(out.back())].references = 1;
  }
  return out;
}

void PageCache::publish(const Prefix& prefix, std::span<const PageId> pages) {
  const auto tokens = prefix.tokens;
  Key key = first_key(prefix);
  const int64_t whole = static_cast<int64_t>(tokens.size()) / kPagePositions;
  RETORT_CHECK(whole <= static_cast<int64_t>(pages.size()));
  for (int64_t i = 0; i < whole; ++i) {
    key = next_key(key, tokens.subspan(static_cast<size_t>(i * kPagePositions), kPagePositions));
    const PageId id = pages[static_cast<size_t>(i)];
    Page& page = all_[static_cast<size_t>(id)];
    if (page.shared || !index_.emplace(key, id).second) continue;
    page.shared = true;
    page.key = key;
  }
}

void PageCache::release(std::span<const PageId> pages) {
  // The last pages of a prompt become the oldest, so that a prefix outlives what follows it.
  for (size_t i = pages.size(); i-- > 0;) {
    Page& page = all_[static_cast<size_t>(pages[i])];
    RETORT_CHECK(page.references > 0, "page {}", pages[i]);
    if (--page.references > 0) continue;
    if (page.shared) {
      page.idle = idle_.insert(idle_.end(), pages[i]);
    } else {
      free_.push_back(pages[i]);
    }
  }
}

}  // namespace retort::engine
