// Tables for a terminal: aligned columns, no control characters whatever the cells hold.
#pragma once
#include <string>
#include <vector>

namespace retort::report {

struct TextTable {
  std::vector<std::string> header;             // may be empty: no header line
  std::vector<std::vector<std::string>> rows;  // shorter rows are filled with empty cells
  std::vector<bool> right;                     // columns set to the right, as numbers are
  size_t widest_cell = 72;                     // characters; longer cells end in an ellipsis
};

// Lines that each end in a newline, without white space at their ends. A character counts as one
// column wide.
std::string format_table(const TextTable& table);

// At most `characters` of the text (0: all), printable and in one line; what was cut shows as an
// ellipsis.
std::string shortened(const std::string& text, size_t characters);

}  // namespace retort::report
