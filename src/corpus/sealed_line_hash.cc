// What a line that was read is hashed to: its key, and its leaf.
#include <charconv>

#include "corpus/bytes_internal.h"
#include "corpus/sealed_line_internal.h"
#include "crypto/hmac_key.h"
#include "ledger/tree.h"

namespace retort::corpus {
namespace {

void append_number(std::string& out, int64_t value) {
  std::array<char, 24> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void append_quoted(std::string& out, std::string_view inside) {
  out += '"';
  out += inside;
  out += '"';
}

}  // namespace

void SealedLine::note_key_parts() {
  std::string& before = key_parts_.before_messages;
  before = R"("door":{"endpoint":)";
  append_quoted(before, endpoint_.inside);
  before += R"(,"plan":)";
  append_quoted(before, plan_.inside);
  before += R"(,"provider":)";
  append_quoted(before, provider_.inside);
  before += "},";
  if (kind_ != Kind::teacher) {
    before += R"("kind":)";
    append_quoted(before, name(kind_));
    before += ',';
  }
  before += R"("messages":)";
  key_parts_.model = R"(,"model":)";
  append_quoted(key_parts_.model, model_.inside);
}

void SealedLine::append_messages(std::string& out) const {
  out += '[';
  for (size_t i = 0; i + 1 < turns_.size(); ++i) {
    out += i == 0 ? R"({"content":")" : R"(,{"content":")";
    out += turns_[i].content.inside;
    out += R"(","role":")";
    out += turns_[i].role_name;
    out += R"("})";
  }
  out += ']';
}

void SealedLine::append_sampling(std::string& out) const {
  out += head_.canonical[0];
  if (has_seed_) {
    out += R"(,"seed":)";
    append_number(out, seed_);
  }
  if (!stops_raw_.empty()) {
    out += R"(,"stop":)";
    out += stops_raw_;
  }
  out += head_.canonical[1];
  if (top_logprobs_ > 0) {
    out += R"(,"top_logprobs":)";
    append_number(out, top_logprobs_);
  }
  out += head_.canonical[2];
}

// The text that record_key() hashes. Strings are in the line as the canonical form has them.
void SealedLine::write_canonical() {
  std::string& out = canonical_;
  out = "{";
  if (kind_ != Kind::teacher) {
    out += R"("answer":)";
    append_quoted(out, turns_.back().content.inside);
    out += ',';
  }
  out += key_parts_.before_messages;
  messages_at_ = out.size();
  append_messages(out);
  messages_size_ = out.size() - messages_at_;
  out += key_parts_.model;
  if (kind_ != Kind::teacher) {
    out += R"(,"parents":[)";
    for (size_t i = 0; i < parents_.size(); ++i) {
      out += i == 0 ? "[" : ",[";
      append_quoted(out, parents_[i].shard);
      out += ',';
      append_number(out, parents_[i].row);
      out += ']';
    }
    out += ']';
  }
  out += R"(,"sample":)";
  append_number(out, sample_);
  out += R"(,"sampling":)";
  append_sampling(out);
  out += '}';
}

// All at once, since most of the time of one hash is waiting.
void SealedLine::hash_content() {
  const crypto::HmacKey salted({reinterpret_cast<const char*>(salt_.data()), salt_.size()});
  const auto prompt = std::string_view(canonical_).substr(messages_at_, messages_size_);
  const Text& said = turns_.back().content;
  if (said.has_escapes) said.text_to(scratch_);
  const auto answer = said.has_escapes ? std::string_view(scratch_) : said.inside;
  std::array<crypto::HashJob, 3> texts = {crypto::HashJob{.text = canonical_}, salted.inner(answer),
                                          salted.inner(prompt)};
  crypto::hash_all(texts);
  std::array<crypto::HashJob, 2> outer = {salted.outer(texts[1].digest),
                                          salted.outer(texts[2].digest)};
  crypto::hash_all(outer);
  hashes_ = {.key = texts[0].digest, .prompt = outer[1].digest, .answer = outer[0].digest};
}

// Whether record_key() of what was read is the key that the line says.
bool SealedLine::fits_key() {
  write_canonical();
  hash_content();
  return hashes_.key == key_;
}

Result<LeafCodes> SealedLine::codes(const FindCodes& find) {
  if (has_codes_) return codes_;
  Record gathered;
  gathered.door = {provider_.text(), endpoint_.text(), plan_.text()};
  gathered.model = model_.text();
  gathered.terms = terms_;
  RETORT_TRY(codes_, find(gathered));
  has_codes_ = true;
  return codes_;
}

bool SealedLine::is_of(const ColumnClass& facts, const LeafCodes& codes) const {
  const auto same = [](const Text& text, const std::string& other) {
    return text.has_escapes ? text.text() == other : text.inside == other;
  };
  return kind_ == facts.kind && codes == facts.codes && features() == facts.features &&
         static_cast<terms::Preference>(preference_) == facts.preference &&
         same(model_answered_, facts.model_answered) && same(split_, facts.split);
}

// leaf_bytes() says how the leaf is laid out.
crypto::Digest SealedLine::leaf(const LeafCodes& codes) {
  std::string& out = leaf_bytes_;
  out.clear();
  put(out, 1, 1);
  put(out, static_cast<uint64_t>(kind_), 1);
  out += crypto::as_bytes(hashes_.prompt);
  out += crypto::as_bytes(hashes_.answer);
  put_leaf_facts(out, codes,
                 {captured_ms_, static_cast<uint64_t>(preference_), features(), parents_.size()});
  for (const auto& parent : parents_) {
    out.append(reinterpret_cast<const char*>(parent.first_of_leaf.data()),
               parent.first_of_leaf.size());
  }
  return ledger::leaf_hash(out);
}

}  // namespace retort::corpus
