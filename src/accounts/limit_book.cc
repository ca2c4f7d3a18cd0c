#include "accounts/quota.h"
#include "accounts/quota_store_internal.h"
#include "base/files.h"

namespace retort::accounts {

struct LimitBook::Impl {
  QuotaStore store;
};

LimitBook::LimitBook(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LimitBook::~LimitBook() = default;

Result<std::unique_ptr<LimitBook>> LimitBook::open(const std::string& address) {
  if (!store::is_server(address)) RETORT_TRY_VOID(base::make_directories(base::parent(address)));
  RETORT_TRY(auto store, QuotaStore::open({.address = address, .clock = &base::system_clock()}));
  return std::unique_ptr<LimitBook>(new LimitBook(std::make_unique<Impl>(Impl{std::move(store)})));
}

Result<void> LimitBook::set(const Limit& limit) {
  return impl_->store.set_limit(limit);
}
Result<void> LimitBook::remove(const Limit& limit) {
  return impl_->store.remove_limit(limit);
}
Result<std::vector<Limit>> LimitBook::list() {
  return impl_->store.limits();
}

}  // namespace retort::accounts
