// Messages and their roles, as chat APIs have them.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace retort::dialog {

enum class Role { system, user, assistant };

struct Message {
  Role role = Role::user;
  std::string content;  // UTF-8
  bool operator==(const Message&) const = default;
};

using Messages = std::vector<Message>;

const char* name(Role role);
std::optional<Role> parse_role(std::string_view text);
// What is left of a dialog for a model that must do without what its system messages say.
Messages without_system(Messages messages);

}  // namespace retort::dialog
