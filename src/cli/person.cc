#include "cli/person.h"

#include <fmt/core.h>
#include <pwd.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "base/files.h"

namespace retort::cli {

std::string person() {
  const auto* user = ::getpwuid(::geteuid());
  return user != nullptr ? fmt::format("{} (local)", user->pw_name)
                         : fmt::format("user {} (local)", ::geteuid());
}

void declare_store(CLI::App& app, std::string& store) {
  app.add_option("--accounts-store", store,
                 "postgresql://USER@HOST/DATABASE: the accounts and limits that several machines "
                 "share are kept there; without, in the folder")
      ->envname("RETORT_ACCOUNTS_STORE");
}

void declare_place(CLI::App& app, AccountsPlace& place) {
  app.add_option("--accounts", place.folder, "folder of the accounts")->capture_default_str();
  declare_store(app, place.store);
}

std::string book_address(const AccountsPlace& place) {
  return place.store.empty() ? base::join(place.folder, "accounts.db") : place.store;
}

std::string limits_address(const AccountsPlace& place) {
  return place.store.empty() ? base::join(place.folder, "quota.db") : place.store;
}

Result<std::string> existing_book(const AccountsPlace& place) {
  std::string address = book_address(place);
  if (!place.store.empty() || base::exists(address)) return address;
  return base::not_found("there are no accounts yet", place.folder,
                         "make one: retort account create \"Example Ltd\"");
}

}  // namespace retort::cli
