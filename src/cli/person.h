// Who is at the terminal, and where the accounts are that they administer.
#pragma once
#include <string>

#include "base/result.h"

namespace CLI {
class App;
}

namespace retort::cli {

// For histories: "ann (local)".
std::string person();
// A folder, and the server that keeps the accounts instead where several machines share them.
struct AccountsPlace {
  std::string folder = "accounts";
  std::string store{};
};
void declare_place(CLI::App& app, AccountsPlace& place);
// Of the server alone, for a command that has another folder.
void declare_store(CLI::App& app, std::string& store);
// Where the book of accounts is or is to be.
std::string book_address(const AccountsPlace& place);
// The same; not_found where there are no accounts.
Result<std::string> existing_book(const AccountsPlace& place);
// Where the limits are kept.
std::string limits_address(const AccountsPlace& place);

}  // namespace retort::cli
