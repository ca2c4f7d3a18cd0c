// A stage's options, stated once: the list gives defaults, parsing from the run file and from
// flags, help, and the resolved file that is written beside a run.
//
//   struct TrainOptions { double lr = 1e-3; int64_t epochs = 6; };
//   void describe(Options& table, TrainOptions& o) {
//     table.add("lr", &o.lr, "peak learning rate");
//     table.add("epochs", &o.epochs, "passes over the data");
//   }
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace retort::base {

using Target = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*,
                            std::map<std::string, std::string>*>;

struct Option {
  std::string name;  // "train.lr" once a table prefix was set
  Target target;
  std::string help;
};

class Options {
 public:
  // Later adds are named PREFIX.NAME; "" for none.
  void set_prefix(std::string prefix) { prefix_ = std::move(prefix); }
  void add(const std::string& name, Target target, std::string help);

  const std::vector<Option>& all() const { return options_; }
  const Option* find(std::string_view name) const;
  // The known name nearest to a wrong one (edit distance), for "did you mean".
  std::string nearest(std::string_view name) const;

  // Text as a person types it. A list takes all texts, the others exactly one. For a map the name
  // is "words.noun" with "words" the map's option.
  Result<void> set(const std::string& name, const std::vector<std::string>& texts);
  // The error for a name that is not known: names the nearest one.
  Error unknown(const std::string& name) const;

  // The value as text that set() takes back; lists and maps one element a string.
  std::vector<std::string> value_texts(const Option& option) const;

 private:
  std::string prefix_;
  std::vector<Option> options_;
};

// Levenshtein distance; both texts short.
size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace retort::base
