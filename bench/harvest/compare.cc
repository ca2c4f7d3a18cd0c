#include "harvest/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "harvest/baselines.h"
#include "harvest/measure.h"

namespace retort::bench::harvest {
namespace {

constexpr int64_t kRequestsMost = 2000;
constexpr size_t kOwn = kBaselines;  // the place of retort's score beside theirs
constexpr size_t kMethods = kBaselines + 1;

struct Row {
  std::string kind;
  bool harvest = false;
  std::array<double, kMethods> scores{};
};

const std::string& prompt_of(const Request& request) {
  return request.turns.back().text;
}

Reference reference_of(const Texts& texts, Spec spec, const detect::Detector::Options& options) {
  Reference out;
  spec.seed += 500;
  spec.honest_of_a_kind = 6;
  spec.licensed = 0;
  spec.campaigns.clear();
  detect::Detector detector(options);
  run_world(texts, spec, detector,
            [&](const Seen& seen) { out.add(embed(prompt_of(*seen.request))); });
  return out;
}

// The lowest score that at most a thousandth of honest accounts pass.
double threshold_of(const std::vector<Row>& rows, size_t method) {
  std::vector<double> honest;
  for (const Row& row : rows) {
    if (!row.harvest) honest.push_back(row.scores[method]);
  }
  std::sort(honest.begin(), honest.end(), std::greater<>());
  return honest[honest.size() / 1000];
}

}  // namespace

void compare(const Texts& texts, const Spec& given, const detect::Detector::Options& options) {
  Spec spec = given;
  spec.acts = false;
  spec.licensed = 0;
  const Reference honest = reference_of(texts, spec, options);
  detect::Detector detector(options);
  std::vector<Baselines> baselines;
  std::vector<Row> rows;
  run_world(texts, spec, detector, [&](const Seen& seen) {
    rows.resize(std::max(rows.size(), seen.member + 1));
    baselines.resize(rows.size());
    Row& row = rows[seen.member];
    row.kind = seen.fate->kind;
    row.harvest = seen.fate->campaign >= 0;
    if (seen.fate->requests > kRequestsMost) return;
    baselines[seen.member].add(seen.request->time_ms, embed(prompt_of(*seen.request)), honest);
    for (size_t i = 0; i < kBaselines; ++i) {
      row.scores[i] = baselines[seen.member].score(static_cast<Baseline>(i));
    }
    const auto* state = detector.state(seen.observation->subject.account);
    const auto* of = options.calibration.find(seen.observation->subject.purpose);
    // The account's own evidence alone, without clusters.
    row.scores[kOwn] = detect::e_value(*of, state->wealth.total);
  });
  std::erase_if(rows, [](const Row& row) { return row.kind.empty(); });
  fmt::print(
      "\naccounts found within {} requests, each detector at 0.1 % of these honest accounts\n",
      kRequestsMost);
  fmt::print("{:<20} {:>8}", "variant", "accounts");
  for (size_t i = 0; i < kBaselines; ++i) {
    fmt::print(" {:>20}", name(static_cast<Baseline>(i)));
  }
  fmt::print(" {:>20}\n", "retort, by itself");
  std::map<std::string, std::array<int64_t, kMethods + 1>> found;
  std::array<double, kMethods> thresholds{};
  for (size_t i = 0; i < kMethods; ++i) thresholds[i] = threshold_of(rows, i);
  for (const Row& row : rows) {
    if (!row.harvest) continue;
    auto& counts = found[row.kind];
    ++counts[kMethods];
    for (size_t i = 0; i < kMethods; ++i) counts[i] += row.scores[i] > thresholds[i] ? 1 : 0;
  }
  for (const auto& [kind, counts] : found) {
    fmt::print("{:<20} {:>8}", kind, counts[kMethods]);
    for (size_t i = 0; i < kMethods; ++i) {
      const auto all = static_cast<double>(counts[kMethods]);
      fmt::print(" {:>19.1f}%", 100.0 * static_cast<double>(counts[i]) / all);
    }
    fmt::print("\n");
  }
}

void print_speed(const Texts& texts, const Spec& spec, const detect::Detector::Options& options) {
  // Requests are made first, so that only detection is timed.
  struct Kept {
    Request request;
    std::string account, purpose;
    uint64_t address, payment;
  };
  std::vector<Kept> kept;
  {
    detect::Detector detector(options);
    run_world(texts, spec, detector, [&](const Seen& seen) {
      if (kept.size() >= 60'000) return;
      const auto& from = *seen.observation;
      kept.push_back({*seen.request, std::string(from.subject.account),
                      std::string(from.subject.purpose), from.address_cell, from.payment_cell});
    });
  }
  detect::Detector detector(options);
  double best_us = 1e9;
  size_t bytes = 0;
  constexpr size_t kPart = 10'000;
  for (size_t begin = 0; begin + kPart <= kept.size(); begin += kPart) {
    const auto since = std::chrono::steady_clock::now();
    for (size_t i = begin; i < begin + kPart; ++i) {
      const Kept& one = kept[i];
      std::array<detect::Turn, 8> turns;
      const size_t size = std::min(turns.size(), one.request.turns.size());
      for (size_t k = 0; k < size; ++k) {
        turns[k] = {one.request.turns[k].speaker, one.request.turns[k].text};
        bytes += one.request.turns[k].text.size();
      }
      detect::Observation seen;
      seen.subject = {one.account, "key_1", one.purpose, detect::Licence::none};
      seen.request = "req_1";
      seen.time_ms = one.request.time_ms;
      seen.turns = {turns.data(), size};
      seen.sampling = one.request.sampling;
      seen.answer = one.request.answer;
      seen.input_tokens = one.request.input_tokens;
      seen.output_tokens = one.request.output_tokens;
      seen.address_cell = one.address;
      seen.payment_cell = one.payment;
      (void)detector.observe(seen);
    }
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - since;
    best_us = std::min(best_us, took.count() / kPart);
  }
  fmt::print(
      "\nspeed: {:.2f} us a request on one core, clusters included, the best of {} parts of "
      "{} requests with {:.0f} bytes of prompts each; memory: {} bytes an account, {:.1f} MiB "
      "of clusters\n",
      best_us, kept.size() / kPart, kPart,
      static_cast<double>(bytes) / static_cast<double>(std::max<size_t>(1, kept.size())),
      sizeof(detect::AccountState), static_cast<double>(detect::Clusters::bytes()) / (1 << 20));
}

}  // namespace retort::bench::harvest
