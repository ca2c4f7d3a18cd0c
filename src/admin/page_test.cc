// The console's files: all there, nothing foreign in them, no way for a text to become markup.
#include <gmock/gmock.h>

#include <regex>

#include "admin/embedded_internal.h"
#include "admin/testing_internal.h"

namespace retort::admin {
namespace {

using ::testing::HasSubstr;

TEST_F(AdminTest, ThePageAndItsPartsAreServedWithoutAKey) {
  start();
  const Got page = ask_port(server_->port(), "GET /");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.head, HasSubstr("Content-Type: text/html; charset=utf-8"));
  const std::regex part(R"re((?:src|href)="(/[a-z.]+)")re");
  int parts = 0;
  for (std::sregex_iterator at(page.body.begin(), page.body.end(), part), end; at != end; ++at) {
    EXPECT_EQ(ask_port(server_->port(), "GET " + (*at)[1].str()).status, 200) << (*at)[1];
    ++parts;
  }
  EXPECT_GE(parts, 3) << "icon, style, script";
  EXPECT_EQ(ask_port(server_->port(), "GET /index.html").status, 404) << "it has one address";
  EXPECT_EQ(ask_port(server_->port(), "POST /").status, 405);
}

TEST(ConsoleFilesTest, EveryImportIsThere) {
  const std::regex import(R"re(from "/([a-z.]+)")re");
  for (const auto& file : kConsole) {
    const std::string text(file.text);
    for (std::sregex_iterator at(text.begin(), text.end(), import), end; at != end; ++at) {
      const std::string wanted = (*at)[1];
      const bool there = std::any_of(kConsole.begin(), kConsole.end(),
                                     [&](const EmbeddedFile& one) { return one.name == wanted; });
      EXPECT_TRUE(there) << file.name << " imports " << wanted;
    }
  }
}

// What the policy of the answers forbids is not even tried, and no file asks another host.
TEST(ConsoleFilesTest, NothingMakesMarkupOfTextOrLeavesThisServer) {
  for (const auto& file : kConsole) {
    for (const char* forbidden :
         {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(",
          "new Function", "import(", "javascript:", "srcdoc",
          "onclick=", "onerror=", " style=", "https://", "document.cookie"}) {
      EXPECT_EQ(file.text.find(forbidden), std::string_view::npos)
          << file.name << ": " << forbidden;
    }
  }
}

}  // namespace
}  // namespace retort::admin
