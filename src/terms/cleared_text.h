// Texts that may be used for one action. Whoever trains on or counts over text takes this type and
// no other; only the clearance in `corpus` can make one, after it has checked the shards, the log
// and the terms of every record. Move-only, so that permission is not multiplied by accident. The
// texts live as long as the object; reading is safe from any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "terms/action.h"

namespace retort::corpus {
class Clearance;
}

namespace retort::terms {

template <class ActionTag>
class ClearedText {
 public:
  ClearedText(ClearedText&&) noexcept = default;
  ClearedText& operator=(ClearedText&&) noexcept = default;
  ClearedText(const ClearedText&) = delete;
  ClearedText& operator=(const ClearedText&) = delete;

  static constexpr Action kAction = ActionTag::kAction;

  int64_t size() const { return static_cast<int64_t>(texts_.size()); }
  std::string_view operator[](int64_t index) const { return texts_[static_cast<size_t>(index)]; }
  // UTF-8 texts, one a message or an answer, in the order of the records.
  const std::vector<std::string_view>& texts() const { return texts_; }
  int64_t size_bytes() const {
    int64_t sum = 0;
    for (const auto& text : texts_) sum += static_cast<int64_t>(text.size());
    return sum;
  }

 private:
  friend class ::retort::corpus::Clearance;
  ClearedText(std::shared_ptr<const void> owner, std::vector<std::string_view> texts)
      : owner_(std::move(owner)), texts_(std::move(texts)) {}

  std::shared_ptr<const void> owner_;
  std::vector<std::string_view> texts_;
};

}  // namespace retort::terms
