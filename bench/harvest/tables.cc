#include "harvest/tables.h"

#include "base/files.h"

namespace retort::bench::harvest {
namespace {

// JSON broken after commas into lines of a source file.
std::string wrapped(const std::string& text) {
  constexpr size_t kColumns = 96;
  std::string out, line;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size() - 1) + 1;
    if (line.size() + end - begin > kColumns) {
      out += line + "\n";
      line.clear();
    }
    line += text.substr(begin, end - begin);
    begin = end;
  }
  return out + line + "\n";
}

std::string source(const std::string& header, const std::string& type, const std::string& function,
                   const std::string& reader, const json::Value& value) {
  return "// Made by bench/harvest (retort_bench_harvest --write FOLDER) from simulated traffic.\n"
         "#include \"base/check.h\"\n#include \"detect/" +
         header +
         "\"\n\n"
         "namespace retort::detect {\nnamespace {\n\nconstexpr const char* kTable = R\"(\n" +
         wrapped(json::dump(value)) + ")\";\n\n}  // namespace\n\nconst " + type + "& " + function +
         "() {\n  static const " + type +
         " kBuiltIn = [] {\n"
         "    const auto value = json::parse(kTable);\n"
         "    RETORT_CHECK(value.ok());\n"
         "    auto out = " +
         reader +
         "(*value);\n"
         "    RETORT_CHECK(out.ok());\n"
         "    return std::move(*out);\n  }();\n  return kBuiltIn;\n}\n\n"
         "}  // namespace retort::detect\n";
}

std::string judge_source(const std::string& function, const json::Value& value) {
  return "// Made by bench/harvest (retort_bench_harvest --write FOLDER) from simulated traffic.\n"
         "#include \"detect/built_in_internal.h\"\n\nnamespace retort::detect {\n\nconst char* " +
         function + "() {\n  return R\"(\n" + wrapped(json::dump(value)) +
         ")\";\n}\n\n}  // namespace retort::detect\n";
}

}  // namespace

Result<void> write_tables(const std::string& folder, const detect::Model& model,
                          const detect::Calibration& calibration) {
  const auto judges = to_json(model);
  for (const std::string side : {"account", "cluster"}) {
    RETORT_TRY_VOID(
        base::write_file_atomic(base::join(folder, "built_in_" + side + ".cc"),
                                judge_source("built_in_" + side + "_judge", *judges.find(side))));
  }
  return base::write_file_atomic(base::join(folder, "built_in_calibration.cc"),
                                 source("calibration.h", "Calibration", "built_in_calibration",
                                        "calibration_from_json", to_json(calibration)));
}

}  // namespace retort::bench::harvest
