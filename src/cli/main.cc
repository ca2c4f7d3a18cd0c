#include "base/cancel.h"
#include "cli/program.h"

int main(int argc, char** argv) {
  retort::base::install_signal_handlers();
  return retort::cli::run_program(argc, argv, /*collective=*/nullptr);
}
