// What is doubtful about terms files, with the line: mistakes that the parser refuses, and readings
// that it accepts though they cannot mean what they say, as a permission that a prohibition of the
// same file takes back. Pure; safe from any thread.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "terms/terms.h"

namespace retort::terms {

enum class Severity {
  error,    // the file permits nothing, or is refused
  warning,  // it says something that counts for nothing, or that its reader hardly meant
};

struct Remark {
  Severity severity = Severity::warning;
  std::string file;
  int64_t line = 0;  // from 1; 0: of the file as a whole
  std::string message, hint;
  // "FILE:LINE: error: MESSAGE; HINT"
  std::string sentence() const;
};

struct LintInput {
  std::string path;  // as it is named in remarks
  std::string text;
};
// Of each file by itself, and of versions of one series among them. In the order of the lines.
std::vector<Remark> lint(const std::vector<LintInput>& files);

}  // namespace retort::terms
