// The two ways an answer leaves: piece by piece as server-sent events, or whole.
#include "openai/sse.h"
#include "serve/answer_internal.h"

namespace retort::serve {
namespace {

class StreamWriter : public Writer {
 public:
  StreamWriter(const Call& call, AnswerHead head) : call_(call), head_(std::move(head)) {}

  void piece(Piece piece) override {
    if (piece.says_nothing()) return;
    begin();
    call_.responder->write(openai::sse_event(print_piece(head_, std::move(piece))));
  }

  void end(const openai::Usage& usage) override {
    begin();
    if (head_.usage_follows) {
      call_.responder->write(openai::sse_event(print_usage_piece(head_, usage)));
    }
    call_.responder->write(openai::kSseDone);
    call_.responder->finish();
  }

  void fail(const openai::ApiError& error) override {
    if (!begun_) return reply_error(call_, error);
    // The status is long gone: the error is the last event, and the cut says that it is no end.
    call_.responder->write(openai::sse_event(openai::print_error(error)));
    call_.responder->cut();
  }

 private:
  // Begun with the first piece, so that an early failure still gets its own status.
  void begin() {
    if (begun_) return;
    begun_ = true;
    begin_events(call_);
  }

  Call call_;
  AnswerHead head_;
  bool begun_ = false;
};

class WholeWriter : public Writer {
 public:
  WholeWriter(const Call& call, AnswerHead head, const Plan& plan)
      : call_(call),
        head_(std::move(head)),
        choices_(plan.choices.size()),
        made_(plan.answers_per_prompt),
        returned_(plan.returned_per_prompt) {
    for (size_t i = 0; i < choices_.size(); ++i) choices_[i].index = static_cast<int64_t>(i);
  }

  void piece(Piece piece) override {
    choices_[static_cast<size_t>(piece.index)].append(std::move(piece));
  }
  void end(const openai::Usage& usage) override {
    if (returned_ < made_) choices_ = keep_best(std::move(choices_), made_, returned_);
    reply_json(call_, print_whole(head_, std::move(choices_), usage));
  }
  void fail(const openai::ApiError& error) override { reply_error(call_, error); }

 private:
  Call call_;
  AnswerHead head_;
  std::vector<Piece> choices_;
  int64_t made_, returned_;  // of each prompt
};

}  // namespace

Call without_body(const Call& call) {
  return {call.door,    {},           call.responder, call.id, call.route, call.arrived_seconds,
          call.visitor, call.headers, call.told};
}

void begin_events(const Call& call) {
  http::Reply head = reply_head(call, 200, "text/event-stream; charset=utf-8");
  head.headers.emplace_back("Cache-Control", "no-cache");
  head.headers.emplace_back("X-Accel-Buffering", "no");
  call.responder->begin(std::move(head));
}

std::unique_ptr<Writer> stream_writer(const Call& call, AnswerHead head) {
  return std::make_unique<StreamWriter>(without_body(call), std::move(head));
}

std::unique_ptr<Writer> whole_writer(const Call& call, AnswerHead head, const Plan& plan) {
  return std::make_unique<WholeWriter>(without_body(call), std::move(head), plan);
}

}  // namespace retort::serve
