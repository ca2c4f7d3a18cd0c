// retort-mpi: the same program, started by mpirun. Rank 0 is the program as it is known, with its
// files and its words; the others train along.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string_view>

#include "base/cancel.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/short_waits.h"
#include "cli/program.h"
#include "mpi/collective.h"
#include "train/assist.h"

namespace retort::mpi {
namespace {

int first(World& world, int argc, char** argv) {
  const int code = cli::run_program(argc, argv, &world);
  std::fflush(stdout);
  // The others may wait for a sum that will not come.
  if (code != 0) world.end_all(code);
  train::dismiss(world);
  return 0;
}

int other(World& world) {
  base::Progress::set_quiet(true);
  try {
    if (train::assist(world)) return 0;
    // All ranks found the same; rank 0 says it and ends this one.
    while (true) ::pause();
  } catch (const std::exception& failure) {
    base::log_error("process {} of {}: {}", world.rank(), world.size(), failure.what());
    world.end_all(70);
  }
}

// Everything else is for one process; a run that asks a teacher would start itself again.
bool trains(int argc, char** argv) {
  return argc > 1 && std::string_view(argv[1]) == "train";
}

int start(int argc, char** argv) {
  World world(argc, argv);
  if (!trains(argc, argv)) {
    if (world.is_first()) {
      std::fputs(
          "retort-mpi trains: mpirun -n 4 retort-mpi train FILE\n"
          "  what to do: use retort for all other commands\n",
          stderr);
    }
    return base::exit_code(ErrorCode::usage);
  }
  if (!world.agree(fmt::format("retort {}", RETORT_VERSION))) {
    if (world.is_first()) base::log_error("the processes are of different versions of retort");
    world.end_all(base::exit_code(ErrorCode::usage));
  }
  return world.is_first() ? first(world, argc, argv) : other(world);
}

}  // namespace
}  // namespace retort::mpi

int main(int argc, char** argv) {
  retort::base::keep_waits_short(argv);
  retort::base::install_signal_handlers();
  return retort::mpi::start(argc, argv);
}
