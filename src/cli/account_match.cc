#include "cli/account_match.h"

#include <fmt/core.h>

#include <cstdio>
#include <fstream>

#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "json/value.h"
#include "provider/sketches.h"

namespace retort::cli {
namespace {

using UseText = std::function<void(std::string_view)>;

void visit(const json::Value& value, const UseText& use) {
  if (value.is_string()) use(value.as_string());
  if (value.is_array()) {
    for (const auto& item : value.as_array()) visit(item, use);
  }
  if (value.is_object()) {
    for (const auto& [name, item] : value.as_object()) visit(item, use);
  }
}

Result<void> visit_lines(const std::string& file, const UseText& use) {
  std::ifstream lines(file);
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    RETORT_TRY(const auto row, json::parse(line, fmt::format("{}:{}", file, number)));
    visit(row, use);
  }
  return {};
}

Result<void> visit_file(const std::string& file, const UseText& use) {
  if (file.ends_with(".jsonl")) return visit_lines(file, use);
  RETORT_TRY(const auto content, base::read_file(file));
  if (!file.ends_with(".json")) {
    use(content);
    return {};
  }
  RETORT_TRY(const auto document, json::parse(content, file, {.size_bytes = int64_t{1} << 32}));
  visit(document, use);
  return {};
}

json::Value matched_json(const provider::Matched& one, const std::string& name) {
  json::Value requests = json::Value::array();
  for (const auto& request : one.requests) requests.push(request);
  return json::Value::object({{"account", one.account},
                              {"name", name},
                              {"answers", one.answers},
                              {"found", one.found},
                              {"found_alone", one.found_alone},
                              {"first_ms", one.first_ms},
                              {"last_ms", one.last_ms},
                              {"requests", std::move(requests)}});
}

void print_matched(const provider::Matched& one, const std::string& name) {
  std::printf("%-21s  %s of %s answers, %s of them given to no other account; %s to %s  %s\n",
              one.account.c_str(), base::grouped(one.found).c_str(),
              base::grouped(one.answers).c_str(), base::grouped(one.found_alone).c_str(),
              base::iso_time(one.first_ms).c_str(), base::iso_time(one.last_ms).c_str(),
              name.c_str());
}

}  // namespace

Result<void> match_answers(accounts::Book& book, const std::string& folder,
                           const std::string& file) {
  if (!base::exists(file)) {
    return base::not_found("there is no such file", file,
                           "retort account match FILE looks for answers in its texts");
  }
  RETORT_TRY(const auto matched, provider::match_sketches(folder, [&file](const UseText& use) {
               return visit_file(file, use);
             }));
  int64_t answers = 0, found = 0;
  for (const auto& one : matched) {
    answers += one.answers;
    found += one.found;
    if (one.found == 0) continue;
    const auto account = book.account(one.account);
    const std::string name = account ? account->name : "";
    globals().json ? print_json(matched_json(one, name)) : print_matched(one, name);
  }
  std::fprintf(stderr, "%s of the %s answers that sketches are kept of are in %s\n",
               base::grouped(found).c_str(), base::grouped(answers).c_str(), file.c_str());
  return {};
}

}  // namespace retort::cli
