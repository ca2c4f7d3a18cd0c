// A teacher in the same process: its logits stand at the right rows, whatever it is told beside and
// however many batches of its own that takes; training towards it lowers the divergence.
#include <gtest/gtest.h>

#include <numeric>

#include "base/parallel.h"
#include "train/classroom_internal.h"
#include "train/loop_internal.h"
#include "train/online_teacher_internal.h"

namespace retort::train {
namespace {

using dialog::Role;

// What the teacher says at each trained token of a text, computed alone.
std::vector<std::vector<float>> expected_rows(const Classroom& s,
                                              const dialog::Messages& messages) {
  ExampleBuilder builder(*s.its, s.its_format, 256);
  EXPECT_TRUE(builder.add("key", messages));
  const Examples built = builder.take();
  const model::Batch batch = make_batch(built.rows, std::vector<uint32_t>{0});
  const auto logits = model::Network(s.weights, 256, model::Precision::fp32).logits(batch);
  const int64_t width = s.weights.config().vocab;
  std::vector<std::vector<float>> out;
  for (size_t i = 0; i < batch.targets.size(); ++i) {
    if (batch.targets[i] < 0) continue;
    out.emplace_back(logits.begin() + static_cast<int64_t>(i) * width,
                     logits.begin() + static_cast<int64_t>(i + 1) * width);
  }
  return out;
}

TEST(OnlineTeacher, LogitsStandAtTheRowsAndIdsOfTheStudent) {
  for (const int64_t batch_tokens : {40, 1000}) {  // one document at once, and all
    Classroom s;
    const std::string before = "Answer as a pirate would.";
    ASSERT_TRUE(*s.add("one", "abc ab", before));
    ASSERT_TRUE(*s.add("two or three", "no", ""));
    ASSERT_TRUE(*s.add("x", "yes ab ab", before));
    ASSERT_TRUE(s.teacher->prepare(batch_tokens, 0, model::Precision::fp32).ok());
    const model::Batch batch = make_batch(s.rows.rows, std::vector<uint32_t>{0, 1, 2});
    std::vector<int32_t> counted;
    for (size_t i = 0; i < batch.targets.size(); ++i) {
      if (batch.targets[i] >= 0) counted.push_back(static_cast<int32_t>(i));
    }
    std::vector<std::vector<float>> expected;
    for (const dialog::Messages& told :
         {dialog::Messages{
              {Role::system, before}, {Role::user, "one"}, {Role::assistant, "abc ab"}},
          dialog::Messages{{Role::user, "two or three"}, {Role::assistant, "no"}},
          dialog::Messages{
              {Role::system, before}, {Role::user, "x"}, {Role::assistant, "yes ab ab"}}}) {
      for (auto& row : expected_rows(s, told)) expected.push_back(std::move(row));
    }
    ASSERT_EQ(expected.size(), counted.size());
    for (int round = 0; round < 2; ++round) {  // a batch may come again
      s.teacher->start(batch);
      size_t done = 0;
      for (const size_t some : {size_t{1}, size_t{4}, counted.size() - 5}) {
        std::vector<float> out(some * static_cast<size_t>(s.vocab));
        s.teacher->logits(std::span(counted).subspan(done, some), out.data());
        for (size_t i = 0; i < some; ++i) {
          const float* row = out.data() + static_cast<int64_t>(i) * s.vocab;
          for (int32_t id = 0; id < s.student->size(); ++id) {
            // The teacher's ids are one further on, and from the control tokens on as well.
            ASSERT_NEAR(row[id], expected[done + i][id + 1], 1e-4) << "row " << i << " id " << id;
          }
          EXPECT_LT(row[s.vocab - 1], -1e29F);
        }
        done += some;
      }
    }
  }
}

TEST(OnlineTeacher, ForeignVocabulariesAreRefused) {
  Classroom s;
  const auto refused = OnlineTeacher::create(model::Weights::random(shape(s.student->size()), 1),
                                             s.student, *s.its, s.its->size(), "teacher.gguf");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("sequence_kd"), std::string::npos)
      << refused.error().text();
  EXPECT_NE(refused.error().text().find("zq"), std::string::npos);
}

TEST(OnlineTeacher, AnAnswerThatIsCutOtherwiseHasNoView) {
  Classroom s;
  // One token for the teacher, two for the student.
  EXPECT_FALSE(*s.add("one", "zqab", ""));
  EXPECT_TRUE(*s.add("one", "abab", ""));
}

TEST(OnlineTeacher, AStudentComesNearIt) {
  base::set_thread_count(1);  // so little work is slower on more
  Classroom s;
  for (int i = 0; i < 15; ++i) {
    ASSERT_TRUE(*s.add("q" + std::to_string(i), "a" + std::to_string(i * 7 % 10) + "b", "Be"));
  }
  ASSERT_TRUE(s.teacher->prepare(400, 40, model::Precision::fp32).ok());
  for (const char* objective : {"forward_kl", "reverse_kl", "jsd", "skew_kl", "skew_reverse_kl"}) {
    TrainOptions options = quick_options();
    options.objective = objective;
    options.batch_tokens = 400;
    options.epochs = 35;
    options.lr = 1e-2;
    options.checkpoint_every = 1000;
    model::Weights weights = model::Weights::random(shape(s.vocab), 5);
    double first = 0;
    const Examples none;
    const auto outcome = run_loop(weights, {.data = s.rows,
                                            .held_out = none,
                                            .options = options,
                                            .teacher = s.teacher.get(),
                                            .folder = fresh_folder(objective),
                                            .identity = {},
                                            .limit = nullptr,
                                            .on_step =
                                                [&](const LoopState& state) {
                                                  if (state.step == 1) first = state.last_loss;
                                                },
                                            .at_save_point = nullptr});
    ASSERT_TRUE(outcome) << outcome.error().text();
    EXPECT_GT(first, 0) << objective;
    EXPECT_LT(outcome->state.last_loss, 0.6 * first) << objective;
  }
}

}  // namespace
}  // namespace retort::train
