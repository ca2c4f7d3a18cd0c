// A line of a shard as this program writes it, read where it lies: what verifying needs of it (key,
// leaf, features) without a document and a record in between, and the record itself where that is
// wanted. It takes the one spelling that to_json() gives, and of that only what record_from_json()
// takes as well; for every other line it says no, and record_from_json() decides.
#pragma once
#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "corpus/columns_internal.h"
#include "corpus/record.h"
#include "corpus/record_internal.h"
#include "crypto/hash.h"
#include "json/scan.h"

namespace retort::corpus {

// Belongs to one thread. Lines that follow each other are mostly alike: the parts that say how and
// under which terms a record was gathered are looked at once as long as their bytes are the same.
class SealedLine {
 public:
  SealedLine() = default;
  SealedLine(const SealedLine&) = delete;  // parts of it point into others
  SealedLine& operator=(const SealedLine&) = delete;

  // Whether the line was taken; its key fits its content then. What the other calls give is of the
  // last line that was taken, whose bytes must still be there.
  bool read(std::string_view line);

  const crypto::Digest& key() const { return key_; }
  uint16_t features() const { return static_cast<uint16_t>(features_); }
  int64_t logprob_tokens() const { return logprob_tokens_; }
  int64_t captured_ms() const { return captured_ms_; }
  // class_of(record(), codes) == facts.
  bool is_of(const ColumnClass& facts, const LeafCodes& codes) const;
  Record record() const;

  // The same for all lines with the same door and terms: asked of `find` when these change.
  using FindCodes = std::function<Result<LeafCodes>(const Record&)>;
  Result<LeafCodes> codes(const FindCodes& find);
  // leaf_of(record(), codes).
  crypto::Digest leaf(const LeafCodes& codes);

 private:
  using Text = json::ScannedString;
  struct Turn {
    dialog::Role role;
    std::string_view role_name;
    Text content;
  };
  struct Parent {
    std::string_view shard, leaf;
    int64_t row;
    std::array<uint8_t, 8> first_of_leaf;
  };
  // What mostly stands in a line as in the one before: read once as long as its bytes are the
  // same, and what was read lies in its own copy. It ends with a quote, a bracket or a colon, so
  // that no longer text can begin with it.
  class Part {
   public:
    template <class Scan>
    bool read(json::Scanner& in, const Scan& scan);

   private:
    std::string raw_;
  };
  bool scan(json::Scanner& in);
  bool scan_messages(json::Scanner& in);
  bool scan_origin(json::Scanner& in);
  bool scan_sampling(json::Scanner& in);
  bool scan_sampling_head(json::Scanner& in);
  bool scan_stops(json::Scanner& in);
  bool scan_terms(json::Scanner& in);
  bool scan_slots(json::Scanner& in);
  bool scan_answer(json::Scanner& in);
  bool scan_ending(json::Scanner& in);
  bool scan_answered_under(json::Scanner& in);
  bool scan_payer(json::Scanner& in);
  bool scan_cost(json::Scanner& in);
  bool scan_parents(json::Scanner& in);
  void note_key_parts();
  void append_messages(std::string& out) const;
  void append_sampling(std::string& out) const;
  void write_canonical();
  void hash_content();
  bool fits_key();

  Kind kind_ = Kind::teacher;
  std::string_view key_hex_, stops_raw_;
  crypto::Digest key_{};
  std::vector<Turn> turns_;  // the last is the answer
  Text provider_, endpoint_, plan_, model_;
  int64_t sample_ = 0, template_index_ = -1;
  int64_t seed_ = 0, top_logprobs_ = 0;
  bool has_seed_ = false;
  std::vector<Text> stops_;
  std::vector<std::pair<Text, Text>> slots_;
  Text model_answered_, finish_reason_, request_id_, preference_text_, currency_, principal_;
  Text split_;
  int64_t prompt_tokens_ = 0, completion_tokens_ = 0, captured_ms_ = 0, preference_ = 0;
  int64_t features_ = 0, cost_micros_ = 0, logprob_tokens_ = 0;
  std::vector<Parent> parents_;
  std::array<uint8_t, 16> salt_{};

  // Kept from line to line. Of the sampling: all but seed, stops and number of alternatives.
  struct SamplingHead {
    std::string raw;
    Sampling sampling;
    std::array<std::string, 3> canonical;  // what stands before, between and behind those
  };
  SamplingHead head_;
  Part origin_, terms_part_, ending_, answered_under_, payer_;
  struct KeyParts {
    std::string before_messages, model;
  };
  KeyParts key_parts_;  // of the text that the key is the hash of
  std::vector<terms::Reference> terms_;
  std::string cost_raw_;
  int64_t cost_of_raw_ = 0;
  LeafCodes codes_{};
  bool has_codes_ = false;  // for origin_ and terms_part_

  std::string canonical_, scratch_, leaf_bytes_;
  size_t messages_at_ = 0, messages_size_ = 0;  // in canonical_
  struct Hashes {
    crypto::Digest key{}, prompt{}, answer{};  // the last two under the salt
  };
  Hashes hashes_;
};

}  // namespace retort::corpus
