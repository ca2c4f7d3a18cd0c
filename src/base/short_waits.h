// How long the threads of a team wait for each other awake.
#pragma once

namespace retort::base {

// Call it first in main, with main's argv. libgomp's threads spin for milliseconds at the end of
// every parallel part before they sleep; on a machine that does other work as well a training then
// takes ten times as long. How long is read from the environment before main begins, so the program
// starts itself once more with some dozens of microseconds in GOMP_SPINCOUNT, unless that or
// OMP_WAIT_POLICY is set. Where it cannot, it goes on as it is.
void keep_waits_short(char** argv);

}  // namespace retort::base
