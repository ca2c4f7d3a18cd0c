#include "evaluate/bootstrap.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "base/random.h"

namespace retort::evaluate {
namespace {

constexpr uint64_t kStream = 0xb007;

double ratio(const Part& part) {
  return part.denominator == 0 ? 0 : part.numerator / part.denominator;
}

void add(Part& sum, const Part& part) {
  sum.numerator += part.numerator;
  sum.denominator += part.denominator;
}

// Records summed up a cluster, in the order of the clusters' names.
struct Drawn {
  Part a, b;
};
std::vector<Drawn> by_cluster(const std::vector<Part>& a, const std::vector<Part>& b,
                              const std::vector<std::string>& clusters) {
  RETORT_CHECK_EQ(a.size(), clusters.size());
  RETORT_CHECK_EQ(b.size(), clusters.size());
  std::map<std::string, Drawn> sums;
  for (size_t i = 0; i < clusters.size(); ++i) {
    add(sums[clusters[i]].a, a[i]);
    add(sums[clusters[i]].b, b[i]);
  }
  std::vector<Drawn> out;
  for (const auto& [name, pair] : sums) out.push_back(pair);
  return out;
}

// Linear between the two nearest order statistics.
double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

}  // namespace

Interval bootstrap_ratio(const std::vector<Part>& parts, const std::vector<std::string>& clusters,
                         const BootstrapOptions& options) {
  return bootstrap_difference(parts, std::vector<Part>(parts.size()), clusters, options);
}

Interval bootstrap_difference(const std::vector<Part>& a, const std::vector<Part>& b,
                              const std::vector<std::string>& clusters,
                              const BootstrapOptions& options) {
  RETORT_CHECK(options.samples > 0);
  const std::vector<Drawn> pairs = by_cluster(a, b, clusters);
  if (pairs.empty()) return {};
  const auto difference = [](const Drawn& pair) { return ratio(pair.a) - ratio(pair.b); };
  Drawn all;
  for (const Drawn& pair : pairs) {
    add(all.a, pair.a);
    add(all.b, pair.b);
  }
  base::Random random(options.seed, kStream);
  std::vector<double> values(static_cast<size_t>(options.samples));
  for (double& value : values) {
    Drawn drawn;
    for (size_t i = 0; i < pairs.size(); ++i) {
      const Drawn& pair = pairs[random.below(pairs.size())];
      add(drawn.a, pair.a);
      add(drawn.b, pair.b);
    }
    value = difference(drawn);
  }
  std::sort(values.begin(), values.end());
  return {difference(all), quantile(values, 0.025), quantile(values, 0.975)};
}

}  // namespace retort::evaluate
