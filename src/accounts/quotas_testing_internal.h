// Quotas over both stores, for tests, and what their store holds.
#pragma once
#include <memory>
#include <string>
#include <utility>

#include "accounts/quota.h"
#include "accounts/stores_testing_internal.h"
#include "base/clock.h"
#include "store/database.h"

namespace retort::accounts {

class QuotaStoresTest : public StoresTest {
 protected:
  void SetUpStore() override {
    if (is_server()) store_ = store_address(StoreKind::server, "");
  }
  // Nothing happens by itself: tick() and ask_ahead() are the test's.
  std::unique_ptr<Quotas> open(base::Clock& clock) {
    return std::move(
        *Quotas::open(folder_, {.clock = &clock, .background = false, .store = store_}));
  }
  std::unique_ptr<store::Database> database() const {
    return std::move(
        *store::Database::open(is_server() ? store_ : base::join(folder_, "quota.db")));
  }

  std::string store_;
};

}  // namespace retort::accounts
