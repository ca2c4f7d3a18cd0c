// One answer with everything that permission and training need to know about it. Plain data. The
// JSON form is a line of the chat format, {"messages": [..., the answer], "retort": {...}}, which
// other programs read as it is.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dialog/message.h"
#include "json/value.h"
#include "terms/evaluate.h"

namespace retort::corpus {

enum class Kind : uint8_t { teacher = 1, human = 2, derived = 3, merged = 4 };
const char* name(Kind kind);

// The way an answer came. Terms bind a door, not a model's name alone.
struct Door {
  std::string provider{};  // "local", "example.com"
  std::string endpoint{};  // the URL asked, without user, query and key; "" for own data
  std::string plan{};      // as the provider calls it; "" when there is none
  bool operator==(const Door&) const = default;
};

struct Sampling {
  double temperature = 1, top_p = 1;
  int64_t top_k = 0;  // 0: not sent
  double repetition_penalty = 1;
  int64_t max_tokens = 0;  // 0: not sent
  std::optional<int64_t> seed{};
  std::vector<std::string> stop{};
  int64_t top_logprobs = 0;  // alternatives asked for each token; 0: not asked
  bool operator==(const Sampling&) const = default;
};

struct Usage {
  int64_t prompt_tokens = 0, completion_tokens = 0;
  bool operator==(const Usage&) const = default;
};

// Features of the door that a request used; terms may exclude some. Bits of Record::features.
enum Feature : uint16_t {
  kStreamed = 1,
  kLogprobs = 2,
  kJsonMode = 4,
  kTools = 8,
  kWebSearch = 16,
  kImages = 32,
};
// "streamed", "logprobs", "json_mode", "tools", "web_search", "images".
std::vector<std::string> feature_names(uint16_t features);

// A record that another one was made from: its place in a sealed shard and its leaf there.
struct ParentLink {
  std::string shard{};  // digest, 64 hex digits
  int64_t row = 0;
  std::string leaf{};  // 64 hex digits
  bool operator==(const ParentLink&) const = default;
};

// What the terms of one ancestor are judged by. A merged record has one an ancestor.
struct Origin {
  Kind kind = Kind::teacher;  // teacher or human
  Door door{};
  std::string model{}, model_answered{};
  std::vector<terms::Reference> terms{};
  int64_t captured_ms = 0;
  terms::Preference preference = terms::Preference::absent;
  uint16_t features = 0;
  bool operator==(const Origin&) const = default;
};

struct Record {
  std::string key;  // record_key(): 64 hex digits
  Kind kind = Kind::teacher;

  // What was asked.
  Door door;
  std::string model;  // as asked
  dialog::Messages messages;
  Sampling sampling;
  int64_t sample = 0;                        // the how manieth answer to the same request, from 0
  std::map<std::string, std::string> slots;  // of a prompt made from a template: slot to value
  int64_t template_index = -1;               // which template; -1: none
  std::vector<terms::Reference> terms;       // of the door (outputs) and of the prompts (texts)

  // What came back.
  std::string model_answered;
  std::string answer;
  std::string finish_reason;  // "stop", "length", ...
  Usage usage;
  std::string request_id;   // the provider's
  int64_t captured_ms = 0;  // set by Gathering (or the import), never by the caller
  terms::Preference preference = terms::Preference::absent;
  std::string preference_text;  // the header as it was sent
  uint16_t features = 0;
  // Cost in millionths of the currency's unit: exact, no rounding in sums.
  int64_t cost_micros = 0;
  std::string currency = "USD";
  std::string principal;       // who asked: an account or key id, never a key
  int64_t logprob_tokens = 0;  // of the answer, whose log-probabilities are kept (logprobs.h)

  // What became of it.
  std::string split;                // "train", "held_out", ...; "" before curation
  std::vector<ParentLink> parents;  // of derived and merged records
  std::vector<Origin> origins;      // of merged records with more than one ancestor

  // 16 bytes beside the content: content hashes in the log are salted, so that deleting both leaves
  // the tree valid and the hash unconfirmable.
  std::array<uint8_t, 16> salt{};

  bool operator==(const Record&) const = default;
};

// SHA-256 of (door, model, messages, sampling, sample); own texts add their answer. Terms and time
// are no part of it: asking the same again is the same record.
std::string record_key(const Record& record);

json::Value to_json(const Record& record);
// Refuses unknown schema versions, wrong types and keys that do not fit the content.
Result<Record> record_from_json(const json::Value& value, std::string_view where);

// What `terms::evaluate` is asked about the record: one entry an ancestor.
std::vector<terms::Facts> facts_of(const Record& record);

// Decimal money: "5.00" to 5'000'000; at most six decimals; refuses anything else.
Result<int64_t> parse_micros(std::string_view text);
// "5.00", "0.000125": at least two decimals.
std::string format_micros(int64_t micros);

}  // namespace retort::corpus
