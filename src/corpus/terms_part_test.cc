#include "corpus/terms_part.h"

#include <gtest/gtest.h>

namespace retort::corpus {
namespace {

terms::Terms terms_of(const std::string& id, const std::string& mode) {
  terms::Terms terms;
  terms.id = id;
  terms.series = "series-" + id;
  terms.version = "1";
  terms.revocation = mode;
  return terms;
}

Record record_under(const std::vector<std::string>& ids) {
  Record record;
  for (const auto& id : ids) record.terms.push_back({.id = id});
  return record;
}

terms::TermsSet known() {
  terms::TermsSet set;
  set.add(terms_of("d", "irrevocable"));
  set.add(terms_of("c", "on-breach"));
  set.add(terms_of("b", "prospective"));
  set.add(terms_of("a", "unstated"));
  return set;
}

std::string order(const std::vector<std::string>& ids) {
  return terms_part(record_under(ids), known()).order;
}

TEST(TermsPart, TheFirmestPermissionComesFirst) {
  EXPECT_LT(order({"d"}), order({"c"}));
  EXPECT_LT(order({"c"}), order({"b"}));
  EXPECT_LT(order({"b"}), order({"a"}));
  EXPECT_LT(order({"d"}), order({"unknown"}));
  EXPECT_LT(order({"d"}), order({}));
}

TEST(TermsPart, TheLeastFirmOfSeveralTermsCounts) {
  EXPECT_LT(order({"c"}), order({"d", "b"}));
  EXPECT_LT(order({"b"}), order({"d", "unknown"}));
}

TEST(TermsPart, OfEquallyFirmPermissionThatUnderFewerTermsComesFirst) {
  terms::TermsSet set = known();
  set.add(terms_of("0", "irrevocable"));
  const auto part = [&](const std::vector<std::string>& ids) {
    return terms_part(record_under(ids), set).order;
  };
  EXPECT_LT(part({"d"}), part({"0", "d"}));
  EXPECT_LT(part({"0"}), part({"d"}));
}

TEST(TermsPart, EqualSetsAreOnePartInWhicheverOrderTheyStand) {
  const auto one = terms_part(record_under({"d", "b", "d"}), known());
  const auto two = terms_part(record_under({"b", "d"}), known());
  EXPECT_EQ(one.order, two.order);
  EXPECT_EQ(one.ids, (std::vector<std::string>{"b", "d"}));
  EXPECT_EQ(one.label, "series-b 1 + series-d 1");
  EXPECT_NE(order({"d"}), order({"d", "c"}));
}

}  // namespace
}  // namespace retort::corpus
