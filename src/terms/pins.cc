// The readings that are shipped, by id, and the doors that they restrict. When a file was changed
// on purpose, the test ShippedReadingsAreThePinnedOnes prints the new table.
#include "terms/terms.h"

namespace retort::terms {

const std::vector<Pin>& pinned_readings() {
  static const std::vector<Pin> pins = {
      {"apache-2.0-weights.toml",
       "525630a7887b22ef7ad7d243263f882dad2a0e06dc9f628a8f64ba28754b0214", "apache-2.0-weights"},
      {"cc-by-4.0.toml", "dbc04b20496b31c60231807db076fa77bd780f60a47eef7174e2f4aa25705cc3",
       "cc-by"},
      {"example-forbids-training.toml",
       "7f871f92b38effd589d91e0d3b52d2d736b1fe4c8c8109efe08df0e15a20a580", "example.provider"},
      {"own-work.toml", "faa42fdc87fec5898b2aab39b40627dde7f97d63e370efbe4087d48547e900e5",
       "own-work"},
      {"public-domain.toml", "2536f0f817ce99cc68836e4c3276465e014c05ffd2beb4ff6058fc9930927ea7",
       "public-domain"},
      {"smollm2-apache.toml", "521bef6e081ca0283df837d8eedaeceef4457c062dc273c4007773254ee94e58",
       "huggingface.smollm2"},
  };
  return pins;
}

}  // namespace retort::terms
