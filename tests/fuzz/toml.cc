// Terms and run files: both are TOML that strangers write.
#include "json/value.h"
#include "pipeline/run_file.h"
#include "pipeline/run_options.h"
#include "target.h"
#include "terms/terms.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16384) return 0;
  const auto text = retort::fuzz::text_of(data, size);
  (void)retort::terms::parse_terms(text, "input");
  const auto document = retort::json::parse_toml(text, "input");
  if (!document) return 0;
  retort::pipeline::RunOptions options;
  auto table = retort::pipeline::describe(options);
  if (!retort::pipeline::apply_document(table, *document, "input")) return 0;
  (void)retort::pipeline::to_purpose(options.purpose);
  if (!retort::json::parse_toml(retort::pipeline::to_toml(table))) __builtin_trap();
  return 0;
}
