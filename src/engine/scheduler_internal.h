// The engine's one compute thread: takes requests in order, computes prompts in chunks between
// decoding steps, hands out events. A request is given pages for its whole length when it starts,
// so that what has started always ends within the memory that was promised.
#pragma once
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <vector>

#include "engine/decode_step_internal.h"
#include "engine/engine.h"
#include "engine/prefill_internal.h"
#include "engine/sampler_internal.h"
#include "engine/text_stream_internal.h"

namespace retort::engine {

constexpr int64_t kPrefillTokens = 512;  // of one chunk of prompts

struct Sequence {
  Sequence(RequestId its_id, Request its_request)
      : id(its_id),
        request(std::move(its_request)),
        sampler(request.sampling),
        text(request.stop) {}

  RequestId id;
  Request request;
  Sampler sampler;
  TextStream text;
  std::vector<PageId> pages;
  int64_t computed = 0;  // tokens of the prompt whose keys and values are there
  int64_t cached = 0;    // of them, found
  tokenizer::TokenId last = -1;
  int64_t generated = 0;
  bool started = false;
  bool ended = false;
  Event scores;  // of the prompt, until its last token is computed
  std::vector<float>* logits_out = nullptr;
  // The answer is given and not chosen; the logits [its length, V] that it would be chosen from.
  std::vector<tokenizer::TokenId> given;
  std::vector<float>* given_logits = nullptr;

  int64_t prompt_size() const { return static_cast<int64_t>(request.prompt.size()); }
  bool scored() const { return request.prompt_logprobs >= 0 || logits_out != nullptr; }
};

class Scheduler {
 public:
  struct Parts {
    EngineWeights& weights;
    const EngineAdapters& adapters;
    const tokenizer::Tokenizer& tokenizer;
  };
  Scheduler(const Parts& parts, const Options& options, int64_t context_length, int64_t pages);
  ~Scheduler();

  RequestId submit(std::unique_ptr<Sequence> sequence);
  void cancel(RequestId id);
  Stats stats() const;

 private:
  using SequencePtr = std::unique_ptr<Sequence>;

  void run();
  bool wait_for_work();
  void drop_cancelled();
  bool start_next(int64_t tokens_left);
  void prefill();
  void after_prefill(std::span<const PrefillPart> parts, const std::vector<Sequence*>& whose);
  void score(Sequence& sequence, int64_t first_row, int64_t first_token, int64_t count);
  void decode();
  // The next token of each, whose logits stand in step_ in this order.
  void pick_and_deliver(const std::vector<Sequence*>& whose);
  void pick(Sequence& sequence, std::span<float> logits, Event& event) const;
  void deliver(Sequence& sequence, Event event);
  void end(Sequence& sequence, Event event, const std::string& reason);
  void remove_ended();

  // Null for the model as it is.
  const EngineAdapter* adapter_of(const Sequence& sequence) const;
  static Prefix prefix_of(const Sequence& sequence, std::span<const tokenizer::TokenId> tokens) {
    return {tokens, sequence.request.adapter, sequence.request.tenant};
  }

  EngineWeights& weights_;
  const EngineAdapters& adapters_;
  const tokenizer::Tokenizer& tokenizer_;
  const int64_t context_length_;
  const int64_t vocab_;
  const int64_t spoken_;  // ids that the tokenizer knows; a model may have spare rows behind them
  const int64_t batch_max_;
  const std::shared_ptr<Turns> turns_;
  PageCache cache_;
  KvPool pool_;
  kernels::RopeTable rope_;
  DecodeStep step_;
  std::unique_ptr<Prefill> prefill_;

  // The compute thread's own.
  std::deque<SequencePtr> starting_;  // prompts in work
  std::vector<SequencePtr> running_;  // decoding
  std::vector<float> logits_copy_;    // [rows, V] that samplers change
  std::unordered_set<RequestId> cancelled_now_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Protected by mutex_.
  std::deque<SequencePtr> waiting_;
  std::unordered_set<RequestId> cancelled_;
  RequestId next_id_ = 1;
  bool stopping_ = false;
  Stats stats_;

  std::thread thread_;  // last: started when everything else is there
};

}  // namespace retort::engine
