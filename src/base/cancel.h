// Ctrl-C and SIGTERM as a flag that long loops look at; a second signal ends the process at once.
#pragma once
#include "base/result.h"

namespace retort::base {

void install_signal_handlers();
bool cancelled();
// For tests, and for a caller that stops the work itself.
void request_cancel();
void reset_cancel();
// The error that a loop returns when it saw cancelled().
Error cancelled_error(const char* stage);

}  // namespace retort::base
