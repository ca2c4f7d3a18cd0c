// The model card (README.md of the folder): what the student learnt from, under which terms, and
// what its user must keep.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/config.h"
#include "release/duties.h"

namespace retort::release {

struct TermsFact {
  std::string series, version, id;
  std::string basis;   // express, silent, derivative
  std::string reader;  // who read them
  std::string source_url;
  std::string clause;  // the words that carry the use
  int64_t records = 0;
};

// What the release is told about the run; texts may come from anywhere and are quoted.
struct ModelFacts {
  std::string model_id;
  std::string teacher;
  std::string licence;  // SPDX identifier of the student's own licence; "" for none stated
  std::vector<TermsFact> terms;
  std::vector<std::pair<std::string, int64_t>> counts;  // "records learnt from", 5412
  std::vector<std::string> notes;                       // sentences, such as the evaluation's
  std::string program;
  std::string command;
  std::string adapter_of = {};  // the folder is an adapter of these weights alone; "": it is whole
};

std::string model_card(const ModelFacts& facts, const model::Config& config,
                       const DutyPlan& duties);

}  // namespace retort::release
