#include "dialog/message.h"

namespace retort::dialog {

const char* name(Role role) {
  switch (role) {
    case Role::system:
      return "system";
    case Role::user:
      return "user";
    case Role::assistant:
      return "assistant";
  }
  return "user";
}

std::optional<Role> parse_role(std::string_view text) {
  for (const Role role : {Role::system, Role::user, Role::assistant}) {
    if (text == name(role)) return role;
  }
  return std::nullopt;
}

Messages without_system(Messages messages) {
  std::erase_if(messages, [](const Message& message) { return message.role == Role::system; });
  return messages;
}

}  // namespace retort::dialog
