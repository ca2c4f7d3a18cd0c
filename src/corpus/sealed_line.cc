#include "corpus/sealed_line_internal.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace retort::corpus {
namespace {

using json::ScannedString;
using json::Scanner;

constexpr uint8_t kNoDigit = 0xff;

constexpr std::array<uint8_t, 256> small_hex_digits() {
  std::array<uint8_t, 256> out{};
  for (auto& value : out) value = kNoDigit;
  for (uint8_t i = 0; i < 10; ++i) out['0' + i] = i;
  for (uint8_t i = 0; i < 6; ++i) out['a' + i] = static_cast<uint8_t>(10 + i);
  return out;
}
constexpr auto kHexDigits = small_hex_digits();

// Small digits only, as this program writes them.
template <size_t n>
bool read_hex(std::string_view text, std::array<uint8_t, n>& out) {
  if (text.size() != 2 * n) return false;
  uint8_t wrong = 0;
  for (size_t i = 0; i < n; ++i) {
    const uint8_t high = kHexDigits[static_cast<uint8_t>(text[2 * i])];
    const uint8_t low = kHexDigits[static_cast<uint8_t>(text[2 * i + 1])];
    wrong |= high | low;  // a digit is below 16
    out[i] = static_cast<uint8_t>(high << 4 | (low & 15));
  }
  return wrong < 16;
}

bool plain_string(Scanner& in, std::string_view& out) {
  ScannedString text;
  if (!in.string(text) || text.has_escapes) return false;
  out = text.inside;
  return true;
}

// A number as it is printed for hashing.
bool real(Scanner& in, double& value, std::string& canonical) {
  std::string_view text;
  if (!in.number(text)) return false;
  const auto parsed = json::parse(text);
  if (!parsed || !parsed->is_number()) return false;
  value = parsed->as_number();
  canonical = json::canonical(json::Value(value));
  return true;
}

std::string_view between(const char* first, const Scanner& in) {
  return {first, static_cast<size_t>(in.rest().data() - first)};
}

std::optional<dialog::Role> find_role(std::string_view word) {
  using dialog::Role;
  static const std::array<std::pair<std::string_view, Role>, 3> kRoles = {
      {{dialog::name(Role::user), Role::user},
       {dialog::name(Role::assistant), Role::assistant},
       {dialog::name(Role::system), Role::system}}};
  for (const auto& [name, role] : kRoles) {
    if (word == name) return role;
  }
  return std::nullopt;
}

}  // namespace

bool SealedLine::read(std::string_view line) {
  Scanner in(line);
  return json::is_utf8(line) && scan(in) && in.at_end() && fits_key();
}

template <class Scan>
bool SealedLine::Part::read(Scanner& in, const Scan& scan) {
  if (!raw_.empty() && in.literal(std::string_view(raw_))) return true;
  Scanner ahead = in;
  const bool taken = scan(ahead);
  raw_ = taken ? between(in.rest().data(), ahead) : std::string_view();
  if (!taken) return false;
  in = ahead;
  Scanner own(raw_);
  return scan(own);  // once more, for what points into it
}

bool SealedLine::scan(Scanner& in) {
  if (!scan_messages(in)) return false;
  if (!in.literal(R"(,"retort":{"schema":"retort.record/1","key":)")) return false;
  if (!plain_string(in, key_hex_) || !read_hex(key_hex_, key_)) return false;
  if (!origin_.read(in, [this](Scanner& part) { return scan_origin(part); })) return false;
  if (!in.literal(R"(,"sampling":)") || !scan_sampling(in)) return false;
  if (!in.literal(R"(,"sample":)") || !in.integer(sample_)) return false;
  if (!terms_part_.read(in, [this](Scanner& part) { return scan_terms(part); })) return false;
  template_index_ = -1;
  if (in.literal(R"(,"template":)") && !in.integer(template_index_)) return false;
  if (!scan_slots(in) || !scan_answer(in) || !scan_parents(in)) return false;
  std::string_view salt;
  return in.literal(R"(,"salt":)") && plain_string(in, salt) && read_hex(salt, salt_) &&
         in.literal("}}");
}

bool SealedLine::scan_messages(Scanner& in) {
  turns_.clear();
  if (!in.literal(R"({"messages":[)")) return false;
  do {
    Turn turn{};
    if (!in.literal(R"({"role":)") || !plain_string(in, turn.role_name)) return false;
    const auto role = find_role(turn.role_name);
    if (!role) return false;
    turn.role = *role;
    if (!in.literal(R"(,"content":)") || !in.string(turn.content) || !in.literal("}")) return false;
    turns_.push_back(turn);
  } while (in.literal(","));
  return turns_.back().role == dialog::Role::assistant && in.literal("]");
}

bool SealedLine::scan_origin(Scanner& in) {
  has_codes_ = false;
  std::string_view kind;
  if (!in.literal(R"(,"kind":)") || !plain_string(in, kind)) return false;
  bool known = false;
  for (const Kind one : {Kind::teacher, Kind::human, Kind::derived, Kind::merged}) {
    if (kind != name(one)) continue;
    kind_ = one;
    known = true;
  }
  const bool taken = known && in.literal(R"(,"provider":)") && in.string(provider_) &&
                     in.literal(R"(,"endpoint":)") && in.string(endpoint_) &&
                     in.literal(R"(,"plan":)") && in.string(plan_) && in.literal(R"(,"model":)") &&
                     in.string(model_);
  if (taken) note_key_parts();
  return taken;
}

bool SealedLine::scan_sampling_head(Scanner& in) {
  // As long as it is, and not the beginning of a longer number.
  const std::string_view after = in.rest().substr(std::min(head_.raw.size(), in.rest().size()), 1);
  if (!head_.raw.empty() && (after == "," || after == "}") &&
      in.literal(std::string_view(head_.raw))) {
    return true;
  }
  const char* const first = in.rest().data();
  SamplingHead head;
  std::string temperature, top_p, penalty;
  auto& sampling = head.sampling;
  const bool taken = in.literal(R"({"temperature":)") &&
                     real(in, sampling.temperature, temperature) && in.literal(R"(,"top_p":)") &&
                     real(in, sampling.top_p, top_p) && in.literal(R"(,"top_k":)") &&
                     in.integer(sampling.top_k) && in.literal(R"(,"repetition_penalty":)") &&
                     real(in, sampling.repetition_penalty, penalty) &&
                     in.literal(R"(,"max_tokens":)") && in.integer(sampling.max_tokens);
  if (!taken) return false;
  head.canonical = {
      R"({"max_tokens":)" + std::to_string(sampling.max_tokens) + R"(,"repetition_penalty":)" +
          penalty,
      R"(,"temperature":)" + temperature + R"(,"top_k":)" + std::to_string(sampling.top_k),
      R"(,"top_p":)" + top_p + "}"};
  head.raw = between(first, in);
  head_ = std::move(head);
  return true;
}

bool SealedLine::scan_stops(Scanner& in) {
  stops_.clear();
  stops_raw_ = {};
  if (!in.literal(R"(,"stop":)")) return true;
  const char* const first = in.rest().data();
  if (!in.literal("[")) return false;
  do {
    Text stop;
    if (!in.string(stop)) return false;
    stops_.push_back(stop);
  } while (in.literal(","));
  if (!in.literal("]")) return false;
  stops_raw_ = between(first, in);
  return true;
}

bool SealedLine::scan_sampling(Scanner& in) {
  if (!scan_sampling_head(in)) return false;
  has_seed_ = in.literal(R"(,"seed":)");
  if (has_seed_ && !in.integer(seed_)) return false;
  top_logprobs_ = 0;
  if (in.literal(R"(,"top_logprobs":)") && (!in.integer(top_logprobs_) || top_logprobs_ <= 0)) {
    return false;
  }
  return scan_stops(in) && in.literal("}");
}

bool SealedLine::scan_terms(Scanner& in) {
  has_codes_ = false;
  std::vector<terms::Reference> found;
  if (!in.literal(R"(,"terms":[)")) return false;
  if (!in.literal("]")) {
    do {
      Text id;
      std::string_view word;
      if (!in.literal(R"({"id":)") || !in.string(id)) return false;
      if (!in.literal(R"(,"object":)") || !plain_string(in, word) || !in.literal("}")) return false;
      const auto object = terms::parse_object(word);
      if (!object) return false;
      found.push_back({id.text(), *object});
    } while (in.literal(","));
    if (!in.literal("]")) return false;
  }
  terms_ = std::move(found);
  return true;
}

// Rising order is the one in which they are written, and no slot is there twice.
bool SealedLine::scan_slots(Scanner& in) {
  slots_.clear();
  if (!in.literal(R"(,"slots":{)")) return true;
  do {
    Text slot, word;
    if (!in.string(slot) || !in.literal(":") || !in.string(word)) return false;
    if (!slots_.empty() && slots_.back().first.inside >= slot.inside) return false;
    slots_.emplace_back(slot, word);
  } while (in.literal(","));
  return in.literal("}");
}

bool SealedLine::scan_cost(Scanner& in) {
  std::string_view text;
  if (!plain_string(in, text)) return false;
  if (text == cost_raw_ && !cost_raw_.empty()) {
    cost_micros_ = cost_of_raw_;
    return true;
  }
  const auto micros = parse_micros(text);
  if (!micros) return false;
  cost_micros_ = cost_of_raw_ = *micros;
  cost_raw_ = text;
  return true;
}

bool SealedLine::scan_answer(Scanner& in) {
  const bool taken =
      ending_.read(in, [this](Scanner& part) { return scan_ending(part); }) &&
      in.literal(R"(,"usage":{"prompt_tokens":)") && in.integer(prompt_tokens_) &&
      in.literal(R"(,"completion_tokens":)") && in.integer(completion_tokens_) &&
      in.literal(R"(},"request_id":)") && in.string(request_id_) &&
      in.literal(R"(,"captured_ms":)") && in.integer(captured_ms_) &&
      answered_under_.read(in, [this](Scanner& part) { return scan_answered_under(part); }) &&
      scan_cost(in) && payer_.read(in, [this](Scanner& part) { return scan_payer(part); });
  if (!taken) return false;
  logprob_tokens_ = 0;
  if (!in.literal(R"(,"logprob_tokens":)")) return true;
  return in.integer(logprob_tokens_) && logprob_tokens_ >= 0;
}

bool SealedLine::scan_ending(Scanner& in) {
  return in.literal(R"(,"model_answered":)") && in.string(model_answered_) &&
         in.literal(R"(,"finish_reason":)") && in.string(finish_reason_);
}

bool SealedLine::scan_answered_under(Scanner& in) {
  return in.literal(R"(,"preference":)") && in.integer(preference_) &&
         in.literal(R"(,"preference_text":)") && in.string(preference_text_) &&
         in.literal(R"(,"features":)") && in.integer(features_) && in.literal(R"(,"cost":)") &&
         preference_ >= 0 && preference_ <= 2 && features_ >= 0 && features_ <= 0xffff;
}

bool SealedLine::scan_payer(Scanner& in) {
  return in.literal(R"(,"currency":)") && in.string(currency_) && in.literal(R"(,"principal":)") &&
         in.string(principal_);
}

bool SealedLine::scan_parents(Scanner& in) {
  parents_.clear();
  split_ = {};
  if (in.literal(R"(,"split":)") && !in.string(split_)) return false;
  if (in.literal(R"(,"parents":[)")) {
    do {
      Parent parent{};
      const bool taken = in.literal(R"({"shard":)") && plain_string(in, parent.shard) &&
                         in.literal(R"(,"row":)") && in.integer(parent.row) &&
                         in.literal(R"(,"leaf":)") && plain_string(in, parent.leaf) &&
                         in.literal("}");
      crypto::Digest leaf;
      if (!taken || !read_hex(parent.leaf, leaf)) return false;
      std::copy_n(leaf.begin(), parent.first_of_leaf.size(), parent.first_of_leaf.begin());
      parents_.push_back(parent);
    } while (in.literal(","));
    if (!in.literal("]") || parents_.size() > kMaxParents) return false;
  }
  const bool made = kind_ == Kind::derived || kind_ == Kind::merged;
  return made != parents_.empty();
}

Record SealedLine::record() const {
  Record out;
  out.key = key_hex_;
  out.kind = kind_;
  out.door = {provider_.text(), endpoint_.text(), plan_.text()};
  out.model = model_.text();
  out.messages.reserve(turns_.size() - 1);
  for (size_t i = 0; i + 1 < turns_.size(); ++i) {
    out.messages.push_back({turns_[i].role, turns_[i].content.text()});
  }
  out.sampling = head_.sampling;
  if (has_seed_) out.sampling.seed = seed_;
  out.sampling.top_logprobs = top_logprobs_;
  for (const auto& stop : stops_) out.sampling.stop.push_back(stop.text());
  out.sample = sample_;
  for (const auto& [slot, word] : slots_)
    out.slots.emplace_hint(out.slots.end(), slot.text(), word.text());
  out.template_index = template_index_;
  out.terms = terms_;
  out.model_answered = model_answered_.text();
  out.answer = turns_.back().content.text();
  out.finish_reason = finish_reason_.text();
  out.usage = {prompt_tokens_, completion_tokens_};
  out.request_id = request_id_.text();
  out.captured_ms = captured_ms_;
  out.preference = static_cast<terms::Preference>(preference_);
  out.preference_text = preference_text_.text();
  out.features = features();
  out.cost_micros = cost_micros_;
  out.currency = currency_.text();
  out.principal = principal_.text();
  out.logprob_tokens = logprob_tokens_;
  out.split = split_.text();
  for (const auto& parent : parents_) {
    out.parents.push_back({std::string(parent.shard), parent.row, std::string(parent.leaf)});
  }
  out.salt = salt_;
  return out;
}

}  // namespace retort::corpus
