// What Prometheus reads at /metrics: counters and histograms of the door, figures of the engine.
// Safe from any thread; nothing in it tells of a caller or a text.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "engine/engine.h"

namespace retort::serve {

class Histogram {
 public:
  void add(double seconds);
  void print(std::string& out, const char* name, const char* help) const;

 private:
  static constexpr std::array kBounds = {0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,
                                         1.0,   2.5,  5.0,   10.0, 30.0, 60.0};
  std::array<int64_t, kBounds.size() + 1> counts_{};  // the last: beyond all bounds
  double sum_ = 0;
};

class Metrics {
 public:
  void add_request(const std::string& route, int status);
  void add_first_token(double seconds);
  void add_answer(double seconds);
  void add_gone();
  std::string print(const engine::Stats& stats, int64_t answers_in_flight) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;
  Histogram first_token_;
  Histogram answer_;
  int64_t gone_ = 0;
};

}  // namespace retort::serve
