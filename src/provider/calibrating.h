// Detection's error bounds by the provider's own customers. What each account's whole period of 30
// days came to is kept beside what detection knows of it; of those that were honest a calibration
// is made, which a server takes up from the folder of the accounts when it starts.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "detect/calibration.h"

namespace retort::provider {

// FOLDER/calibration.json, or the program's where there is none; bad_input where it is damaged.
Result<detect::Calibration> calibration_of(const std::string& folder);

struct OwnCalibration {
  detect::Calibration calibration;
  std::map<std::string, int64_t> own_periods;  // by purpose; "" for all together
  int64_t left_out = 0;                        // periods of accounts that are not honest
};
// `honest` says of an account whether its periods count. Alone, or pooled with the program's own.
// not_found where detection has not begun, or no period of an honest account has ended.
Result<OwnCalibration> calibrate(const std::string& folder,
                                 const std::function<bool(std::string_view)>& honest, bool alone);
// Replaces the folder's.
Result<void> write_calibration(const std::string& folder, const detect::Calibration& calibration);

}  // namespace retort::provider
