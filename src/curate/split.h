// What is held out for evaluation. Two kinds of prompts, two guarantees:
//   prompts with slots   Some values are held out ("whale", "anchor"). A record is held out when
//   any
//                        slot of its prompt has such a value, so no training prompt names one, and
//                        every held-out prompt names at least one thing that no training prompt
//                        names. Nothing is dropped for mixing: a held-out prompt may also name a
//                        thing that was trained on.
//   other prompts        Prompts that are the same or near copies (near.h) go to the same side.
// The choice is a pure function of the set of records and the seed, not of their order.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "curate/words.h"

namespace retort::curate {

// What was decided before: where records come part by part, earlier parts are not judged again.
// neither: it is on no side.
enum class Side { open, train, held_out, neither };

struct SplitItem {
  Fingerprint prompt;               // of the normalised messages
  std::vector<std::string> values;  // of its slots, lower case; empty for other prompts
  Shingles prompt_shingles;         // of other prompts
  Side side = Side::open;
};

struct SplitOptions {
  double held_out = 0.05;  // share of the records, [0, 0.5]
  double near = 0.7;       // similarity from which prompts count as copies; 0: only equal ones
  uint64_t seed = 1;
  std::vector<std::string> held_values = {};  // that earlier parts hold out
};

struct Split {
  std::vector<bool> held_out;  // by item
  // By item: alike to training prompts and to held-out ones of before. It can be on no side.
  std::vector<bool> neither;
  std::vector<std::string> held_out_values;  // sorted
  int64_t prompt_groups = 0;                 // groups of like prompts among the other prompts
  std::vector<std::string> notes;            // what people should know
};

Split split(const std::vector<SplitItem>& items, const SplitOptions& options);
// For records that are learnt part by part (corpus/terms_part.h): the side of a record depends on
// its own part and on earlier ones, never on a later one, so that what is left when a later part
// goes is what it was. The guarantees hold over all parts together. `parts`: the part of each item;
// items of a part stand together, parts in their order.
Split split_parts(const std::vector<SplitItem>& items, const std::vector<int64_t>& parts,
                  const SplitOptions& options);

}  // namespace retort::curate
