// What the numbers in leaves and columns stand for.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "corpus/record.h"
#include "ledger/ledger.h"

namespace retort::corpus {

// Of an entry `termset`; bad_input for one of another form.
Result<std::vector<terms::Reference>> logged_references(ledger::Ledger& ledger, int64_t entry);

struct LoggedDoor {
  Door door;
  std::string model;
};
// Of an entry `door`.
Result<LoggedDoor> logged_door(ledger::Ledger& ledger, int64_t entry);

}  // namespace retort::corpus
