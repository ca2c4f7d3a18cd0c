#include <algorithm>
#include <utility>

#include "base/thread_name.h"
#include "engine/scheduler_internal.h"

namespace retort::engine {
namespace {

using kernels::kPagePositions;

int64_t pages_for(int64_t positions) {
  return (positions + kPagePositions - 1) / kPagePositions;
}

int64_t rank_of(const EngineAdapters& adapters) {
  int64_t largest = 0;
  for (const auto& adapter : adapters) largest = std::max(largest, adapter->rank());
  return largest;
}

}  // namespace

Scheduler::Scheduler(const Parts& parts, const Options& options, int64_t context_length,
                     int64_t pages)
    : weights_(parts.weights),
      adapters_(parts.adapters),
      tokenizer_(parts.tokenizer),
      context_length_(context_length),
      vocab_(weights_.config().vocab),
      spoken_(tokenizer_.size()),
      batch_max_(options.max_batch),
      turns_(options.turns),
      cache_(pages),
      pool_(weights_.config(), pages, weights_.numbers()),
      rope_(context_length, weights_.config().head_dim, weights_.config().rope_theta,
            weights_.config().rope_divisors),
      step_(weights_, pool_, rope_, options.max_batch, rank_of(adapters_)),
      prefill_(Prefill::create(weights_, pool_, rope_, kPrefillTokens)) {
  stats_.memory_bytes =
      weights_.memory_bytes() + pool_.bytes() + step_.memory_bytes() + prefill_->memory_bytes();
  for (const auto& adapter : adapters_) stats_.memory_bytes += adapter->memory_bytes();
  stats_.cache_pages = pages;
  thread_ = std::thread([this] { run(); });
}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

RequestId Scheduler::submit(SequencePtr sequence) {
  RequestId id;
  {
    const std::lock_guard lock(mutex_);
    id = sequence->id = next_id_++;
    waiting_.push_back(std::move(sequence));
    ++stats_.waiting;
  }
  changed_.notify_all();
  return id;
}

void Scheduler::cancel(RequestId id) {
  {
    const std::lock_guard lock(mutex_);
    cancelled_.insert(id);
  }
  changed_.notify_all();
}

const EngineAdapter* Scheduler::adapter_of(const Sequence& sequence) const {
  const int64_t index = sequence.request.adapter;
  return index < 0 ? nullptr : adapters_[static_cast<size_t>(index)].get();
}

Stats Scheduler::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void Scheduler::run() {
  base::name_thread("retort-engine");
  while (wait_for_work()) {
    const Turns::Turn turn(turns_.get());
    drop_cancelled();
    prefill();
    remove_ended();  // an answer may end with its first token
    if (!running_.empty()) decode();
    remove_ended();
  }
  for (auto& sequence : starting_) end(*sequence, {}, "cancelled");
  for (auto& sequence : running_) end(*sequence, {}, "cancelled");
  std::deque<SequencePtr> never_begun;
  {
    const std::lock_guard lock(mutex_);
    never_begun = std::exchange(waiting_, {});
  }
  for (auto& sequence : never_begun) end(*sequence, {}, "cancelled");
}

bool Scheduler::wait_for_work() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return stopping_ || !waiting_.empty() || !starting_.empty() || !running_.empty();
  });
  cancelled_now_ = std::exchange(cancelled_, {});
  return !stopping_;
}

void Scheduler::drop_cancelled() {
  if (cancelled_now_.empty()) return;
  const auto is_cancelled = [&](const SequencePtr& s) { return cancelled_now_.contains(s->id); };
  std::vector<SequencePtr> dropped;
  {
    const std::lock_guard lock(mutex_);
    for (auto& sequence : waiting_) {
      if (is_cancelled(sequence)) dropped.push_back(std::move(sequence));
    }
    std::erase(waiting_, nullptr);
    stats_.waiting -= static_cast<int64_t>(dropped.size());
  }
  for (auto& sequence : dropped) end(*sequence, {}, "cancelled");
  for (auto& sequence : starting_) {
    if (is_cancelled(sequence)) end(*sequence, {}, "cancelled");
  }
  for (auto& sequence : running_) {
    if (is_cancelled(sequence)) end(*sequence, {}, "cancelled");
  }
  remove_ended();
}

// Takes the first waiting request if there is room: rows, tokens of this chunk, pages.
bool Scheduler::start_next(int64_t tokens_left) {
  const auto active = static_cast<int64_t>(starting_.size() + running_.size());
  if (tokens_left <= 0 || active >= batch_max_) return false;
  SequencePtr sequence;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) return false;
    sequence = std::move(waiting_.front());
    waiting_.pop_front();
  }
  // The last token of a prompt is always computed: its logits are the answer's beginning.
  const int64_t reusable = sequence->scored() ? 0 : (sequence->prompt_size() - 1) / kPagePositions;
  sequence->pages = cache_.match(prefix_of(*sequence, sequence->request.prompt), reusable);
  const auto found = static_cast<int64_t>(sequence->pages.size());
  const int64_t needed = pages_for(sequence->prompt_size() + sequence->request.max_tokens) - found;
  const auto fresh = cache_.allocate(needed);
  if (!fresh) {  // waits until others have ended
    cache_.release(sequence->pages);
    sequence->pages.clear();
    const std::lock_guard lock(mutex_);
    waiting_.push_front(std::move(sequence));
    return false;
  }
  sequence->pages.insert(sequence->pages.end(), fresh->begin(), fresh->end());
  sequence->started = true;
  sequence->computed = sequence->cached = found * kPagePositions;
  starting_.push_back(std::move(sequence));
  const std::lock_guard lock(mutex_);
  --stats_.waiting;
  ++stats_.running;
  stats_.cached_tokens += found * kPagePositions;
  return true;
}

}  // namespace retort::engine
