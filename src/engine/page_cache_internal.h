// Pages of 16 positions of keys and values, shared by requests whose prompts begin alike.
// Bookkeeping only: the numbers themselves lie in one block whose size is set at the start and
// never passed. Used by the engine's thread alone.
#pragma once
#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels/decode.h"
#include "tokenizer/tokenizer.h"

namespace retort::engine {

using PageId = int32_t;

// The same tokens under another adapter have other keys and values. Those of another tenant have
// the same, and are not shared all the same: that they are there would tell what somebody else
// asked.
struct Prefix {
  Prefix(std::span<const tokenizer::TokenId> its_tokens, int64_t its_adapter = -1,  // NOLINT
         uint64_t its_tenant = 0)
      : tokens(its_tokens), adapter(its_adapter), tenant(its_tenant) {}
  Prefix(const std::vector<tokenizer::TokenId>& its_tokens)
      : Prefix(std::span(its_tokens)) {}  // NOLINT
  std::span<const tokenizer::TokenId> tokens;
  int64_t adapter;
  uint64_t tenant = 0;
};

class PageCache {
 public:
  explicit PageCache(int64_t pages);

  // The longest run of whole pages, at most `pages_max`, that holds the beginning of the prefix; a
  // reference is taken on each. Only pages made by prefill are found: what decoding writes differs
  // in the last bits, and an answer must not depend on who computed its prompt.
  std::vector<PageId> match(const Prefix& prefix, int64_t pages_max);
  // New pages with one reference each, the least recently used shared ones given up where needed.
  // Nothing when there are not enough; then nothing changes.
  std::optional<std::vector<PageId>> allocate(int64_t count);
  // Makes the whole pages of the prefix findable; pages[i] holds tokens [16 i, 16 i + 16). A page
  // whose content is known already under another number stays private.
  void publish(const Prefix& prefix, std::span<const PageId> pages);
  // Drops one reference each.
  void release(std::span<const PageId> pages);

  int64_t pages() const { return static_cast<int64_t>(all_.size()); }
  // Free, or shared and held by nobody.
  int64_t available() const { return static_cast<int64_t>(free_.size() + idle_.size()); }
  int64_t in_use() const { return pages() - available(); }

 private:
  using Key = std::array<uint64_t, 2>;
  struct KeyHash {
    size_t operator()(const Key& key) const { return key[0]; }
  };
  struct Page {
    int references = 0;
    bool shared = false;  // in the index under `key`
    Key key = {};
    std::list<PageId>::iterator idle = {};
  };
  static Key first_key(const Prefix& prefix) {
    return {static_cast<uint64_t>(prefix.adapter + 1), prefix.tenant};
  }
  Key next_key(const Key& parent, std::span<const tokenizer::TokenId> tokens) const;
  void take(PageId id);

  uint64_t seed_;  // of the keys, so that nobody can make two prompts collide
  std::vector<Page> all_;
  std::vector<PageId> free_;
  std::list<PageId> idle_;  // shared pages without references, least recently used first
  std::unordered_map<Key, PageId, KeyHash> index_;
};

}  // namespace retort::engine
