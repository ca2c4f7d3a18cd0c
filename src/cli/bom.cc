#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>

#include "base/files.h"
#include "cli/command.h"
#include "cli/open_ledger.h"
#include "json/value.h"
#include "ledger/ledger.h"
#include "lineage/artifact.h"
#include "release/bom.h"
#include "release/signature.h"

namespace retort::cli {
namespace {

struct BomArguments {
  std::string model, ledger, out;
  std::string format = "cyclonedx";
};

Result<void> run_bom(const BomArguments& arguments) {
  RETORT_TRY(const auto digest, lineage::logged_digest(arguments.model));
  RETORT_TRY(auto log, open_ledger_of(arguments.ledger, arguments.model, digest));
  RETORT_TRY_VOID(log->verify());
  auto bom = release::bom_of(*log, digest, "retort " RETORT_VERSION);
  if (!bom && bom.error().code == ErrorCode::not_found) {
    return base::not_found("the log does not know this model, or a file of it was changed",
                           arguments.model,
                           "name its log with --ledger; it looked into " + log->folder());
  }
  if (!bom) return bom.error();
  const std::string text = arguments.format == "eu" ? release::disclosures(*bom)
                           : arguments.format == "spdx"
                               ? json::dump(release::spdx(*bom), 1) + "\n"
                               : json::dump(release::cyclonedx(*bom), 1) + "\n";
  if (!arguments.out.empty()) return base::write_file_atomic(arguments.out, text);
  std::fputs(text.c_str(), stdout);
  return {};
}

}  // namespace

Command bom_command() {
  auto arguments = std::make_shared<BomArguments>();
  Command command;
  command.name = "bom";
  command.summary = "a model's bill of materials from the log: CycloneDX, SPDX, or what laws ask";
  command.examples =
      "  retort bom runs/quickstart/student --out student.cdx.json\n"
      "  retort bom runs/quickstart/student.gguf --format spdx\n"
      "  retort bom runs/quickstart/student --format eu   (EU template 2.5, California AB 2013)";
  command.declare = [arguments](CLI::App& app) {
    app.add_option("MODEL", arguments->model, "a folder, or a GGUF file, as it was exported")
        ->required();
    app.add_option("--format", arguments->format, "cyclonedx (1.6), spdx (3.0.1) or eu")
        ->check(CLI::IsMember({"cyclonedx", "spdx", "eu"}))
        ->capture_default_str();
    app.add_option("--out", arguments->out, "a file; to the terminal when left out");
    app.add_option("--ledger", arguments->ledger,
                   "its folder; without, the nearest one upwards from here or from the model");
  };
  command.run = [arguments] { return run_bom(*arguments); };
  return command;
}

}  // namespace retort::cli
