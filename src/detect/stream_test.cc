#include "detect/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "detect/state.h"

namespace retort::detect {
namespace {

constexpr uint64_t kSalt = 77;
constexpr int64_t kMinute = 60'000;

const std::vector<std::string>& nouns() {
  static const std::vector<std::string> kNouns = [] {
    std::vector<std::string> out;
    base::Random random(5);
    for (int i = 0; i < 3000; ++i) {
      std::string word;
      for (int k = 0; k < 3; ++k) {
        word += "bcdfghklmnprstvz"[random.below(16)];
        word += "aeiou"[random.below(5)];
      }
      out.push_back(word + "n");
    }
    return out;
  }();
  return kNouns;
}

// An account under observation, one request a call.
struct Asking {
  AccountState state;
  int64_t time_ms = 1'760'000'000'000;
  std::string id = "req_1";

  Counted ask(const std::string& prompt, const std::string& answer = "",
              std::vector<Turn> before = {}, Sampling sampling = {}) {
    before.push_back({Speaker::user, prompt});
    Observation seen{.subject = {.account = "acct_1"}, .request = id};
    seen.time_ms = time_ms += kMinute;
    seen.turns = before;
    seen.sampling = sampling;
    seen.answer = answer;
    seen.input_tokens = 20;
    seen.output_tokens = 300;
    return count(state, seen, kSalt);
  }
};

TEST(Prompt, HashesTellWordsAndPlacesApart) {
  const auto a = analyse("Write a short story about a dog named Rex.", kSalt);
  const auto b = analyse("write a SHORT story about a cat named Rex", kSalt);
  EXPECT_EQ(a.prefix, b.prefix);
  EXPECT_NE(a.exact, b.exact);
  EXPECT_EQ(a.words, 9);
  EXPECT_NE(analyse("Write a short story about a dog", kSalt + 1).prefix, a.prefix);
  EXPECT_EQ(analyse("give me item 17 of the list", kSalt).number, 17);
  EXPECT_EQ(analyse("take one 4 of them now please", kSalt).exact,
            analyse("take one 4 of them now please", kSalt).exact);
  EXPECT_NE(analyse("take one 4 of them now please", kSalt).exact,
            analyse("take one 5 of them now please", kSalt).exact);
  EXPECT_EQ(analyse("take one 4 of them now please", kSalt).prefix,
            analyse("take one 5 of them now please", kSalt).prefix);
  EXPECT_TRUE(analyse("Solve it. Think step by step.", kSalt).asks_reasoning);
  EXPECT_FALSE(analyse("What is the next step?", kSalt).asks_reasoning);
  EXPECT_EQ(analyse("", kSalt).words, 0);
  EXPECT_EQ(analyse(std::string(100'000, 'x'), kSalt).words, 2);
}

TEST(Distinct, EstimatesWithinItsError) {
  for (const int n : {1, 20, 100, 1000, 50'000}) {
    double sum = 0;
    for (uint64_t trial = 0; trial < 20; ++trial) {
      Distinct sketch;
      for (int i = 0; i < n; ++i) {
        sketch.add(base::mix64(trial << 32 | static_cast<uint64_t>(i)));
        sketch.add(base::mix64(trial << 32 | static_cast<uint64_t>(i)));
      }
      sum += sketch.estimate() / n;
    }
    EXPECT_NEAR(sum / 20, 1.0, 0.1) << n;
  }
}

TEST(Stream, ATemplateIsFoundAmongOtherRequests) {
  Asking asking;
  base::Random random(1);
  size_t stream = kOpeners;
  for (int i = 0; i < 400; ++i) {
    std::string chat;
    for (int k = 0; k < 9; ++k) chat += nouns()[random.below(3000)] + " ";
    asking.ask(chat);
    if (i % 10 == 0) {
      stream =
          asking.ask("Write a short story about a " + nouns()[random.below(3000)] + ".").stream;
    }
  }
  ASSERT_LT(stream, kTemplates);
  const Stream& found = asking.state.streams[stream];
  EXPECT_GE(found.count, 37U);
  EXPECT_EQ(asking.state.streams[kOpeners].count + found.count, 440U);
  const auto features = found.features();
  EXPECT_GT(at(features, Feature::filled_template), 0.4);
  EXPECT_LT(found.slot_words / static_cast<float>(found.count), 2.0);
}

TEST(Stream, SortedNumberedAndShuffledListsDiffer) {
  auto sorted = nouns();
  std::sort(sorted.begin(), sorted.end());
  Asking by_name, by_number, at_random;
  base::Random random(2);
  for (size_t i = 0; i < 200; ++i) {
    by_name.ask("Please write the full entry for " + sorted[i * 10]);
    by_number.ask("Please translate line " + std::to_string(i) +
                  " of the book: " + nouns()[random.below(3000)]);
    at_random.ask("Please write the full entry for " + nouns()[random.below(3000)]);
  }
  const auto features = [](const Asking& asking) { return asking.state.streams[0].features(); };
  EXPECT_GT(at(features(by_name), Feature::sorted), 0.8);
  EXPECT_LT(at(features(at_random), Feature::sorted), 0.3);
  EXPECT_GT(at(features(by_number), Feature::numbered), 0.8);
  EXPECT_LT(at(features(at_random), Feature::numbered), 0.1);
  EXPECT_GT(at(features(at_random), Feature::shuffled), 0.3);
}

TEST(Stream, NeighboursOnOneSubjectAreNearerThanAnyTwo) {
  Asking sessions, list;
  base::Random random(3);
  std::vector<std::string> subject(6);
  for (int i = 0; i < 300; ++i) {
    if (i % 10 == 0) {
      for (auto& word : subject) word = nouns()[random.below(3000)];
    }
    std::string near, far;
    for (int k = 0; k < 7; ++k) {
      near += subject[random.below(6)] + " ";
      far += nouns()[random.below(3000)] + " ";
    }
    sessions.ask(near);
    list.ask(far);
  }
  const auto nearness = [](const Asking& asking) {
    return at(asking.state.streams[kOpeners].features(), Feature::adjacent_likeness);
  };
  EXPECT_GT(nearness(sessions), nearness(list) + 0.3);
  EXPECT_NEAR(nearness(list), 0, 0.15);
}

std::string sentence(base::Random& random) {
  std::string out;
  for (int k = 0; k < 7; ++k) out += nouns()[random.below(3000)] + " ";
  return out;
}

// A person chats with a client's options; a program that hides behind them has its own.
TEST(State, FirstQuestionsOfOtherOptionsAreAStreamOfTheirOwn) {
  Asking asking;
  base::Random random(6);
  std::set<size_t> persons, programs, demands;
  for (int i = 0; i < 200; ++i) {
    persons.insert(asking.ask(sentence(random)).stream);
    if (i % 10 == 5) {
      programs.insert(asking.ask(sentence(random), "", {}, {.max_tokens = 1024}).stream);
    }
    if (i % 20 == 9) {
      demands.insert(asking.ask(sentence(random) + "step by step " + sentence(random)).stream);
    }
  }
  ASSERT_TRUE(persons.size() == 1 && programs.size() == 1 && demands.size() == 1);
  EXPECT_EQ(asking.state.streams[*persons.begin()].count, 200U);
  EXPECT_EQ(asking.state.streams[*programs.begin()].count, 20U);
  EXPECT_EQ(asking.state.streams[*demands.begin()].count, 10U);
}

TEST(State, OneTemplateWithOtherOptionsIsAnotherStream) {
  Asking asking;
  base::Random random(7);
  std::set<size_t> chat, program;
  for (int i = 0; i < 40; ++i) {
    const std::string prompt = "Write a short story about a " + nouns()[random.below(3000)] + ".";
    chat.insert(asking.ask(prompt).stream);
    if (i % 4 == 0) program.insert(asking.ask(prompt, "", {}, {.max_tokens = 96}).stream);
  }
  // The first one of each is not known to be a template yet.
  ASSERT_EQ(chat.size(), 2U);
  ASSERT_EQ(program.size(), 2U);
  EXPECT_EQ(asking.state.streams[*chat.begin()].count, 39U);
  EXPECT_EQ(asking.state.streams[*program.begin()].count, 9U);
}

// So many questions of a kind (its options), and what the stream is then thought of.
size_t ask_kind(Asking& asking, base::Random& random, int64_t kind, int times, float score) {
  size_t stream = kStreams;
  for (int i = 0; i < times; ++i) {
    stream = asking.ask(sentence(random), "", {}, {.max_tokens = kind}).stream;
  }
  asking.state.streams[stream].score = score;
  return stream;
}

TEST(State, OfManyKindsTheDullestMakesRoomAndAHarvestStays) {
  constexpr float kLikely = 3, kDull = -5, kDuller = -8;
  Asking asking;
  base::Random random(8);
  const size_t harvest = ask_kind(asking, random, 1, 12, kLikely);
  const size_t dull = ask_kind(asking, random, 2, 12, kDull);
  const size_t duller = ask_kind(asking, random, 3, 12, kDuller);
  EXPECT_EQ((std::set{harvest, dull, duller}), (std::set{kOpeners, kOpeners + 1, kOpeners + 2}));
  EXPECT_EQ(ask_kind(asking, random, 4, 1, 0), duller);
  EXPECT_EQ(asking.state.streams[duller].count, 1U);
  EXPECT_EQ(ask_kind(asking, random, 5, 1, 0), dull);
  // Two are on trial now, and one is a harvest: nothing makes room for a sixth kind.
  EXPECT_EQ(ask_kind(asking, random, 6, 1, 0), kOthers);
  EXPECT_EQ(asking.state.streams[harvest].count, 12U);
  // A trial of which nothing comes ends, and a harvest of long ago makes room in the end.
  EXPECT_EQ(ask_kind(asking, random, 1, 100, kLikely), harvest);
  EXPECT_NE(ask_kind(asking, random, 6, 1, 0), kOthers);
  ask_kind(asking, random, 2, 600, kLikely);
  ask_kind(asking, random, 3, 12, kLikely);
  EXPECT_EQ(ask_kind(asking, random, 7, 1, 0), harvest);
}

TEST(State, ADialogIsKnownByTheAnswersGivenHere) {
  Asking asking;
  const std::string answer = "The capital of that country has moved twice in the last century.";
  asking.ask("which capital cities have moved in the last century", answer);
  const auto follow = asking.ask("and before that", "",
                                 {{Speaker::user,
                                   "which capital cities have "
                                   "moved in the last century"},
                                  {Speaker::assistant, answer}});
  EXPECT_TRUE(follow.entry.reused);
  EXPECT_EQ(follow.stream, kDialogs);
  EXPECT_EQ(asking.state.streams[kOpeners].followed, 1U);
  const auto made_up =
      asking.ask("and before that", "",
                 {{Speaker::user, "who was it"}, {Speaker::assistant, "It was nobody."}});
  EXPECT_TRUE(made_up.entry.foreign);
  EXPECT_NE(made_up.stream, kDialogs);
  for (int i = 0; i < 60; ++i) asking.ask("a question about " + nouns()[static_cast<size_t>(i)]);
  const auto& openers = asking.state.streams[kOpeners];
  EXPECT_GT(openers.one_shots + asking.state.streams[0].one_shots, 30U);
}

TEST(State, AQuotedAnswerIsReuse) {
  std::string answer, other;
  for (int i = 0; i < 150; ++i) {
    answer += nouns()[static_cast<size_t>(i)] + " ";
    other += nouns()[static_cast<size_t>(i + 500)] + " ";
  }
  Asking asking;
  asking.ask("summarise the report on everything", answer);
  EXPECT_TRUE(asking.ask("make this shorter: " + answer).entry.reused);
  EXPECT_FALSE(asking.ask("make this shorter: " + other).entry.reused);
}

TEST(State, RejectionSamplingByRepetitionIsSeen) {
  Asking asking;
  for (size_t i = 0; i < 20; ++i) {
    for (int k = 0; k < 8; ++k)
      asking.ask("what is known about the " + nouns()[i] + " nebula today");
  }
  EXPECT_GT(at(asking.state.streams[0].features(), Feature::asked_again_warm), 0.6);
}

TEST(State, SavedAndRestoredItGoesOnAlike) {
  Asking straight, broken;
  for (size_t i = 0; i < 100; ++i) {
    const std::string prompt = "tell me more about " + nouns()[i] + " and its uses";
    straight.ask(prompt, prompt);
    broken.ask(prompt, prompt);
    if (i % 7 == 0) {
      auto back = restore(save(broken.state));
      ASSERT_TRUE(back.ok());
      broken.state = *back;
    }
  }
  EXPECT_EQ(save(straight.state), save(broken.state));
  std::string bytes = save(straight.state);
  bytes[900] = static_cast<char>(bytes[900] + 1);
  EXPECT_FALSE(restore(bytes).ok());
  EXPECT_FALSE(restore(bytes.substr(1)).ok());
  EXPECT_FALSE(restore("").ok());
}

}  // namespace
}  // namespace retort::detect
