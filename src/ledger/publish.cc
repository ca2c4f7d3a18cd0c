// What others see of the log: the file `checkpoint` and the tiles that lead to it. The database is
// the truth; both follow it after each commit, tiles first.
#include <fmt/core.h>

#include "base/files.h"
#include "ledger/ledger_internal.h"

namespace retort::ledger {
namespace {

Error does_not_fit(const std::string& where, std::string what) {
  return base::bad_input(std::move(what), where,
                         "the log was changed after it was written; restore it from a backup");
}

}  // namespace

Result<int64_t> Ledger::Impl::published(int64_t size) {
  const std::string path = base::join(folder, "checkpoint");
  if (!base::exists(path)) return int64_t{0};
  RETORT_TRY(auto text, base::read_file(path, 1 << 16));
  const auto opened = open_checkpoint(text, origin, key.public_key());
  if (!opened) return opened.error().at(path);
  if (opened->head.size > size) {
    return does_not_fit(where(size),
                        fmt::format("entries were cut off the end of the log: it published {}, and "
                                    "{} are left",
                                    opened->head.size, size));
  }
  // What this object wrote itself, or checked before, it need not look up again.
  if (text == last_published) return opened->head.size;
  RETORT_TRY(const auto root, nodes.root(opened->head.size));
  if (root != opened->head.root) {
    return does_not_fit(where(opened->head.size - 1),
                        "the log is not the one that it published: an entry up to this one was "
                        "exchanged");
  }
  last_published = std::move(text);
  return opened->head.size;
}

// The write lock keeps others from publishing at the same time; nothing is written under it.
Result<void> Ledger::Impl::publish() {
  RETORT_TRY(auto lock, database->begin());
  RETORT_TRY(const auto has, size());
  if (has == 0) return {};
  RETORT_TRY(const auto had, published(has));
  RETORT_TRY_VOID(tiles->derive(had, has));
  RETORT_TRY(auto newest, database->prepare("SELECT note FROM checkpoints WHERE size = ?1"));
  RETORT_TRY(const bool found, newest.bind(1, has).step());
  if (!found) return does_not_fit(where(has - 1), "the log's newest checkpoint is missing");
  std::string note(newest.text(0));
  newest.reset();
  if (had == has) return {};
  RETORT_TRY_VOID(base::write_file_atomic(base::join(folder, "checkpoint"), note));
  last_published = std::move(note);
  return {};
}

Result<void> Ledger::Impl::mend_published() {
  RETORT_TRY(const auto has, size());
  if (has == 0) return {};
  auto had = published(has);
  if (!had) {
    // Another process may have published more between the two looks: under its lock none does.
    RETORT_TRY(auto lock, database->begin());
    RETORT_TRY(const auto now_has, size());
    had = published(now_has);
    if (!had) return had.error();
  }
  RETORT_TRY(const bool whole, tiles->tail_is_whole(has));
  if (*had < has) RETORT_TRY_VOID(publish());
  if (whole) return {};
  // Power was lost before the partial tiles were on disk, or somebody took tiles away.
  RETORT_TRY(auto lock, database->begin());
  RETORT_TRY(const auto now_has, size());
  RETORT_TRY_VOID(tiles->check(now_has));
  return {};
}

Result<int64_t> Ledger::verify_tiles() {
  RETORT_TRY(auto lock, impl_->database->begin());
  RETORT_TRY(const auto size, impl_->size());
  return impl_->tiles->check(size);
}

Result<void> Ledger::verify_against(std::string_view checkpoint) {
  RETORT_TRY(const auto known, open_checkpoint(checkpoint, impl_->origin, impl_->key.public_key()));
  RETORT_TRY(const auto size, impl_->size());
  if (known.head.size > size) {
    return does_not_fit(impl_->where(size),
                        fmt::format("this copy of the log was rolled back: the checkpoint knows {} "
                                    "entries, and {} are here",
                                    known.head.size, size));
  }
  RETORT_TRY(const auto root, impl_->nodes.root(known.head.size));
  if (root == known.head.root) return {};
  return does_not_fit(impl_->where(known.head.size - 1),
                      "this log is not the one of the checkpoint: an entry up to this one was "
                      "exchanged");
}

}  // namespace retort::ledger
