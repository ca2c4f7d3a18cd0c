// Intervals for what was measured on a sample of records. Whole clusters (all records of one
// prompt) are drawn with replacement, because answers to one prompt resemble each other. Source:
// Efron and Tibshirani 1993, "An Introduction to the Bootstrap", percentile intervals.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace retort::evaluate {

struct Interval {
  double value = 0;
  double low = 0, high = 0;  // 95 %
};

// One record's part of a ratio of sums: share of successes, bits per byte, and so on.
struct Part {
  double numerator = 0;
  double denominator = 0;
};

struct BootstrapOptions {
  int64_t samples = 1000;
  uint64_t seed = 1;
};

// sum(numerator) / sum(denominator) over records; clusters[i] names record i's cluster. With no
// denominator at all value, low and high are 0.
Interval bootstrap_ratio(const std::vector<Part>& parts, const std::vector<std::string>& clusters,
                         const BootstrapOptions& options);

// The difference of two ratios (a - b) measured on the same records.
Interval bootstrap_difference(const std::vector<Part>& a, const std::vector<Part>& b,
                              const std::vector<std::string>& clusters,
                              const BootstrapOptions& options);

}  // namespace retort::evaluate
