// OUT/summary/machine.json: on what the run ran, and what it took of it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace retort::pipeline {

// The most memory that this process, or one of its ended children, has held so far.
int64_t peak_memory_bytes();

// The processor's energy counter (RAPL) as Linux shows it; none on most virtual machines.
std::optional<double> energy_joules();

struct MachineUse {
  std::string command;  // to repeat the run
  std::optional<double> energy_at_start;
};
Result<void> write_machine(const std::string& out, const MachineUse& use);

}  // namespace retort::pipeline
