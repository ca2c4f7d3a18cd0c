// Detection of harvests, measured on simulated traffic of real text; README.md says how.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/files.h"
#include "harvest/compare.h"
#include "harvest/learn.h"
#include "harvest/measure.h"
#include "harvest/oracle.h"
#include "harvest/tables.h"
#include "harvest/trace.h"
#include "harvest/world.h"

namespace retort::bench::harvest {
namespace {

struct Plan {
  uint64_t seed = 1;
  uint64_t test_seed = 0;  // of the test's worlds; 0: the same
  int learn_worlds = 3, calibration_worlds = 12, test_worlds = 6;
  int of_a_kind = 120;
  int campaigns = 3;                  // of each variant and world
  bool built_in = false;              // test what is in the program instead of learning anew
  bool clusters_only = false;         // learn how clusters are judged, keep the accounts' trees
  bool left_out = true;               // also learn without some kinds, and test on them
  bool trace = false;                 // a line for each campaign
  bool oracle = false;                // what could be reached, instead of a test
  double neighbours = 0;              // share of the test's honest accounts on harvesters' networks
  double colleagues = 0;              // ... of those, of those with their payers too
  bool places = true;                 // the test's networks and payers are known
  bool peers = true;                  // and the baselines and the speed
  std::vector<std::string> variants;  // that campaigns are of; none: all
  std::string write;                  // a folder for the model and the calibration, as sources
};

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

bool wanted(const Plan& plan, const std::string& variant) {
  const auto& some = plan.variants;
  return some.empty() || std::find(some.begin(), some.end(), variant) != some.end();
}

// The seeds of learning, calibrating and testing never meet.
uint64_t world_seed(const Plan& plan, int phase, int world) {
  const uint64_t seed = phase >= 3 && plan.test_seed != 0 ? plan.test_seed : plan.seed;
  return seed * 1'000'000 + static_cast<uint64_t>(phase * 10'000 + world);
}

Spec spec_of(const Plan& plan, int phase, int world, int campaigns) {
  Spec out;
  out.seed = world_seed(plan, phase, world);
  out.honest_of_a_kind = plan.of_a_kind;
  for (int i = 0; i < campaigns; ++i) {
    for (const auto& variant : variants()) {
      // One campaign of a thousand accounts a world is as much as all others.
      const bool once = i == 0 || variant != "split over 1,000";
      if (once && wanted(plan, variant)) out.campaigns.push_back(variant);
    }
  }
  return out;
}

detect::Detector::Options detector_of(uint64_t salt, const detect::Model& model,
                                      const detect::Calibration& calibration) {
  return {.salt = base::mix64(salt), .policy = {}, .model = model, .calibration = calibration};
}

// Two worlds at a time; what they give is put together in their order.
template <class Make>
auto each_world(int worlds, Make make) {
  using One = decltype(make(0));
  std::vector<std::optional<One>> made(static_cast<size_t>(worlds));
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int i = next++; i < worlds; i = next++) made[static_cast<size_t>(i)] = make(i);
  };
  std::thread other(work);
  work();
  other.join();
  std::vector<One> out;
  for (auto& one : made) out.push_back(std::move(*one));
  return out;
}

std::vector<Sample> gather(const Texts& texts, const Plan& plan) {
  const auto worlds = each_world(plan.learn_worlds, [&](int world) {
    Spec spec = spec_of(plan, 1, world, plan.campaigns);
    if (plan.clusters_only) {
      std::erase_if(spec.campaigns, [](const std::string& one) {
        return !one.starts_with("split") && one != "all combined" && one != "rotating";
      });
    }
    spec.acts = false;
    // Which streams are kept, and what is unusual, is decided by the tables that there are.
    detect::Detector detector(
        detector_of(spec.seed, detect::built_in_model(), detect::built_in_calibration()));
    Collector collector(detector);
    run_world(texts, spec, detector, [&](const Seen& seen) { collector.note(seen); });
    return collector.finish();
  });
  std::vector<Sample> out;
  for (const auto& one : worlds) out.insert(out.end(), one.begin(), one.end());
  return out;
}

// A kind of honest accounts and a variant of harvest that neither learning nor calibration saw.
struct LeftOut {
  const char *kind, *purpose, *variant;
};
constexpr std::array kLeftOut = {LeftOut{"declared study", "research", "reasoning"},
                                 LeftOut{"writing studio", "writing", "diluted to 10 %"}};

// With no worlds to learn from, what is in the program is calibrated anew.
std::vector<detect::Model> learn_all(const Texts& texts, const Plan& plan) {
  if (plan.learn_worlds == 0) return {detect::built_in_model()};
  const auto samples = gather(texts, plan);
  if (plan.clusters_only) return {learn_clusters(samples)};
  fmt::print("learning from {} streams' measures\n", samples.size());
  std::vector<detect::Model> out = {learn(samples, {})};
  for (const LeftOut& left : kLeftOut) {
    if (plan.left_out) out.push_back(learn(samples, {left.kind, left.variant}));
  }
  return out;
}

// What a world's honest accounts and clusters came to by each of some models.
struct Lives {
  std::vector<std::string> kinds, purposes;
  std::vector<std::vector<detect::Wealth>> accounts;  // by model
  std::vector<std::string_view> bonds;
  std::vector<std::vector<detect::Wealth>> clusters;
};

// The first model is the detector's own; of others, which share its streams, scores are made
// beside.
Lives live(const Texts& texts, const Plan& plan, const std::vector<detect::Model>& models,
           int world) {
  Spec spec = spec_of(plan, 2, world, 0);
  spec.licensed = 0;
  spec.acts = false;
  detect::Detector detector(detector_of(spec.seed, models.front(), detect::built_in_calibration()));
  Collector collector(detector);
  std::unordered_map<size_t, std::vector<detect::Wealth>> accounts;
  std::unordered_map<uint64_t, std::vector<detect::Wealth>> pools;
  collector.on_stream = [&](const Seen& seen, const detect::Features& values, double) {
    auto& mine = accounts[seen.member];
    mine.resize(models.size());
    const auto* state = detector.state(seen.observation->subject.account);
    const uint32_t count = state->streams[detector.last_stream()].count;
    for (size_t i = 1; i < models.size(); ++i) {
      auto wealth = detect::wealth_of(models[i].account, values);
      wealth.lower(detect::early_handicap(count));
      mine[i].raise(wealth);
    }
  };
  collector.on_pool = [&](const detect::Pool& pool, const detect::Features& values, double) {
    auto& its = pools[pool.key];
    its.resize(models.size());
    for (size_t i = 1; i < models.size(); ++i) {
      its[i].raise(detect::wealth_of(models[i].cluster, values));
    }
  };
  const Listener listener = [&](const Seen& seen) { collector.note(seen); };
  const Outcome outcome =
      run_world(texts, spec, detector, models.size() > 1 ? listener : Listener{});
  Lives out;
  for (size_t i = 0; i < outcome.fates.size(); ++i) {
    out.kinds.push_back(outcome.fates[i].kind);
    out.purposes.push_back(outcome.fates[i].purpose);
    auto& mine = accounts[i];
    mine.resize(models.size());
    mine.front() = outcome.fates[i].wealth;
    out.accounts.push_back(std::move(mine));
  }
  detector.clusters().each([&](const detect::Pool& pool) {
    if (pool.wealth.total <= detect::Wealth{}.total) return;  // never judged
    auto& its = pools[pool.key];
    its.resize(models.size());
    its.front() = pool.wealth;
    out.bonds.push_back(detect::class_of(pool.bond));
    out.clusters.push_back(std::move(its));
  });
  return out;
}

std::vector<detect::Calibration> calibrate(const Texts& texts, const Plan& plan,
                                           const std::vector<detect::Model>& models) {
  const auto worlds = each_world(plan.calibration_worlds,
                                 [&](int world) { return live(texts, plan, models, world); });
  std::vector<detect::Calibration> out;
  for (size_t i = 0; i < models.size(); ++i) {
    detect::CalibrationBuilder builder;
    for (const Lives& one : worlds) {
      for (size_t k = 0; k < one.accounts.size(); ++k) {
        // The models after the first each have a kind that they never saw.
        if (i > 0 && one.kinds[k] == kLeftOut[i - 1].kind) continue;
        builder.add(one.purposes[k], one.accounts[k][i]);
      }
      for (size_t k = 0; k < one.clusters.size(); ++k) {
        builder.add_cluster(one.bonds[k], one.clusters[k][i]);
      }
    }
    out.push_back(builder.finish());
  }
  return out;
}

struct Tested {
  std::vector<Outcome> outcomes;
  std::vector<Courses> courses;  // of the campaigns of each, where they are traced
};

Spec test_spec(const Plan& plan, int world) {
  Spec out = spec_of(plan, 3, world, plan.campaigns);
  out.neighbours = plan.neighbours;
  out.colleagues = plan.colleagues;
  out.places = plan.places;
  return out;
}

Tested test(const Texts& texts, const Plan& plan, const detect::Model& model,
            const detect::Calibration& calibration) {
  const auto made = each_world(plan.test_worlds, [&](int world) {
    const Spec spec = test_spec(plan, world);
    detect::Detector detector(detector_of(spec.seed, model, calibration));
    Follower follower(detector);
    const Listener listener = [&](const Seen& seen) { follower.note(seen); };
    Outcome outcome = run_world(texts, spec, detector, plan.trace ? listener : Listener{});
    return std::pair{std::move(outcome), follower.courses()};
  });
  Tested out;
  for (const auto& [outcome, courses] : made) {
    out.outcomes.push_back(outcome);
    out.courses.push_back(courses);
  }
  return out;
}

void test_left_out(const Texts& texts, const Plan& plan, const LeftOut& left,
                   const detect::Model& model, detect::Calibration calibration) {
  // Compared with accounts of all other purposes: of its own none is known.
  calibration.classes.erase(left.purpose);
  const auto outcomes = each_world(std::max(1, plan.test_worlds / 2), [&](int world) {
    Spec spec = spec_of(plan, 4, world, 0);
    spec.licensed = 0;
    for (size_t i = 0; i < honest_kinds().size(); ++i) {
      if (honest_kinds()[i].name != left.kind) spec.left_out_kinds.push_back(static_cast<int>(i));
    }
    spec.honest_of_a_kind *= 2;
    spec.campaigns.assign(static_cast<size_t>(plan.campaigns) * 3, left.variant);
    detect::Detector detector(detector_of(spec.seed, model, calibration));
    return run_world(texts, spec, detector);
  });
  fmt::print("\nneither learnt from nor calibrated with: {}, {}\n", left.kind, left.variant);
  print_outcomes(outcomes);
}

void print_model(const detect::Judge& judge, const char* title) {
  std::array<double, detect::kFeatures> moved{};
  for (const auto& tree : judge.trees) {
    for (size_t i = 0; i < 7; ++i)
      moved[tree.feature[i]] += 1.0 / (1 << (i == 0 ? 0 : (i < 3 ? 1 : 2)));
  }
  fmt::print("\n{}: how often {} trees ask for a measure, and what is usual\n", title,
             judge.trees.size());
  for (size_t i = 0; i < detect::kFeatures; ++i) {
    const auto feature = static_cast<detect::Feature>(i);
    fmt::print("  {:<20} {:>6.1f}   {:>6.3f} +- {:.3f}\n", detect::text_of(feature).name, moved[i],
               judge.usual[i], judge.spread[i]);
  }
}

void print_classes(const detect::Calibration& calibration) {
  fmt::print(
      "\ncalibration: periods, log of the sum, scores of 10 %, 1 %, 0.1 % and the highest\n");
  for (const auto& [purpose, one] : calibration.classes) {
    fmt::print("  {:<18} {:>6} {:>7.2f} {:>7.2f} {:>7.2f} {:>7.2f} {:>7.2f}\n", purpose,
               one.periods, one.log_total, one.total[2], one.total[5], one.total[8],
               one.total.back());
  }
}

int64_t number(const char* text) {
  return std::strtoll(text, nullptr, 10);
}

int run(int argc, char** argv) {
  Plan plan;
  const char* shared = std::getenv("RETORT_BENCH_SHARED");
  std::string folder = shared != nullptr ? shared : "";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--seed") plan.seed = static_cast<uint64_t>(number(argv[i + 1]));
    if (flag == "--test-seed") plan.test_seed = static_cast<uint64_t>(number(argv[i + 1]));
    if (flag == "--texts") folder = argv[i + 1];
    if (flag == "--of-a-kind") plan.of_a_kind = static_cast<int>(number(argv[i + 1]));
    if (flag == "--learn") plan.learn_worlds = static_cast<int>(number(argv[i + 1]));
    if (flag == "--calibrate") plan.calibration_worlds = static_cast<int>(number(argv[i + 1]));
    if (flag == "--test") plan.test_worlds = static_cast<int>(number(argv[i + 1]));
    if (flag == "--campaigns") plan.campaigns = static_cast<int>(number(argv[i + 1]));
    if (flag == "--clusters-only") plan.clusters_only = number(argv[i + 1]) != 0;
    if (flag == "--left-out") plan.left_out = number(argv[i + 1]) != 0;
    if (flag == "--variant") plan.variants.emplace_back(argv[i + 1]);
    if (flag == "--trace") plan.trace = number(argv[i + 1]) != 0;
    if (flag == "--oracle") plan.oracle = number(argv[i + 1]) != 0;
    if (flag == "--neighbours") plan.neighbours = static_cast<double>(number(argv[i + 1])) / 100;
    if (flag == "--colleagues") plan.colleagues = static_cast<double>(number(argv[i + 1])) / 100;
    if (flag == "--places") plan.places = number(argv[i + 1]) != 0;
    if (flag == "--peers") plan.peers = number(argv[i + 1]) != 0;
    if (flag == "--write") plan.write = argv[i + 1];
    if (flag == "--built-in") plan.built_in = number(argv[i + 1]) != 0;
  }
  const auto texts = load_texts(folder);
  if (!texts) {
    fmt::print(stderr, "{}\n", texts.error().text());
    return 1;
  }
  double since = seconds_now();
  const auto lap = [&since] {
    const double now = seconds_now(), took = now - since;
    since = now;
    return took;
  };
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
  std::vector<detect::Model> models;
  std::vector<detect::Calibration> calibrations;
  if (plan.built_in) {
    models = {detect::built_in_model()};
    calibrations = {detect::built_in_calibration()};
  } else {
    models = learn_all(*texts, plan);
    fmt::print("learnt ({:.0f} s)\n", lap());
    calibrations = calibrate(*texts, plan, models);
    fmt::print("calibrated ({:.0f} s)\n", lap());
  }
  const detect::Model& model = models.front();
  const detect::Calibration& calibration = calibrations.front();
  if (!plan.write.empty()) {
    if (const auto written = write_tables(plan.write, model, calibration); !written) {
      fmt::print(stderr, "{}\n", written.error().text());
      return 1;
    }
  }
  print_model(model.account, "accounts");
  print_model(model.cluster, "clusters");
  print_classes(calibration);
  if (plan.oracle) {
    std::vector<Spec> specs;
    for (int world = 0; world < plan.test_worlds; ++world) specs.push_back(test_spec(plan, world));
    print_oracle(*texts, specs);
    return 0;
  }
  const auto [outcomes, courses] = test(*texts, plan, model, calibration);
  int64_t requests = 0;
  for (const auto& one : outcomes) requests += one.requests;
  const double took = lap();
  fmt::print("tested on {} requests ({:.0f} s, {:.1f} us each with their making)\n", requests, took,
             1e6 * took / static_cast<double>(requests));
  print_outcomes(outcomes);
  if (plan.trace) print_trace(outcomes, courses, calibration);
  for (size_t i = 0; i + 1 < models.size(); ++i) {
    test_left_out(*texts, plan, kLeftOut[i], models[i + 1], calibrations[i + 1]);
  }
  if (!plan.peers) return 0;
  compare(*texts, spec_of(plan, 5, 0, plan.campaigns), detector_of(5, model, calibration));
  Spec few = spec_of(plan, 6, 0, 1);
  few.honest_of_a_kind = 10;
  print_speed(*texts, few, detector_of(6, model, calibration));
  return 0;
}

}  // namespace
}  // namespace retort::bench::harvest

int main(int argc, char** argv) {
  return retort::bench::harvest::run(argc, argv);
}
