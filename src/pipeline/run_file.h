// The run file: one TOML file, a table a stage. The options are those that the rooms describe; the
// same names are flags. Paths are relative to where retort is started.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "base/options.h"
#include "base/result.h"
#include "json/value.h"

namespace retort::pipeline {

// "train.lr" and the texts given to it, as on the command line.
using Override = std::pair<std::string, std::vector<std::string>>;

// Sets every key of a parsed TOML document; an unknown key names the nearest known one, a wrong
// value names the key.
Result<void> apply_document(base::Options& table, const json::Value& document,
                            const std::string& where);
Result<void> apply_overrides(base::Options& table, const std::vector<Override>& overrides);

// The values of all options as TOML that apply_document() reads back equal.
std::string to_toml(const base::Options& table);
// Those of one table alone ("train"), for a stage's fingerprint.
std::string to_toml(const base::Options& table, const std::string& prefix);

}  // namespace retort::pipeline
