// The program as its arguments ask for it; what main() is made of.
#pragma once

namespace retort::train {
class Collective;
}

namespace retort::cli {

// Gives what the process ends with. Signal handlers are the caller's to install. `collective`: the
// processes that train together, of which this is rank 0; nullptr: this one alone.
int run_program(int argc, char** argv, train::Collective* collective);
// What run_program() was given.
train::Collective* collective();

}  // namespace retort::cli
