// A process that collects and may be killed at any time: BASE_URL FOLDER PROMPTS CONCURRENCY.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/cancel.h"
#include "base/files.h"
#include "base/progress.h"
#include "collect/collect.h"

int main(int argc, char** argv) {
  using namespace retort;
  if (argc != 5) return 2;
  base::install_signal_handlers();
  base::Progress::set_quiet(true);
  collect::Teacher teacher;
  teacher.base_url = argv[1];
  teacher.model = "fake-1";
  teacher.terms = {RETORT_SOURCE_DIR "/terms/smollm2-apache.toml"};
  collect::Options options;
  options.prompt_terms = {RETORT_SOURCE_DIR "/terms/own-work.toml"};
  options.prompts = argv[3];
  options.concurrency = std::atoi(argv[4]);
  options.max_tokens = 30;
  options.timeout_s = 5;
  const std::string folder = argv[2];
  auto ledger = ledger::Ledger::open(base::join(folder, "ledger"));
  if (!ledger) {
    std::fprintf(stderr, "%s\n", ledger.error().text().c_str());
    return base::exit_code(ledger.error().code);
  }
  const collect::Place place{base::join(folder, "corpus.db"), base::join(folder, "shards"), "test"};
  const auto summary = collect::collect(teacher, options, place, **ledger);
  if (summary) return 0;
  std::fprintf(stderr, "%s\n", summary.error().text().c_str());
  return base::exit_code(summary.error().code);
}
