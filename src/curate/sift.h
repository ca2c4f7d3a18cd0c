// The whole of curation as a pure function of records: which to leave out and why, which to train
// on, which to hold out. The result does not depend on the order of the records.
//
// What is compared when copies are looked for:
//   exact copies  prompt and answer, both as words (words.h).
//   near copies   the answer alone, as the set of its three-word runs, after every value of the
//                 prompt's own slots was replaced by a mark: two stories that differ only in the
//                 thing asked for are copies, and the words of a template, which stand in every
//                 prompt, make nothing look alike. Answers of fewer than kNearWords words are not
//                 compared: short ones (labels, numbers) are rightly the same.
//   prompts       see split.h; a record without messages counts by its text.
// Of several copies the one of the first part stays, of these the one with the smallest key: what
// becomes of a record depends on no later part. Parts that are learnt apart are each sifted alone:
// what is trained on in one depends on no other, and what is held out in one is left out where it
// is like something that another trains on.
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "corpus/record.h"
#include "curate/options.h"
#include "curate/quality.h"

namespace retort::curate {

inline constexpr size_t kNearWords = 10;

// What curation looks at; `record` outlives the call.
struct Candidate {
  const corpus::Record* record = nullptr;
  // Where records are learnt part by part (corpus/terms_part.h), the order of its part; else "".
  std::string part = {};
};

struct Sifted {
  std::vector<Drop> drops;     // by candidate; none: kept
  std::vector<bool> held_out;  // by candidate; false for what was dropped
  std::vector<std::string> held_out_values;
  int64_t prompt_groups = 0;
  // Training answers that name a held-out thing although their prompts do not.
  int64_t train_answers_with_held_out_values = 0;
  std::vector<std::string> notes;
};

enum class Parts { in_order, apart };

// `wanted`: keys of this run's records, nullptr for all. Records whose answer is from another run
// are dropped as not_in_run; own texts (kind human) always count.
Sifted sift(const std::vector<Candidate>& candidates, const Options& options,
            const std::set<std::string>* wanted, Parts parts = Parts::in_order);

// Servers name models loosely: "gpt-4o" answers as "gpt-4o-2024-08-06", a file by its path.
bool same_model(const std::string& asked, const std::string& answered);

}  // namespace retort::curate
