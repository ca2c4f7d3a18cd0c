#include "release/duties.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/files.h"

namespace retort::release {
namespace {

constexpr int64_t kFileBytesMax = int64_t{16} << 20;

Error unmet(const Duty& duty, const std::string& why, const std::string& hint) {
  return Error{ErrorCode::refused_by_gate,
               fmt::format("the duty {} of {} is unmet: {}", name(duty.kind), duty.terms, why),
               "export", hint};
}

// "Apache-2.0" -> "LICENSE.Apache-2.0.txt"; characters that are odd in file names become "-".
std::string licence_file(const std::string& licence) {
  std::string out = "LICENSE.";
  for (const char c : base::base_name(licence)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '-' || c == '_';
    out += plain ? c : '-';
  }
  return out.ends_with(".txt") ? out : out + ".txt";
}

void add_file(DutyPlan& plan, const std::string& file, const std::string& content) {
  for (auto& [known, text] : plan.files) {
    if (known != file) continue;
    if (text.find(content) == std::string::npos) text += "\n" + content;
    return;
  }
  plan.files.emplace_back(file, content);
}

Result<void> plan_one(DutyPlan& plan, const Duty& duty, const std::string& model_id,
                      const std::map<std::string, std::string>& licence_texts) {
  switch (duty.kind) {
    case DutyKind::name_prefix:
      if (!model_id.starts_with(duty.value)) {
        return unmet(
            duty, fmt::format("the name \"{}\" does not begin with \"{}\"", model_id, duty.value),
            "give the student another purpose.model_id");
      }
      return {};
    case DutyKind::display:
    case DutyKind::use_policy:
    case DutyKind::user_limit:
      plan.card_lines.push_back(duty.kind == DutyKind::display ? duty.value
                                : duty.kind == DutyKind::use_policy
                                    ? "Use is bound by: " + duty.value
                                    : "At most " + duty.value + " users a month");
      return {};
    case DutyKind::licence_copy: {
      const auto text = licence_texts.find(duty.value);
      if (text == licence_texts.end() || text->second.empty()) {
        return unmet(duty, fmt::format("the text of the licence {} is not at hand", duty.value),
                     fmt::format("put it beside the terms file, as LICENSES/{}.txt",
                                 base::base_name(duty.value)));
      }
      add_file(plan, licence_file(duty.value), text->second);
      plan.card_lines.push_back(
          fmt::format("A copy of {} is in {}", duty.value, licence_file(duty.value)));
      return {};
    }
    case DutyKind::notice:
      add_file(plan, "NOTICE", duty.value + "\n");
      return {};
  }
  return {};
}

}  // namespace

const char* name(DutyKind kind) {
  switch (kind) {
    case DutyKind::name_prefix:
      return "name_prefix";
    case DutyKind::display:
      return "display";
    case DutyKind::licence_copy:
      return "licence_copy";
    case DutyKind::notice:
      return "notice";
    case DutyKind::use_policy:
      return "use_policy";
    case DutyKind::user_limit:
      return "mau_limit";
  }
  return "?";
}

std::vector<Duty> duties_of(const std::vector<terms::OwedDuty>& owed) {
  std::vector<Duty> duties;
  for (const auto& [terms_id, label, duty] : owed) {
    const auto add = [&](DutyKind kind, const std::string& value) {
      if (!value.empty()) duties.push_back({kind, value, label, terms_id});
    };
    add(DutyKind::name_prefix, duty.name_prefix);
    for (const auto& text : duty.display) add(DutyKind::display, text);
    add(DutyKind::licence_copy, duty.licence_copy);
    add(DutyKind::notice, duty.notice);
    add(DutyKind::use_policy, duty.use_policy);
    add(DutyKind::user_limit, duty.mau_limit > 0 ? std::to_string(duty.mau_limit) : "");
  }
  return duties;
}

Result<DutyPlan> plan_duties(const std::vector<Duty>& duties, const std::string& model_id,
                             const std::map<std::string, std::string>& licence_texts) {
  DutyPlan plan;
  const Duty* prefix = nullptr;
  for (const Duty& duty : duties) {
    if (duty.value.empty()) continue;
    if (duty.kind == DutyKind::name_prefix) {
      if (prefix != nullptr && !prefix->value.starts_with(duty.value) &&
          !duty.value.starts_with(prefix->value)) {
        return unmet(duty,
                     fmt::format("it asks for a name that begins with \"{}\", and {} for "
                                 "\"{}\"",
                                 duty.value, prefix->terms, prefix->value),
                     "no name can meet both; learn from one of the two only");
      }
      prefix = &duty;
    }
    RETORT_TRY_VOID(plan_one(plan, duty, model_id, licence_texts));
    plan.met.push_back(fmt::format(
        "{} of {}: {}", name(duty.kind), duty.terms,
        duty.kind == DutyKind::user_limit ? "printed on the card, not checked" : "met"));
  }
  return plan;
}

Result<void> check_duties(const DutyPlan& plan, const std::string& folder) {
  const auto refuse = [](const std::string& what) {
    return Error{ErrorCode::refused_by_gate, what, "export",
                 "export again; if it stays so, this is a mistake in retort"};
  };
  for (const auto& [file, content] : plan.files) {
    const auto found = base::read_file(base::join(folder, file), kFileBytesMax);
    if (!found || *found != content) {
      return refuse(fmt::format("a duty is unmet: {} is not what the terms ask for", file));
    }
  }
  RETORT_TRY(const std::string card,
             base::read_file(base::join(folder, "README.md"), kFileBytesMax));
  for (const auto& line : plan.card_lines) {
    if (card.find(line) == std::string::npos) {
      return refuse(fmt::format("a duty is unmet: the model card does not show \"{}\"", line));
    }
  }
  return {};
}

}  // namespace retort::release
