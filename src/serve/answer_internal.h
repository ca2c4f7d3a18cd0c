// The answer to one request under way: takes the events of all its choices, writes what they say,
// and stops the work when nobody reads it any more.
// Threads: take() on the formatter's thread alone; everything else from any thread.
#pragma once
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "serve/door_internal.h"
#include "serve/pieces_internal.h"

namespace retort::serve {

// Where an answer's pieces go: a stream, or one body at the end.
class Writer {
 public:
  virtual ~Writer() = default;
  virtual void piece(Piece piece) = 0;
  virtual void end(const openai::Usage& usage) = 0;
  virtual void fail(const openai::ApiError& error) = 0;
};

std::unique_ptr<Writer> stream_writer(const Call& call, AnswerHead head);
std::unique_ptr<Writer> generate_writer(const Call& call, AnswerHead head, const Plan& plan);
std::unique_ptr<Writer> whole_writer(const Call& call, AnswerHead head, const Plan& plan);

// For a writer: the body was read long ago; a long answer need not keep it.
Call without_body(const Call& call);
// Status and headers of a stream of events.
void begin_events(const Call& call);

class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(Call call, ServedModel& model, const Plan& plan, std::optional<provider::Ticket> ticket);

  // Submits every choice. What goes wrong from here on is said by the writer.
  static void start(Call call, ServedModel& model, Plan plan);

  // `at_seconds`: when the event happened.
  void take(size_t choice, const engine::Event& event, double at_seconds);
  void cancel();

 private:
  void submit(Plan plan);
  bool is_cancelled();
  void fail(const openai::ApiError& error);
  void count(size_t choice, const engine::Event& event);

  Call call_;
  ServedModel& model_;
  int64_t answers_per_prompt_;
  std::vector<ChoicePieces> choices_;
  std::unique_ptr<Writer> writer_;
  size_t open_choices_;
  openai::Usage usage_;
  std::optional<provider::Ticket> ticket_;  // where the door has a provider
  int64_t produced_ = 0;                    // tokens of all choices so far
  std::string first_answer_;                // of the first choice, where there is a ticket
  bool first_seen_ = false;
  bool over_ = false;

  std::mutex mutex_;  // of what follows
  std::vector<engine::RequestId> running_;
  bool cancelled_ = false;
};

}  // namespace retort::serve
