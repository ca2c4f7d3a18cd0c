// What each account's closed periods came to, in detection's database (calibrating.h).
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"
#include "detect/calibration.h"
#include "store/database.h"

namespace retort::provider {

struct ClosedPeriod {
  std::string account;
  int64_t period = 0;   // the account's first is 0
  std::string purpose;  // that it declared at the period's end
  detect::Wealth wealth{};
};

// The table of closed periods in detection's database, and a row of it. put() wants a transaction
// of the caller's; the same period again changes nothing.
Result<void> make_period_table(store::Database& database);
Result<void> put_period(store::Database& database, const ClosedPeriod& closed);

}  // namespace retort::provider
