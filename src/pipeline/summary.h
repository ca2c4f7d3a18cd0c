// OUT/summary/STAGE.json: what a stage did, and the fingerprint that lets a later run skip it.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace retort::pipeline {

struct Summary {
  std::string stage;
  std::string fingerprint;                          // hash of the options and inputs it ran with
  std::map<std::string, std::string> inputs = {};   // name to digest
  std::map<std::string, std::string> outputs = {};  // name to digest
  std::vector<std::pair<std::string, double>> counts = {};
  std::vector<std::string> notes = {};  // sentences for the report
  double seconds = 0;                   // of all attempts together
  int64_t started_ms = 0;
  int64_t finished_ms = 0;
};

std::string summary_path(const std::string& out, const std::string& stage);
Result<void> write_summary(const std::string& out, const Summary& summary);
// Not found when the stage has not finished; refused when written by a newer program.
Result<Summary> read_summary(const std::string& out, const std::string& stage);

// SHA-256 in hex over named texts, each with its length, so that no two lists collide.
std::string fingerprint(const std::vector<std::pair<std::string, std::string>>& parts);
// SHA-256 of a file, or of all files of a folder with their names.
Result<std::string> digest_of(const std::string& path);

}  // namespace retort::pipeline
