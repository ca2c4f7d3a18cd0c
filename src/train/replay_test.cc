// Answers that are learnt from again: each as often as was asked, drawn the same whoever goes on.
#include "train/replay_internal.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "train/test_rows_internal.h"

namespace retort::train {
namespace {

std::vector<Example> answers(int64_t count, uint64_t seed) {
  std::vector<Example> rows = mapping_rows(count, seed).rows;
  base::Random random(seed);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i].source = static_cast<uint32_t>(i);
    rows[i].baseline = static_cast<float>(-random.uniform());
    rows[i].key = "answer-" + std::to_string(seed) + "-" + std::to_string(i);
    for (int64_t j = 0; j < rows[i].inputs(); ++j) {
      rows[i].drawn.push_back(static_cast<float>(-random.uniform() / 3));
      rows[i].reference.push_back(static_cast<float>(-random.uniform() * 7));
    }
  }
  return rows;
}

// Three steps' answers of four fill it; each is used twice more, by draws alone.
TEST(Replay, UsesEachAnswerAsOftenAsWasAsked) {
  Replay replay(12, 3);
  std::map<std::string, int> used;
  uint64_t sampled = 0;
  for (int64_t step = 0; step < 90; ++step) {
    std::vector<Example> rows;
    if (replay.full()) {
      rows = replay.draw(4, 7, step);
      EXPECT_EQ(rows.size(), 4U);
    } else {
      rows = answers(4, ++sampled);
      replay.add(rows);
    }
    std::set<std::string> of_step;
    for (const Example& row : rows) {
      EXPECT_LE(++used[row.key], 3);
      EXPECT_TRUE(of_step.insert(row.key).second) << "twice in a step";
    }
    EXPECT_LE(replay.size(), 12);
  }
  EXPECT_GE(sampled, 30U);  // a third of the steps, and those that found no room
  EXPECT_LE(sampled, 50U);
  int64_t whole = 0;
  for (const auto& [key, times] : used) whole += times == 3 ? 1 : 0;
  EXPECT_GT(whole, 60);
}

TEST(Replay, OneUseOrNoRoomKeepsNothing) {
  for (Replay replay : {Replay(12, 1), Replay(0, 4)}) {
    replay.add(answers(4, 1));
    EXPECT_EQ(replay.size(), 0);
    EXPECT_FALSE(replay.holds_answers());
  }
}

TEST(Replay, GoesOnFromWhatWasSavedToTheLastBit) {
  Replay replay(8, 4);
  replay.add(answers(8, 1));
  replay.draw(3, 5, 11);
  Replay other(8, 4);
  ASSERT_TRUE(other.restore(replay.saved()).ok());
  EXPECT_EQ(other.saved(), replay.saved());
  for (int64_t step = 12; step < 20; ++step) {
    const auto a = replay.draw(3, 5, step), b = other.draw(3, 5, step);
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].ids, b[i].ids);
      EXPECT_EQ(a[i].trained, b[i].trained);
      EXPECT_EQ(a[i].drawn, b[i].drawn);
      EXPECT_EQ(a[i].reference, b[i].reference);
      EXPECT_EQ(a[i].source, b[i].source);
      EXPECT_EQ(a[i].baseline, b[i].baseline);
    }
  }
}

TEST(Replay, WhatIsNotWholeIsRefused) {
  Replay replay(8, 4);
  replay.add(answers(2, 1));
  const std::string good = replay.saved();
  for (const std::string& text :
       {std::string("{}"), std::string("[{}]"), good.substr(0, good.size() / 2),
        std::string(R"([{"key":"a","source":0,"used":1,"baseline":0,"prompt":9,"ids":[1],"drawn":[],
                        "reference":[]}])")}) {
    EXPECT_FALSE(replay.restore(text).ok()) << text.substr(0, 40);
  }
}

}  // namespace
}  // namespace retort::train
