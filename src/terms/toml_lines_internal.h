// Where a key of a terms file stands. Terms files are flat tables of one-line keys but for lists
// and long texts, whose first line counts.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retort::terms {

class TomlLines {
 public:
  explicit TomlLines(std::string_view text);
  // The line of `key` in the `index`th table of that name ("" is the top), of its header where the
  // key is not in it, else 0.
  int64_t of(std::string_view table, std::string_view key = {}, size_t index = 0) const;
  // The line of an error by the place that it names: "a.toml:7", "a.toml: [time] until",
  // "a.toml: [[rule]] 2 unless"; `message` may name a key in “”.
  int64_t of_error(std::string_view place, std::string_view message) const;

 private:
  struct Line {
    std::string table, key;
    size_t index = 0;
    int64_t number = 0;
  };
  std::vector<Line> lines_;
};

}  // namespace retort::terms
