// What detection holds of an account at the moment, for whoever judges its case: read from the
// provider's folder, a second old. No text is in it, for none is kept.
//
// From one thread at a time.
#pragma once
#include <memory>
#include <string>

#include "base/result.h"
#include "detect/calibration.h"
#include "json/value.h"

namespace retort::store {
class Database;
}

namespace retort::provider {

class Watching {
 public:
  // not_found where detection has not begun.
  static Result<std::unique_ptr<Watching>> open(const std::string& folder);
  ~Watching();

  // {"requests", "step", "e_value", "compared_with", "honest_periods", "course", "streams"}:
  // docs/reference/admin.md. null for an account that was not seen, or is forgotten since.
  Result<json::Value> account(const std::string& id, const std::string& purpose);

 private:
  Watching(std::unique_ptr<store::Database> database, detect::Calibration calibration);
  std::unique_ptr<store::Database> database_;
  detect::Calibration calibration_;
};

}  // namespace retort::provider
