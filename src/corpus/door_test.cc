// Doors that are asked what a teacher thinks of given texts: cleared before, judged at each moment.
#include "corpus/door.h"

#include <gtest/gtest.h>

#include "corpus/testing_internal.h"
#include "corpus/withdrawals.h"

namespace retort::corpus {
namespace {

using namespace testing;

const Teaching kTeaching{
    .base_url = "https://me:secret@api.example.com/v1", .route = "/completions", .model = "m-1"};

TEST(DoorTest, IsTheAddressWithoutWhoAsksAndWithoutALocalPort) {
  const auto door = door_at("https://me:secret@api.example.com:8443/v1/?key=1#x", "/completions");
  EXPECT_EQ(door.provider, "api.example.com");
  EXPECT_EQ(door.endpoint, "https://api.example.com:8443/v1/completions");
  for (const char* local :
       {"http://127.0.0.1:8080/v1", "http://[::1]:9/v1", "http://localhost/v1"}) {
    EXPECT_EQ(door_at(local, "/completions").endpoint, "http://localhost/v1/completions") << local;
    EXPECT_EQ(door_at(local, "").provider, "local");
  }
}

TEST(DoorTest, IsClearedUnderItsTermsAndStandsInTheLog) {
  Workshop shop("door");
  const std::string permits = shop.write_terms({.object = "outputs"});
  auto clearance = shop.clearance();
  const auto door = clearance.clear_door<TrainGenerative>(kTeaching, {permits});
  ASSERT_TRUE(door.ok()) << door.error().text();
  EXPECT_TRUE(door->still_open().ok());
  const auto entry = shop.log->entry(door->entry());
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(entry->kind, "door");
  EXPECT_FALSE(has(json::dump(entry->body), "secret"));
  const auto verdict = shop.log->entry(door->permit().leaf);
  EXPECT_TRUE(has(json::dump(verdict->body), "scores by m-1 at https://api.example.com/v1/compl"));
  EXPECT_EQ(door->permit().terms_ids.size(), 1u);
}

TEST(DoorTest, IsRefusedByTheClauseOrForWantOfTerms) {
  Workshop shop("door_refused");
  auto clearance = shop.clearance();
  const std::string forbids = shop.write_terms({.forbidden = "train.generative"});
  const auto refused = clearance.clear_door<TrainGenerative>(kTeaching, {forbids});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::refused_by_terms);
  EXPECT_TRUE(has(refused.error().text(), "door 1: prohibit train.generative"));
  EXPECT_FALSE(clearance.clear_door<TrainGenerative>(kTeaching, {}).ok());
  const std::string of_weights = shop.write_terms({.series = "weights", .object = "weights"});
  EXPECT_FALSE(clearance.clear_door<TrainGenerative>(kTeaching, {of_weights}).ok());
}

TEST(DoorTest, LogprobsAreAFeatureThatTermsMayExclude) {
  Workshop shop("door_features");
  const std::string no_logprobs =
      shop.write_terms({.more = "[applies]\nfeatures_excluded = [\"logprobs\"]\n"});
  const auto refused = shop.clearance().clear_door<TrainGenerative>(kTeaching, {no_logprobs});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::refused_by_terms);
}

TEST(DoorTest, OfAModelThatIsDistributedMustPermitThat) {
  Workshop shop("door_distributed");
  const std::string at_home = shop.write_terms({.forbidden = "publish_model"});
  EXPECT_TRUE(shop.clearance().clear_door<TrainGenerative>(kTeaching, {at_home}).ok());
  auto purpose = any_purpose();
  purpose.distributed = true;
  const auto out = shop.clearance(purpose).clear_door<TrainGenerative>(kTeaching, {at_home});
  ASSERT_FALSE(out.ok());
  EXPECT_TRUE(has(out.error().text(), "prohibit publish_model"));
}

// A version that is known already begins to bind while the run goes on.
TEST(DoorTest, ClosesWhenStricterTermsBegin) {
  Workshop shop("door_later");
  const std::string permits = shop.write_terms({});
  shop.bind({.version = "2", .time = "effective = 2026-06-02", .forbidden = "train.generative"});
  auto clearance = shop.clearance();
  const auto door = clearance.clear_door<TrainGenerative>(kTeaching, {permits});
  ASSERT_TRUE(door.ok()) << door.error().text();
  EXPECT_TRUE(door->still_open().ok());
  shop.clock.sleep_ms(int64_t{2} * 86'400'000);
  const auto closed = door->still_open();
  ASSERT_FALSE(closed.ok());
  EXPECT_TRUE(has(closed.error().text(), "door 2: prohibit train.generative"));
}

TEST(DoorTest, ClosesWhenPermissionIsWithdrawn) {
  Workshop shop("door_withdrawn");
  const std::string permits = shop.write_terms({});
  auto clearance = shop.clearance();
  const auto door = clearance.clear_door<TrainGenerative>(kTeaching, {permits});
  ASSERT_TRUE(door.ok()) << door.error().text();
  const auto name = shop.log->entry(door->entry())->name;
  const Withdrawal gone{.why = WithdrawalCase::account_ended,
                        .kind = SubjectKind::door,
                        .id = name,
                        .reason = "R",
                        .by = "N"};
  ASSERT_TRUE(check(*shop.log, gone).ok());
  ASSERT_TRUE(shop.log->append("withdrawal", name_of(gone), to_json(gone)).ok());
  const auto closed = door->still_open();
  ASSERT_FALSE(closed.ok());
  EXPECT_TRUE(has(closed.error().text(), "withdrawn by N"));
  EXPECT_FALSE(shop.clearance().clear_door<TrainGenerative>(kTeaching, {permits}).ok());
}

}  // namespace
}  // namespace retort::corpus
