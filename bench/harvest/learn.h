// Learns the model's weights from labelled streams: logistic regression by Newton's method, with
// the honest streams that look most like a harvest weighing more in each round.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "detect/detector.h"
#include "harvest/world.h"

namespace retort::bench::harvest {

struct Sample {
  detect::Features values{};
  std::string kind;  // of the account, for weights and for what is left out
  bool harvest = false, of_cluster = false;
  float weight = 1;
};

// Keeps the measures of each stream at the moments when the detector judges it, and whether most
// of what is in the stream is harvest.
class Collector {
 public:
  explicit Collector(const detect::Detector& detector) : detector_(detector) {}
  void note(const Seen& seen);
  // Each account's and each cluster's samples weigh one together.
  std::vector<Sample> finish();

  // Called with every stream judged: account or cluster, whose, measures, harvest's share.
  std::function<void(const Seen&, const detect::Features&, double)> on_stream;
  std::function<void(const detect::Pool&, const detect::Features&, double)> on_pool;

 private:
  struct Count {
    int64_t all = 0, harvest = 0;
  };
  const detect::Detector& detector_;
  std::unordered_map<uint64_t, Count> streams_, pools_;
  std::unordered_map<uint64_t, std::vector<Sample>> samples_;
};

struct Without {
  std::string honest_kind, variant;  // left out of what is learnt from; "" for none
};
detect::Model learn(const std::vector<Sample>& samples, const Without& without);
// Of clusters alone; accounts are judged as they are in the program.
detect::Model learn_clusters(const std::vector<Sample>& samples);

}  // namespace retort::bench::harvest
