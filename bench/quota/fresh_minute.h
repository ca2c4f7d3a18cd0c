// What the first request of an account in a new minute waits for.
#pragma once
#include <string>

namespace retort::bench {

// 100 accounts ask in turn, each some times a second, from before the end of a minute until after
// it; prints how long a reservation took in the first second of the new minute and before.
void measure_fresh_minute(const std::string& name, const std::string& folder,
                          const std::string& store);

}  // namespace retort::bench
