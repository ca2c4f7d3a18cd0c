// Sealed shards wherever they lie.
#pragma once
#include <string>
#include <vector>

#include "corpus/sealed_files.h"
#include "corpus/shard_internal.h"

namespace retort::corpus {

// Every shard under these folders that the log knows, in the order of the log; the same shard in
// two folders is there twice. Folders named *.writing are left out: nobody finished them.
Result<std::vector<SealedFile>> find_sealed(const ShardIndex& index,
                                            const std::vector<std::string>& folders);

}  // namespace retort::corpus
