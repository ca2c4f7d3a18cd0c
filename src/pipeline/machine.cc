#include "pipeline/machine.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/cpu.h"
#include "base/files.h"
#include "base/parallel.h"
#include "json/value.h"

namespace retort::pipeline {
namespace {

std::optional<double> read_counter(const std::string& path) {
  const auto text = base::read_file(path, 64);
  if (!text) return std::nullopt;
  double micro_joules = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + text->size(), micro_joules);
  if (parsed.ec != std::errc()) return std::nullopt;
  return micro_joules / 1e6;
}

}  // namespace

int64_t peak_memory_bytes() {
  rusage self{};
  rusage children{};
  getrusage(RUSAGE_SELF, &self);
  getrusage(RUSAGE_CHILDREN, &children);
  constexpr int64_t kKiB = 1024;
  return std::max(int64_t{self.ru_maxrss}, int64_t{children.ru_maxrss}) * kKiB;
}

std::optional<double> energy_joules() {
  const std::string folder = "/sys/class/powercap";
  const auto names = base::list_directory(folder);
  if (!names) return std::nullopt;
  std::optional<double> sum;
  for (const auto& name : *names) {
    // Packages are "intel-rapl:0"; their parts "intel-rapl:0:0" are inside them already.
    if (name.rfind("intel-rapl:", 0) != 0 || name.find(':') != name.rfind(':')) continue;
    if (const auto value = read_counter(folder + "/" + name + "/energy_uj")) {
      sum = sum.value_or(0) + *value;
    }
  }
  return sum;
}

Result<void> write_machine(const std::string& out, const MachineUse& use) {
  json::Value energy;
  const auto now = energy_joules();
  if (now && use.energy_at_start && *now >= *use.energy_at_start) {
    energy = *now - *use.energy_at_start;
  }
  const json::Value value = json::Value::object({{"schema", "retort.machine/1"},
                                                 {"cpu", base::cpu_summary()},
                                                 {"memory_bytes", base::total_memory_bytes()},
                                                 {"threads", base::thread_count()},
                                                 {"program", "retort " RETORT_VERSION},
                                                 {"commit", RETORT_COMMIT},
                                                 {"command", use.command},
                                                 {"peak_memory_bytes", peak_memory_bytes()},
                                                 {"energy_joules", energy}});
  RETORT_TRY_VOID(base::make_directories(base::join(out, "summary")));
  return base::write_file_atomic(base::join(out, "summary/machine.json"),
                                 json::dump(value, 2) + "\n");
}

}  // namespace retort::pipeline
