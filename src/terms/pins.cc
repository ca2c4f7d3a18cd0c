// The readings that are shipped, by id. `terms_test` recomputes them and prints the new table when
// a file was changed on purpose.
#include "terms/terms.h"

namespace retort::terms {

const std::vector<Pin>& pinned_readings() {
  static const std::vector<Pin> pins = {
      {"apache-2.0-weights.toml",
       "42ae6bde63c5d33a9e9fb151fb6800f6751f96ae731cdc8681db7e6f6e320300"},
      {"cc-by-4.0.toml", "dbc04b20496b31c60231807db076fa77bd780f60a47eef7174e2f4aa25705cc3"},
      {"example-forbids-training.toml",
       "7f871f92b38effd589d91e0d3b52d2d736b1fe4c8c8109efe08df0e15a20a580"},
      {"own-work.toml", "faa42fdc87fec5898b2aab39b40627dde7f97d63e370efbe4087d48547e900e5"},
      {"public-domain.toml", "2536f0f817ce99cc68836e4c3276465e014c05ffd2beb4ff6058fc9930927ea7"},
      {"smollm2-apache.toml", "eeac40bffeec923e3031696da32029ede9d0901a43863717624d7e5425251d55"},
  };
  return pins;
}

}  // namespace retort::terms
