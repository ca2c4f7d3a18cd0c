#include "corpus/door.h"

#include <algorithm>

#include "corpus/clearance_internal.h"
#include "corpus/record_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {

Door door_at(const std::string& base_url, const std::string& route) {
  std::string url = base_url.substr(0, base_url.find_first_of("?#"));
  while (url.ends_with('/')) url.pop_back();
  const size_t scheme = url.find("://");
  const size_t start = scheme == std::string::npos ? 0 : scheme + 3;
  size_t end = std::min(url.find('/', start), url.size());
  if (const size_t at = url.rfind('@', end); at != std::string::npos && at > start) {
    url.erase(start, at + 1 - start);
    end -= at + 1 - start;
  }
  const std::string authority = url.substr(start, end - start);
  const std::string host = authority.starts_with('[') ? authority.substr(0, authority.find(']') + 1)
                                                      : authority.substr(0, authority.find(':'));
  Door door;
  const bool local = host == "localhost" || host == "127.0.0.1" || host == "[::1]";
  door.provider = local ? "local" : host;
  if (local) url.replace(start, end - start, "localhost");
  door.endpoint = url + route;
  return door;
}

namespace {

// As log-probabilities that stand beside its answers: that is what comes back.
Origin origin_of(const Teaching& teaching, const terms::TermsSet& terms, int64_t now_ms) {
  Origin origin;
  origin.door = door_at(teaching.base_url, teaching.route);
  origin.model = origin.model_answered = teaching.model;
  for (const auto* one : terms.all()) origin.terms.push_back({one->id, terms::Object::outputs});
  origin.captured_ms = now_ms;
  origin.features = kLogprobs;
  return origin;
}

}  // namespace

// A model that will be distributed must be permitted to be, since what is said here stays in it.
Tally Clearance::judge_door(const Origin& origin, terms::Action action) const {
  Tally tally;
  const terms::Facts facts = facts_of_origin(origin);
  tally.add(impl_->judge(facts, purpose_, action));
  if (purpose_.distributed) {
    tally.add(impl_->judge(facts, purpose_, terms::Action::publish_model));
  }
  return tally;
}

Result<Clearance::CheckedDoor> Clearance::check_door(const Teaching& teaching,
                                                     const std::vector<std::string>& terms_files,
                                                     terms::Action action) {
  RETORT_TRY(const auto set, impl_->take_terms(terms_files));
  CheckedDoor out;
  out.origin = origin_of(teaching, set, impl_->clock->wall_ms());
  Record asked;
  asked.door = out.origin.door;
  asked.model = teaching.model;
  RETORT_TRY(const auto doors, impl_->codes.doors_of(asked));
  out.entry = doors.front();
  impl_->note_terms_of_no_record(out.origin.terms);
  const Tally tally = judge_door(out.origin, action);
  out.permit.action = action;
  out.permit.decision = tally.decision();
  out.permit.duties = tally.duties();
  for (const auto& reference : out.origin.terms) out.permit.terms_ids.push_back(reference.id);
  const std::string& endpoint = out.origin.door.endpoint;
  const std::string label = "scores by " + teaching.model + " at " + endpoint;
  RETORT_TRY_VOID(log_verdict(
      out.permit, {label, "", crypto::sha256_hex(endpoint + " " + teaching.model)}, tally));
  if (!tally.permits()) return tally.error(action, 0).at(endpoint);
  return out;
}

Result<void> Clearance::still_open(const Origin& origin, terms::Action action) const {
  RETORT_TRY_VOID(impl_->read_log());
  Origin now = origin;
  now.captured_ms = impl_->clock->wall_ms();
  const Tally tally = judge_door(now, action);
  if (tally.permits()) return {};
  return tally.error(action, 0).at(origin.door.endpoint);
}

}  // namespace retort::corpus
