// What the stages share, and what each does. Private to the room.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "pipeline/permission.h"
#include "pipeline/stage.h"
#include "pipeline/student_files.h"

namespace retort::pipeline {

Result<void> run_collect(RunContext& context, Summary& summary);
Result<void> run_curate(RunContext& context, Summary& summary);
Result<void> run_tokenizer(RunContext& context, Summary& summary);
Result<void> run_train(RunContext& context, Summary& summary);
Result<void> run_evaluate(RunContext& context, Summary& summary);
Result<void> run_export(RunContext& context, Summary& summary);
// Refuses where the trained student is frozen or withdrawn.
Result<void> check_student(RunContext& context);
// What of the gathered records permission was withdrawn for, as a digest, and by what parts they
// are curated; "" for nothing.
Result<std::string> curation_basis(RunContext& context);

void count(Summary& summary, const std::string& name, double value);
void count(Summary& summary, const std::string& name, int64_t value);

// Curated records of a split; `label` names the path of their bytes in the log.
corpus::Selection selection(const RunContext& context, const char* split, const char* label,
                            bool logprobs = false);
// The weights that the student starts from, where it does not start from scratch.
Result<std::optional<corpus::ClearedWeights<terms::TrainGenerative>>> clear_base_weights(
    const RunContext& context, corpus::Clearance& clearance);
// How an adapter names the weights that it stands beside: as their terms do, where that is known.
std::string base_name(const RunContext& context);
// The one that the tokenizer stage left.
Result<std::shared_ptr<const tokenizer::Tokenizer>> student_tokenizer(const RunContext& context);

}  // namespace retort::pipeline
