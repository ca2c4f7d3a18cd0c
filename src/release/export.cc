#include "release/export.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <span>

#include "base/cancel.h"
#include "base/files.h"
#include "model/gguf_names.h"
#include "release/export_internal.h"
#include "release/folder_export_internal.h"
#include "release/gguf_export_internal.h"
#include "release/reopen_internal.h"

namespace retort::release {
namespace {

constexpr size_t kQuestionsMax = 2;
constexpr const char* kFolder = "student";
constexpr const char* kGguf = "student.gguf";

struct Plan {
  bool folder = false, gguf = false;
  Format folder_format = Format::f32, gguf_format = Format::f32;
};

Result<Plan> plan_of(const ExportOptions& options) {
  Plan plan;
  for (const auto& format : options.formats) {
    if (format == "safetensors") {
      plan.folder = true;
    } else if (format == "gguf") {
      plan.gguf = true;
    } else {
      return base::usage_error(fmt::format("\"{}\" is no export format", format), "export.formats",
                               "use safetensors, gguf or both");
    }
  }
  if (!plan.folder && !plan.gguf) {
    return base::usage_error("there is nothing to export", "export.formats",
                             "use safetensors, gguf or both");
  }
  RETORT_TRY(plan.folder_format, parse_format(options.weights));
  if (plan.folder_format == Format::q8_0) {
    return base::usage_error("a Hugging Face folder cannot hold q8_0", "export.weights",
                             "use f32, bf16 or f16");
  }
  RETORT_TRY(plan.gguf_format, parse_format(options.gguf_weights));
  return plan;
}

// The folder in which all is written before it is published; gone when the export ends.
class Workshop {
 public:
  static Result<Workshop> create(const std::string& out_folder) {
    const std::string path = base::join(out_folder, ".export.tmp");
    RETORT_TRY_VOID(base::remove_all(path));
    RETORT_TRY_VOID(base::make_directories(base::join(path, kFolder)));
    return Workshop(path);
  }
  Workshop(Workshop&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  Workshop& operator=(Workshop&&) = delete;
  ~Workshop() {
    if (!path_.empty()) (void)base::remove_all(path_).ok();
  }
  std::string file(const std::string& name) const { return base::join(path_, name); }
  const std::string& path() const { return path_; }

 private:
  explicit Workshop(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

struct PlannedAdapter {
  const AdapterOut* out;
  DutyPlan duties;
};

// They stand beside the folder, and not without it.
std::span<const AdapterOut> adapters_beside(const ExportInput& input, const Plan& plan) {
  if (!plan.folder) return {};
  return input.adapters;
}

// One that learnt from a part of the records owes what the terms of these ask for.
Result<std::vector<PlannedAdapter>> adapters_of(const ExportInput& input, const Plan& plan,
                                                const std::vector<Duty>& owed) {
  std::vector<PlannedAdapter> out;
  for (const AdapterOut& one : adapters_beside(input, plan)) {
    std::vector<Duty> own = owed;
    if (one.part) {
      const auto& ids = one.part->terms_ids;
      std::erase_if(own, [&ids](const Duty& duty) {
        return !std::binary_search(ids.begin(), ids.end(), duty.terms_id);
      });
    }
    RETORT_TRY(auto duties, plan_duties(own, input.facts.model_id, input.licence_texts));
    out.push_back({&one, std::move(duties)});
  }
  return out;
}

ModelFacts facts_of(const ExportInput& input, const AdapterOut& one) {
  ModelFacts facts = input.facts;
  facts.adapter_of = input.base_name;
  if (!one.part) return facts;
  facts.terms = one.part->terms;
  facts.teacher = one.part->teacher;
  facts.counts = one.part->counts;
  facts.notes.clear();  // they are about the student, which has all adapters
  return facts;
}

Result<void> write_adapter(const ExportInput& input, const PlannedAdapter& one,
                           const std::string& folder) {
  const DutyPlan& duties = one.duties;
  RETORT_TRY_VOID(model::save_adapter(*one.out->adapter, folder, input.base_name));
  const std::string card = model_card(facts_of(input, *one.out), input.weights.config(), duties);
  RETORT_TRY_VOID(base::write_file_atomic(base::join(folder, "README.md"), card));
  for (const auto& [name, content] : duties.files) {
    RETORT_TRY_VOID(base::write_file_atomic(base::join(folder, name), content));
  }
  return {};
}

Result<void> write_all(const ExportInput& input, const Plan& plan, const DutyPlan& duties,
                       const tokenizer::ChatFormat& chat, const Workshop& workshop) {
  if (plan.folder) {
    const std::string folder = workshop.file(kFolder);
    const std::string card = model_card(input.facts, input.weights.config(), duties);
    RETORT_TRY_VOID(write_folder({.weights = input.weights,
                                  .tokenizer = *input.tokenizer,
                                  .stop_token = chat.stop_token(),
                                  .format = plan.folder_format,
                                  .card = card},
                                 folder));
    for (const auto& [name, content] : duties.files) {
      RETORT_TRY_VOID(base::write_file_atomic(base::join(folder, name), content));
    }
  }
  if (plan.gguf) {
    std::string description =
        input.facts.teacher.empty() ? "A student" : "A student of " + input.facts.teacher;
    for (const auto& line : duties.card_lines) description += "\n" + line;
    RETORT_TRY_VOID(write_gguf({.weights = input.weights,
                                .tokenizer = *input.tokenizer,
                                .stop_token = chat.stop_token(),
                                .name = input.facts.model_id,
                                .description = std::move(description),
                                .licence = input.facts.licence,
                                .format = plan.gguf_format},
                               workshop.file(kGguf)));
  }
  return {};
}

Error refused(const GateCheck& check) {
  return Error{ErrorCode::refused_by_gate,
               "the written student is not the trained one: " + sentence(check), check.file,
               "nothing was published; check the disk and export again"};
}

// A file that cannot be opened at all is as unequal as one that answers otherwise.
Error unopened(const Error& error, const std::string& label) {
  return Error{ErrorCode::refused_by_gate, "the written student does not open: " + error.message,
               label + (error.where.empty() ? "" : " (" + error.where + ")"),
               "nothing was published; check the disk and export again"};
}

Result<std::vector<GateCheck>> gate(const ExportInput& input, const Plan& plan,
                                    const tokenizer::ChatFormat& chat, const Workshop& workshop) {
  const model::Config& config = input.weights.config();
  std::vector<std::string> questions = input.questions;
  if (questions.size() > kQuestionsMax) questions.resize(kQuestionsMax);
  RETORT_TRY(const Probes probes,
             make_probes(*input.tokenizer, chat, questions, config.max_positions));
  RETORT_TRY(const Expected expected,
             answers_of(logits_by_network(input.weights, kPromptTokensMax + kGreedyTokens), probes,
                        config.vocab));
  const Original original{input.weights, *input.tokenizer, chat, probes, expected};
  std::vector<Written> written;
  if (plan.folder) {
    written.push_back({workshop.file(kFolder), "student/", plan.folder_format, true});
  }
  if (plan.gguf) written.push_back({workshop.file(kGguf), kGguf, plan.gguf_format, false});
  std::vector<GateCheck> all;
  for (const auto& file : written) {
    if (base::cancelled()) return base::cancelled_error("export");
    auto checks = check_written(file, original);
    if (!checks) return unopened(checks.error(), file.label);
    if (const GateCheck* failed = first_failure(*checks)) return refused(*failed);
    all.insert(all.end(), checks->begin(), checks->end());
  }
  for (const AdapterOut& one : adapters_beside(input, plan)) {
    auto check = check_adapter(workshop.file(one.folder), *one.adapter);
    if (!check) return unopened(check.error(), one.folder + "/");
    check->file = one.folder + "/";
    if (!check->passed) return refused(*check);
    all.push_back(std::move(*check));
  }
  return all;
}

Result<void> publish_folder(const ExportInput& input, const Workshop& workshop,
                            const std::string& label, ExportReport& report) {
  const std::string folder = workshop.file(label);
  RETORT_TRY(const auto names, base::list_directory(folder));
  for (const auto& name : names) {
    RETORT_TRY(const int64_t size, base::file_size(base::join(folder, name)));
    report.size_bytes += size;
    report.files.push_back(label + "/" + name);
  }
  return base::publish_directory(folder, base::join(input.out_folder, label));
}

Result<void> publish(const ExportInput& input, const Plan& plan, const Workshop& workshop,
                     ExportReport& report) {
  if (plan.folder) RETORT_TRY_VOID(publish_folder(input, workshop, kFolder, report));
  for (const AdapterOut& one : adapters_beside(input, plan)) {
    const std::string above = base::parent(base::join(input.out_folder, one.folder));
    RETORT_TRY_VOID(base::make_directories(above));
    RETORT_TRY_VOID(publish_folder(input, workshop, one.folder, report));
  }
  if (plan.gguf) {
    // The writer has synced the file's bytes.
    RETORT_TRY(const int64_t size, base::file_size(workshop.file(kGguf)));
    report.size_bytes += size;
    report.files.push_back(kGguf);
    const std::string target = base::join(input.out_folder, kGguf);
    if (std::rename(workshop.file(kGguf).c_str(), target.c_str()) != 0) {
      return base::errno_error("rename to", target);
    }
    RETORT_TRY_VOID(base::sync_directory(input.out_folder));
  }
  return {};
}

}  // namespace

void describe(base::Options& table, ExportOptions& options) {
  table.add("formats", &options.formats,
            "what to write: safetensors (a Hugging Face folder), gguf, or both");
  table.add("weights", &options.weights,
            "numbers in the folder: f32 (exactly the trained weights), bf16 or f16");
  table.add("gguf_weights", &options.gguf_weights, "numbers in the GGUF: f32, f16, bf16 or q8_0");
  table.add("licence", &options.licence,
            "the student's own licence by its SPDX identifier, for the model card");
}

Result<ExportReport> export_model(const corpus::ExportPermit& permit, const ExportInput& input) {
  ExportInput named = input;
  named.facts.model_id = permit.model_id();
  RETORT_TRY(auto report, write_and_check(named, duties_of(permit.duties())));
  report.permit_leaf = permit.permit().leaf;
  return report;
}

Result<ExportReport> write_and_check(const ExportInput& input, const std::vector<Duty>& owed) {
  RETORT_TRY(const Plan plan, plan_of(input.options));
  if (plan.gguf) {
    const auto holds = model::check_gguf_holds(input.weights.config());
    if (!holds) return holds.error().at("export.formats");
  }
  RETORT_TRY(const DutyPlan duties, plan_duties(owed, input.facts.model_id, input.licence_texts));
  if (!plan.folder && !duties.files.empty()) {
    return Error{ErrorCode::refused_by_gate,
                 "the terms ask for files beside the weights, which a GGUF alone has no room for",
                 "export.formats", "add safetensors to export.formats"};
  }
  RETORT_TRY(const auto chat, tokenizer::ChatFormat::detect(*input.tokenizer));
  RETORT_TRY_VOID(base::make_directories(input.out_folder));
  RETORT_TRY(const Workshop workshop, Workshop::create(input.out_folder));
  RETORT_TRY(const auto adapters, adapters_of(input, plan, owed));
  RETORT_TRY_VOID(write_all(input, plan, duties, chat, workshop));
  for (const auto& one : adapters) {
    RETORT_TRY_VOID(write_adapter(input, one, workshop.file(one.out->folder)));
  }
  if (input.on_written) input.on_written(workshop.path());
  if (plan.folder) RETORT_TRY_VOID(check_duties(duties, workshop.file(kFolder)));
  for (const auto& one : adapters) {
    RETORT_TRY_VOID(check_duties(one.duties, workshop.file(one.out->folder)));
  }
  RETORT_TRY(auto checks, gate(input, plan, chat, workshop));
  if (base::cancelled()) return base::cancelled_error("export");
  if (input.before_publish) RETORT_TRY_VOID(input.before_publish(workshop.path()));
  ExportReport report{.files = {}, .checks = std::move(checks), .duties = duties.met};
  RETORT_TRY_VOID(publish(input, plan, workshop, report));
  return report;
}

}  // namespace retort::release
