#include "policy/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/clock.h"

namespace retort::policy {
namespace {

using ::testing::HasSubstr;

constexpr const char* kHead = R"TOML(schema = "retort.policy/1"
series = "example.harvesting"
version = "2026-12-01"
[time]
announced = 2026-11-01
effective = 2026-12-01
[clause]
id = "2.2(e)"
text = "Answers may not train a model that competes with the service."
[appeal]
contact = "appeals@example.com"
)TOML";

std::string with(const std::string& more) {
  return kHead + more;
}

std::string fault(const std::string& toml) {
  const auto policy = parse_policy(toml, "policy.toml");
  return policy.ok() ? "" : policy.error().text();
}

TEST(PolicyTest, WhatIsLeftOutIsCautious) {
  const auto policy = parse_policy(kHead, "policy.toml");
  ASSERT_TRUE(policy.ok()) << policy.error().text();
  EXPECT_FALSE(policy->steps.automatic) << "a person decides unless the policy says otherwise";
  EXPECT_EQ(policy->bounds.families, 2);
  EXPECT_DOUBLE_EQ(policy->bounds.suspend, 0.001);
  EXPECT_EQ(policy->clause.id, "2.2(e)");
  EXPECT_EQ(policy->appeals.days, 30);
}

TEST(PolicyTest, TheIdIsOfWhatItSaysAndNotOfHowItIsWritten) {
  const auto policy = parse_policy(with("[steps]\nwarn_minutes = 5\n"), "");
  const auto same = parse_policy(with("# a remark\n[steps]\nwarn_minutes   =   5\n"), "");
  const auto other = parse_policy(with("[steps]\nwarn_minutes = 6\n"), "");
  ASSERT_TRUE(policy.ok() && same.ok() && other.ok());
  EXPECT_EQ(policy->id, same->id);
  EXPECT_NE(policy->id, other->id);
}

TEST(PolicyTest, WhatCannotBeIsRefusedByName) {
  struct Row {
    const char* more;
    const char* says;
  };
  const Row rows[] = {
      {"[evidence]\nfalse_suspension = 0.3\n", "at most 0.2"},
      {"[evidence]\nfalse_suspension = 0.0\n", "above 0"},
      {"[evidence]\nfalse_suspension = 0.02\n", "no more often"},
      {"[evidence]\nfalse_throttle = 0.1\n", "no more often"},
      {"[evidence]\nfamilies = 1\n", "two independent kinds"},
      {"[evidence]\nfalse_warning = nan\n", "0 or more"},
      {"[evidence]\nfalse_warnings = 0.1\n", "did you mean “false_warning”"},
      {"[steps]\nthrottle_requests_per_minute = 0\n", "to stop it is a suspension"},
      {"[steps]\nwarn_requests = 0\n", "seen by one request"},
      {"[steps]\nsuspension = \"silent\"\n", "human, automatic"},
      {"[steps]\nwarn_minutes = -1\n", "0 or more"},
      {"[steps]\nthrottle_minutes = 9999999\n", "a year"},
      {"[plan.secret]\nterms = \"x\"\n", "secret"},
      {"[plan.forbidden]\ncontent_usage = \"train-ai=n\"\n", "terms"},
      {"[retention]\nsketch_days = \"long\"\n", "whole number"},
      {"[retention]\nsketch_days = 9223372036854775807\n", "a hundred years"},
      {"[webhooks]\nurl = \"x\"\n", "unknown field"},
  };
  for (const Row& row : rows) {
    EXPECT_THAT(fault(with(row.more)), HasSubstr(row.says)) << row.more;
  }
}

TEST(PolicyTest, DatesAndAppealsAreNeeded) {
  std::string text = kHead;
  const auto replaced = [&text](const std::string& from, const std::string& to) {
    std::string out = text;
    out.replace(out.find(from), from.size(), to);
    return out;
  };
  EXPECT_THAT(fault(replaced("effective = 2026-12-01", "effective = 2026-10-01")),
              HasSubstr("before it is announced"));
  EXPECT_THAT(fault(replaced("effective = 2026-12-01\n", "")), HasSubstr("effective"));
  EXPECT_THAT(fault(replaced("contact = \"appeals@example.com\"", "days = 30")),
              HasSubstr("contact"));
  EXPECT_THAT(fault(replaced("contact", "days = 1\ncontact")), HasSubstr("from 7 days"));
  EXPECT_THAT(fault(replaced("contact", "decision_days = 0\ncontact")), HasSubstr("1 to 90 days"));
  EXPECT_THAT(fault(replaced("retort.policy/1", "retort.policy/2")), HasSubstr("retort.policy/1"));
  EXPECT_THAT(fault(std::string(40'000, '#')), HasSubstr("32 KiB"));
}

TEST(PolicyTest, AVersionBindsFromItsDayOn) {
  auto first = *parse_policy(kHead, "");
  auto second = first;
  second.version = "2027-02-01";
  second.effective_ms = base::parse_iso_date("2027-02-01");
  const std::vector<Policy> both = {second, first};
  EXPECT_EQ(binding(both, base::parse_iso_date("2026-11-30")), nullptr);
  EXPECT_EQ(binding(both, base::parse_iso_date("2026-12-01"))->version, "2026-12-01");
  EXPECT_EQ(binding(both, base::parse_iso_date("2027-02-01") - 1)->version, "2026-12-01");
  EXPECT_EQ(binding(both, base::parse_iso_date("2027-02-01"))->version, "2027-02-01");
}

}  // namespace
}  // namespace retort::policy
