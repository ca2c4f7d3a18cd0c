#include "train/door_teacher_internal.h"

#include <fmt/core.h>

#include <limits>

#include "base/log.h"
#include "base/progress.h"
#include "train/fit.h"
#include "train/objective.h"

namespace retort::train {
namespace {

constexpr int64_t kConcurrency = 16;

}  // namespace

Result<std::unique_ptr<DoorTeacher>> open_door(const FitInput& input,
                                               const tokenizer::ChatFormat& format) {
  if (!asks_door(input.options)) return std::unique_ptr<DoorTeacher>();
  if (input.door == nullptr) {
    return base::usage_error("the teacher's address was not cleared for training", "train.teacher",
                             "name it as teacher.base_url, with its terms");
  }
  const corpus::Teaching& teaching = input.door->teaching();
  collect::Teacher teacher;
  teacher.base_url = teaching.base_url;
  teacher.api_key_env = input.api_key_env;
  collect::Options options;
  options.concurrency = kConcurrency;
  RETORT_TRY(auto sender, collect::open_http_sender(teacher, options, teaching.route));
  RETORT_TRY(auto book, ScoreBook::open(input.scores));
  if (book.size() > 0)
    base::log_info("{} texts have been scored already", base::grouped(book.size()));
  collect::Scoring scoring(std::move(sender),
                           {.model = teaching.model,
                            .concurrency = kConcurrency,
                            .most_tokens = input.options.score_tokens},
                           base::system_clock());
  return std::make_unique<DoorTeacher>(*input.door, *input.tokenizer, format, std::move(scoring),
                                       std::move(book));
}

Result<uint32_t> DoorTeacher::add(const std::string& key, const dialog::Messages& messages) {
  ExampleBuilder builder(tokenizer_, format_, std::numeric_limits<int32_t>::max());
  RETORT_TRY(const Example* row, builder.add(key, messages));
  const auto size = static_cast<int64_t>(answer_start(*row));
  prompts_.emplace_back(row->ids.begin(), row->ids.begin() + size);
  return static_cast<uint32_t>(prompts_.size() - 1);
}

collect::GivenText DoorTeacher::text_of(const Example& row) const {
  collect::GivenText text;
  text.ids = prompts_[row.source];
  text.from = std::ssize(text.ids);
  text.ids.insert(text.ids.end(), row.ids.begin() + static_cast<int64_t>(answer_start(row)),
                  row.ids.end());
  for (const int32_t id : text.ids) {
    text.pieces.push_back(tokenizer_.is_special(id)
                              ? tokenizer_.vocabulary().tokens[static_cast<size_t>(id)]
                              : std::string(tokenizer_.bytes(id)));
  }
  return text;
}

Result<void> DoorTeacher::score(std::vector<Example>& rows) {
  const std::string& endpoint = door_.origin().door.endpoint;
  std::vector<std::string> names;
  std::vector<std::string> wanted;  // names of `texts`
  std::vector<collect::GivenText> texts;
  for (const Example& row : rows) {
    collect::GivenText text = text_of(row);
    names.push_back(ScoreBook::name_of(endpoint, door_.teaching().model, text.ids));
    if (book_.find(names.back()) != nullptr) continue;
    wanted.push_back(names.back());
    texts.push_back(std::move(text));
  }
  if (!texts.empty()) {
    RETORT_TRY_VOID(door_.still_open());
    std::map<std::string, std::vector<float>> scores;
    const auto asked = scoring_.score(texts, [&](size_t i, std::vector<float> logprobs) {
      scores[wanted[i]] = std::move(logprobs);
    });
    RETORT_TRY_VOID(book_.add(scores));  // also where it was stopped: they were paid for
    if (!asked) return asked.error();
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::vector<float>& scores = *book_.find(names[i]);
    if (std::ssize(scores) != rows[i].trained_tokens()) {
      return base::bad_input(fmt::format("{} scores are kept of a text with {} tokens",
                                         scores.size(), rows[i].trained_tokens()),
                             "scores.jsonl", "remove it: they are asked for again");
    }
    set_reference(rows[i], scores);
  }
  return {};
}

}  // namespace retort::train
