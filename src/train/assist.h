// The part of the processes that train along with rank 0, which alone reads and writes files and
// asks for permission: fit() there gives them what it was given.
#pragma once
#include "base/result.h"
#include "train/collective.h"

namespace retort::train {

// For ranks other than 0: takes part in every training until rank 0 calls dismiss().
Result<void> assist(Collective& collective);
// For rank 0, at its end.
void dismiss(Collective& collective);

}  // namespace retort::train
