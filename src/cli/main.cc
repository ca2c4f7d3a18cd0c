#include "base/cancel.h"
#include "base/short_waits.h"
#include "cli/program.h"

int main(int argc, char** argv) {
  retort::base::keep_waits_short(argv);
  retort::base::install_signal_handlers();
  return retort::cli::run_program(argc, argv, /*collective=*/nullptr);
}
