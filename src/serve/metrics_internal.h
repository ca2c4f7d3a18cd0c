// What Prometheus reads at /metrics: counters and histograms of the door, figures of the engines.
// Safe from any thread; nothing in it tells of a caller or a text.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace retort::serve {

class Histogram {
 public:
  void add(double seconds);
  // `label`: "" or what stands in the braces before the bucket.
  void print(std::string& out, const char* name, const std::string& label) const;

 private:
  static constexpr std::array kBounds = {0.005, 0.01, 0.025, 0.05, 0.1,  0.25, 0.5,
                                         1.0,   2.5,  5.0,   10.0, 30.0, 60.0};
  std::array<int64_t, kBounds.size() + 1> counts_{};  // the last: beyond all bounds
  double sum_ = 0;
};

// How long one model's answers took.
class Latencies {
 public:
  void add_first_token(double seconds);
  void add_answer(double seconds);
  Histogram first_token() const;
  Histogram answer() const;

 private:
  mutable std::mutex mutex_;
  Histogram first_token_;
  Histogram answer_;
};

// What is counted whatever the model.
class DoorMetrics {
 public:
  void add_request(const std::string& route, int status);
  void add_gone();
  void print(std::string& out) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;
  int64_t gone_ = 0;
};

}  // namespace retort::serve
