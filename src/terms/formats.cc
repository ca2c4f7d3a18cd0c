#include <fmt/core.h>

#include <algorithm>

#include "json/value.h"
#include "terms/formats_internal.h"

namespace retort::terms {

Stand stand(const Terms& terms, Action action, Object object) {
  bool permitted = false;
  bool conditional = false;
  for (const Rule& rule : terms.rules) {
    if (rule.action != action || (rule.object != Object::any && rule.object != object)) continue;
    const bool plain = rule.scope == Scope::any && rule.unless.empty();
    if (rule.effect == Effect::prohibit && plain) return Stand::prohibited;
    (plain ? permitted : conditional) = true;
  }
  if (conditional) return Stand::conditional;
  if (terms.basis == Basis::silent && !terms.silence_permits) return Stand::silent;
  return permitted ? Stand::permitted : Stand::silent;
}

Object content_of(const Terms& terms) {
  const bool outputs = std::any_of(terms.rules.begin(), terms.rules.end(), [](const Rule& rule) {
    return rule.object == Object::outputs || rule.object == Object::any;
  });
  return outputs ? Object::outputs : Object::texts;
}

namespace {

Error cannot(const Terms& terms, std::string_view format, std::string why) {
  return base::bad_input(fmt::format("{} cannot say what {} says: {}", format, terms.label(), why),
                         "", "odrl can; the others speak of web content alone");
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return out;
}

// In a comment: two dashes would end it.
std::string comment(std::string text) {
  for (size_t at = text.find("--"); at != std::string::npos; at = text.find("--")) {
    text.replace(at, 2, "- -");
  }
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

// What none of the web formats has a word for.
std::vector<std::string> unsaid_of(const Terms& terms, Object object) {
  std::vector<std::string> out;
  for (const Action action : all_actions()) {
    const Stand how = stand(terms, action, object);
    if (how == Stand::conditional) {
      out.push_back(fmt::format("{} depends on a condition (scope or exception)", name(action)));
    }
  }
  if (!terms.duties.empty()) out.push_back("what a distributed model owes: name, display, notices");
  if (!terms.applies.models.empty() || !terms.applies.plans.empty()) {
    out.push_back("that the terms are those of certain models or plans");
  }
  out.push_back("from when to when this version binds");
  return out;
}

// The addresses that web formats can name: those that end with a path.
std::vector<std::string> addresses(const Terms& terms) {
  std::vector<std::string> out;
  for (const auto& pattern : terms.applies.endpoints) {
    const size_t host = pattern.find("://");
    if (host != std::string::npos && pattern.find('/', host + 3) != std::string::npos) {
      out.push_back(pattern);
    }
  }
  return out;
}

// aipref: y and n, and nothing for "unknown". Only train-ai of its words is ours.
Result<Exported> to_aipref(const Terms& terms) {
  const Object object = content_of(terms);
  const Stand train = stand(terms, Action::train_generative, object);
  if (train != Stand::permitted && train != Stand::prohibited) {
    return cannot(terms, "aipref",
                  train == Stand::conditional
                      ? "training is bound to a condition, and it knows yes and no"
                      : "no clause speaks of training");
  }
  Exported out;
  out.unsaid = unsaid_of(terms, object);
  out.unsaid.push_back("uses other than training generative models");
  out.text = fmt::format("# {}, by {}\nContent-Usage: train-ai={}\n", comment(terms.label()),
                         comment(terms.assigner), train == Stand::permitted ? 'y' : 'n');
  for (const auto& line : out.unsaid) out.text += fmt::format("# not said: {}\n", line);
  return out;
}

struct Usage {
  Action action;
  const char* word;
};
// RSL's ai-train is any training; ai-input is content that is given to a model to answer with.
constexpr Usage kRslUsage[] = {{Action::train_generative, "ai-train"}, {Action::judge, "ai-input"}};

Result<Exported> to_rsl(const Terms& terms) {
  const Object object = content_of(terms);
  const auto urls = addresses(terms);
  if (urls.empty()) return cannot(terms, "RSL", "they name no address, and it licenses addresses");
  std::string permits, prohibits;
  for (const Usage& usage : kRslUsage) {
    const Stand how = stand(terms, usage.action, object);
    std::string* words = how == Stand::permitted    ? &permits
                         : how == Stand::prohibited ? &prohibits
                                                    : nullptr;
    if (words != nullptr) *words += (words->empty() ? "" : ",") + std::string(usage.word);
  }
  if (permits.empty() && prohibits.empty()) {
    return cannot(terms, "RSL", "every use that it has a word for is bound to a condition");
  }
  Exported out;
  out.unsaid = unsaid_of(terms, object);
  const Stand generative = stand(terms, Action::train_generative, object);
  if (generative != stand(terms, Action::train_classifier, object)) {
    out.unsaid.push_back("that classifiers are treated otherwise than generative models");
  }
  out.unsaid.push_back("storing, evaluating, sharing and publishing");
  out.text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rsl xmlns=\"https://rslstandard.org/rsl\">\n";
  out.text += fmt::format("  <!-- {}, id {} -->\n", escaped(comment(terms.label())), terms.id);
  for (const auto& line : out.unsaid) {
    out.text += fmt::format("  <!-- not said: {} -->\n", escaped(comment(line)));
  }
  for (const auto& url : urls) {
    out.text += fmt::format("  <content url=\"{}\">\n    <license>\n", escaped(url));
    if (!permits.empty()) {
      out.text += fmt::format("      <permits type=\"usage\">{}</permits>\n", permits);
    }
    if (!prohibits.empty()) {
      out.text += fmt::format("      <prohibits type=\"usage\">{}</prohibits>\n", prohibits);
    }
    out.text += "    </license>\n";
    out.text += fmt::format("    <copyright type=\"organization\">{}</copyright>\n",
                            escaped(terms.assigner));
    if (!terms.url.empty()) out.text += fmt::format("    <terms>{}</terms>\n", escaped(terms.url));
    out.text += "  </content>\n";
  }
  out.text += "</rsl>\n";
  return out;
}

// The file /.well-known/tdmrep.json of the host: rights are reserved unless all training is free.
Result<Exported> to_tdmrep(const Terms& terms) {
  const Object object = content_of(terms);
  const auto urls = addresses(terms);
  if (urls.empty()) return cannot(terms, "TDMRep", "they name no address, and it is a host's file");
  const bool free = stand(terms, Action::train_generative, object) == Stand::permitted &&
                    stand(terms, Action::train_classifier, object) == Stand::permitted;
  json::Value list = json::Value::array();
  for (const auto& url : urls) {
    const std::string path = url.substr(url.find('/', url.find("://") + 3));
    json::Value entry =
        json::Value::object({{"location", path}, {"tdm-reservation", free ? 0 : 1}});
    if (!free && !terms.url.empty()) entry.set("tdm-policy", terms.url);
    list.push(std::move(entry));
  }
  Exported out;
  out.text = json::dump(list, 2) + "\n";
  out.unsaid = unsaid_of(terms, object);
  if (!free) out.unsaid.push_back("which uses are reserved: it reserves all mining at once");
  return out;
}

}  // namespace

const std::vector<std::string>& export_formats() {
  static const std::vector<std::string> all = {"odrl", "aipref", "rsl", "tdmrep"};
  return all;
}

Result<Exported> export_terms(const Terms& terms, std::string_view format) {
  if (format == "odrl") return to_odrl(terms);
  if (format == "aipref") return to_aipref(terms);
  if (format == "rsl") return to_rsl(terms);
  if (format == "tdmrep") return to_tdmrep(terms);
  return base::usage_error(fmt::format("no format is called “{}”", format), "--format",
                           "odrl, aipref, rsl or tdmrep");
}

}  // namespace retort::terms
