// An answer given once is given again by its key, for the same request alone, within bounds.
#include "serve/replays_internal.h"

#include "base/clock.h"
#include "serve/server_testing_internal.h"

namespace retort::serve {
namespace {

using Found = Replays::Found;

Replays::Kept kept(const std::string& body) {
  return {{.status = 200, .body = body}};
}

TEST(Replays, GivesBackWhatWasKept) {
  Replays replays;
  EXPECT_EQ(replays.begin("k", "a").found, Found::nothing);
  EXPECT_EQ(replays.begin("k", "a").found, Found::running);
  EXPECT_EQ(replays.begin("k", "b").found, Found::other);
  replays.keep("k", kept("answer"));
  const auto again = replays.begin("k", "a");
  ASSERT_EQ(again.found, Found::kept);
  EXPECT_EQ(again.kept->reply.body, "answer");
  EXPECT_EQ(replays.begin("k", "b").found, Found::other);
  replays.drop("k");  // of a recorder that goes later
  EXPECT_EQ(replays.begin("k", "a").found, Found::kept);
}

TEST(Replays, AKeyWithoutAnAnswerIsFreeAgain) {
  Replays replays;
  EXPECT_EQ(replays.begin("k", "a").found, Found::nothing);
  replays.drop("k");
  EXPECT_EQ(replays.begin("k", "b").found, Found::nothing);
}

TEST(Replays, KeepsForATimeAndWithinBytes) {
  base::ManualClock clock;
  Replays replays({.keep_ms = 1000, .bytes = 20'000, .answer_bytes = 10'000}, clock);
  for (int i = 0; i < 100; ++i) {
    const std::string key = "k" + std::to_string(i);
    EXPECT_EQ(replays.begin(key, "a").found, Found::nothing);
    replays.keep(key, kept(std::string(5'000, 'x')));
  }
  EXPECT_EQ(replays.begin("k99", "a").found, Found::kept);
  EXPECT_EQ(replays.begin("k97", "a").found, Found::kept);
  EXPECT_EQ(replays.begin("k95", "a").found, Found::nothing) << "the oldest went first";
  clock.sleep_ms(1001);
  EXPECT_EQ(replays.begin("k99", "a").found, Found::nothing);
}

constexpr const char* kKey = "Idempotency-Key: one\r\n";

TEST(Idempotency, TheSameRequestGetsTheSameAnswerAndNoWorkIsDone) {
  const auto door = started();
  const auto first = post(door, "/v1/chat/completions", chat_body(), kKey);
  ASSERT_EQ(first.status, 200);
  const auto again = post(door, "/v1/chat/completions", chat_body(), kKey);
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body, first.body) << "its id and time as well";
  EXPECT_NE(again.head.find("idempotent-replayed: true"), std::string::npos);
  EXPECT_EQ(first.head.find("idempotent-replayed"), std::string::npos);
  EXPECT_EQ(door.backend->submits, 1);
  const auto other = post(door, "/v1/chat/completions", chat_body("\"max_tokens\":3"), kKey);
  EXPECT_EQ(other.status, 422);
  EXPECT_EQ(other.error("code"), "idempotency_key_reused");
  EXPECT_EQ(post(door, "/v1/chat/completions", chat_body()).status, 200);
  EXPECT_EQ(door.backend->submits, 2);
}

TEST(Idempotency, AStreamIsGivenAgainAsAStream) {
  const auto door = started();
  const auto first = post(door, "/v1/chat/completions", chat_body("\"stream\":true"), kKey);
  const auto again = post(door, "/v1/chat/completions", chat_body("\"stream\":true"), kKey);
  ASSERT_GT(events_of(first.body).size(), 2U);
  EXPECT_TRUE(events_of(again.body).back().done());
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(door.backend->submits, 1);
}

TEST(Idempotency, AFailureIsNotKept) {
  const auto door = started({.error = "out of luck"});
  EXPECT_EQ(post(door, "/v1/chat/completions", chat_body(), kKey).status, 500);
  EXPECT_EQ(post(door, "/v1/chat/completions", chat_body(), kKey).status, 500);
  EXPECT_EQ(door.backend->submits, 2);
  EXPECT_EQ(post(door, "/v1/chat/completions", "{}", kKey).status, 400);
  EXPECT_EQ(post(door, "/v1/chat/completions", "[]", kKey).status, 400);
}

TEST(Idempotency, WhileItIsAnsweredAndWhenNobodyWaitsForIt) {
  const auto door = started({.text = std::string(100, 'x'), .step_ms = 20});
  {
    http::RawSocket first = http::RawSocket::connect(door.server->port());
    first.write(request_text("POST /v1/chat/completions", chat_body(), kKey));
    while (door.backend->submits < 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const auto busy = post(door, "/v1/chat/completions", chat_body(), kKey);
    EXPECT_EQ(busy.status, 409);
    EXPECT_EQ(busy.error("code"), "idempotency_key_in_use");
  }  // it leaves
  Got late;
  for (int i = 0; i < 500 && late.status != 200; ++i) {
    late = post(door, "/v1/chat/completions", chat_body(), kKey);
  }
  EXPECT_EQ(late.status, 200) << "the key was free again";
  EXPECT_EQ(door.backend->submits, 2);
}

TEST(Idempotency, AKeyIsOneAndShort) {
  const auto door = started();
  const std::string twice = std::string(kKey) + kKey;
  EXPECT_EQ(post(door, "/v1/chat/completions", chat_body(), twice).status, 400);
  const std::string large = "Idempotency-Key: " + std::string(256, 'k') + "\r\n";
  EXPECT_EQ(post(door, "/v1/chat/completions", chat_body(), large).status, 400);
  EXPECT_EQ(door.backend->submits, 0);
}

}  // namespace
}  // namespace retort::serve
