// train::Collective over MPI: the processes that mpirun started. One of it a process, which
// initialises MPI and ends it; one thread.
#pragma once
#include <string>

#include "train/collective.h"

namespace retort::mpi {

class World final : public train::Collective {
 public:
  // What mpirun said is taken out of the arguments.
  World(int& argc, char**& argv);
  ~World() override;
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void sum(std::span<float> values) override;
  void sum(std::span<double> values) override;
  void broadcast(std::span<std::byte> bytes) override;

  // Whether every process says the same.
  bool agree(const std::string& text);
  // Ends this process and all others, whatever they are doing; mpirun then exits with `code`.
  [[noreturn]] void end_all(int code);

 private:
  int rank_ = 0, size_ = 1;
};

}  // namespace retort::mpi
