// Processes that train one student together, each on a part of every step's rows. Every one of them
// makes the same calls in the same order; a call returns when all that it needs have made it. Each
// leaves the same bytes everywhere, since weights that drift apart are no longer one student. One
// thread. A process that fails ends all others with it (the program's task, not this seam's), so
// nothing here returns an error.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace retort::train {

class Collective {
 public:
  virtual ~Collective() = default;
  virtual int rank() const = 0;  // from 0, whose files are the run's
  virtual int size() const = 0;
  // Every element becomes its sum over all ranks.
  virtual void sum(std::span<float> values) = 0;
  virtual void sum(std::span<double> values) = 0;
  // Rank 0's bytes become everyone's. Others may wait long, and do so without a core.
  virtual void broadcast(std::span<std::byte> bytes) = 0;

  bool is_first() const { return rank() == 0; }
  // Bytes of a plain value.
  template <class T>
  void broadcast_value(T& value) {
    broadcast(std::as_writable_bytes(std::span(&value, 1)));
  }
};

// One process alone: every call is done at once.
Collective& alone();

}  // namespace retort::train
