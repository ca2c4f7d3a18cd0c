#include <map>

#include "admin/embedded_internal.h"
#include "admin/office_internal.h"

namespace retort::admin {
namespace {

const char* type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return "text/javascript; charset=utf-8";
}

std::map<std::string, Body, std::less<>> files() {
  std::map<std::string, Body, std::less<>> out;
  for (const auto& file : kConsole) {
    const std::string name(file.name == "index.html" ? "" : file.name);
    out.emplace(name, Body{type_of(file.name), std::string(file.text)});
  }
  return out;
}

}  // namespace

const Body* page_file(const std::vector<std::string>& path) {
  static const auto all = files();
  if (path.size() > 1) return nullptr;
  const auto found = all.find(path.empty() ? std::string_view() : std::string_view(path[0]));
  return found == all.end() ? nullptr : &found->second;
}

}  // namespace retort::admin
