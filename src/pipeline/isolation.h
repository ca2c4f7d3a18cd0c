// A run that learns its records part by part (train.isolate_by): which part each belongs to, for
// the stages that must go by it, and what the log says of it.
#pragma once
#include <string>
#include <vector>

#include "corpus/clearance.h"
#include "corpus/terms_part.h"
#include "json/value.h"
#include "pipeline/stage.h"
#include "terms/action.h"
#include "train/checkpoint.h"

namespace retort::pipeline {

// Null where all records are learnt together. `clearance` outlives it, and has cleared something
// before it is called: then it knows the terms that only the log has.
corpus::TermsPartOf parts_of(const RunContext& context, const corpus::Clearance& clearance);
// What joins the fingerprint of a stage that goes by parts; "" where none does.
Result<std::string> isolation_of(RunContext& context);

// The parts in the order in which they are learnt, as the run's entry has them; null without parts.
json::Value isolated_json(const corpus::Cleared<terms::TrainGenerative>& data,
                          const corpus::TermsPartOf& part_of);
// Which checkpoints stay, as the model's entry has them; null where none do.
json::Value kept_json(const std::vector<train::KeptCheckpoint>& kept);
// The texts that a tokenizer is learnt from: of the first part alone, where there are parts, since
// every part's weights depend on it.
terms::ClearedText<terms::TrainGenerative> tokenizer_texts(
    const corpus::Cleared<terms::TrainGenerative>& data, const corpus::TermsPartOf& part_of);

}  // namespace retort::pipeline
