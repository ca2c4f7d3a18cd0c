// Writes the student for other programs: OUT/student/ (Hugging Face) and OUT/student.gguf, and
// where an adapter was trained OUT/adapter/ (PEFT) beside the folder, or several. All are written
// under a temporary name, opened again, compared with the trainer's model, and published only when
// they are equal within the stated bounds (formats.h) and every duty is met; else the error is
// refused_by_gate and nothing that was there before changes. Only the clearance gives the permit
// without which there is no export. Runs on the compute threads of base/parallel.h; one export at a
// time for one folder.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/result.h"
#include "corpus/clearance.h"
#include "model/lora.h"
#include "model/weights.h"
#include "release/card.h"
#include "release/gate.h"
#include "tokenizer/tokenizer.h"

namespace retort::release {

struct ExportOptions {
  std::vector<std::string> formats = {"safetensors", "gguf"};
  std::string weights = "f32";       // of the folder: f32, bf16, f16
  std::string gguf_weights = "f32";  // f32, f16, bf16, q8_0
  std::string licence;               // SPDX identifier of the student's own licence
};
void describe(base::Options& table, ExportOptions& options);

// Of an adapter that learnt from a part of the run's records, where its card and its duties are
// its own.
struct AdapterPart {
  std::vector<std::string> terms_ids;  // sorted: it owes what these ask for, and nothing else
  std::vector<TermsFact> terms;
  std::string teacher;  // "" where it learnt none of its answers
  std::vector<std::pair<std::string, int64_t>> counts;
};

// An adapter (PEFT) beside the folder of the student.
struct AdapterOut {
  std::string folder = "adapter";  // in OUT
  const model::Adapter* adapter = nullptr;
  std::optional<AdapterPart> part = std::nullopt;  // without: of the whole run
};

struct ExportInput {
  const model::Weights& weights;          // with what the adapters add
  std::vector<AdapterOut> adapters = {};  // where some were trained
  std::string base_name = {};             // of the weights that they stand beside
  std::shared_ptr<const tokenizer::Tokenizer> tokenizer;
  std::string out_folder;
  ExportOptions options;
  ModelFacts facts;                                  // model_id is taken from the permit
  std::map<std::string, std::string> licence_texts;  // by the name that the terms use
  std::vector<std::string> questions;  // a few prompts of the run, for the gate; at most 2 are used
  // Called with the temporary folder when all is written and before the gate looks. For tests.
  std::function<void(const std::string& folder)> on_written;
  // Called with it once all checks have passed: an error keeps everything back.
  std::function<Result<void>(const std::string& folder)> before_publish = nullptr;
};

struct ExportReport {
  std::vector<std::string> files;  // published paths, relative to out_folder
  std::vector<GateCheck> checks;
  std::vector<std::string> duties;  // a sentence each
  int64_t permit_leaf = -1;         // the permit's entry in the ledger
  int64_t size_bytes = 0;
};

Result<ExportReport> export_model(const corpus::ExportPermit& permit, const ExportInput& input);

}  // namespace retort::release
