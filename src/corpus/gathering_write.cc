// The writer: one thread, one transaction for all that waits, one sync for each transaction.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "base/random.h"
#include "corpus/gathering_internal.h"
#include "corpus/record_internal.h"
#include "corpus/shard_internal.h"
#include "crypto/hash.h"

namespace retort::corpus {
namespace {

constexpr size_t kLargestGroup = 4096;

int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string pack(const std::string& key, std::span<const TokenLogprobs> tokens) {
  LogprobWriter writer;
  writer.add(key, tokens);
  return writer.finish();
}

Error not_in_flight(const Job& job) {
  return base::internal_error(fmt::format("job {} is not in flight", job.id));
}

}  // namespace

void Gathering::Impl::start() {
  writer = std::thread([this] { loop(); });
}

Gathering::Impl::~Impl() {
  {
    const std::lock_guard guard(mutex);
    closing = true;
  }
  changed.notify_all();
  if (writer.joinable()) writer.join();
  statements.clear();
}

void Gathering::Impl::post(Work work) {
  RETORT_CHECK(std::this_thread::get_id() != writer.get_id(),
               "the gathering was called back from its own thread");
  work.since_ms = steady_ms();
  {
    const std::lock_guard guard(mutex);
    urgent += work.urgent ? 1 : 0;
    queue.push_back(std::move(work));
  }
  changed.notify_all();
}

Result<void> Gathering::Impl::wait_for(std::function<Result<void>()> work, bool writes) {
  if (writes && read_only) return base::internal_error("the gathering is open for reading", path);
  std::promise<Result<void>> promise;
  Work one;
  one.apply = std::move(work);
  one.done = [&promise](Result<void> result) { promise.set_value(std::move(result)); };
  one.writes = writes;
  post(std::move(one));
  return promise.get_future().get();
}

void Gathering::Impl::loop() {
  while (true) {
    auto group = take();
    if (group.empty()) return;
    run(std::move(group));
  }
}

std::deque<Gathering::Impl::Work> Gathering::Impl::take() {
  std::unique_lock guard(mutex);
  changed.wait(guard, [this] { return closing || !queue.empty(); });
  if (queue.empty()) return {};
  const int64_t wait_ms = queue.front().since_ms + group_ms - steady_ms();
  if (wait_ms > 0) {
    changed.wait_for(guard, std::chrono::milliseconds(wait_ms),
                     [this] { return closing || urgent > 0 || queue.size() >= kLargestGroup; });
  }
  urgent = 0;
  return std::exchange(queue, {});
}

// The results of all, once they are on disk; the error when the transaction was undone.
Result<std::vector<Result<void>>> Gathering::Impl::try_group(std::deque<Work>& group) {
  const bool writes = std::any_of(group.begin(), group.end(), [](auto& w) { return w.writes; });
  std::optional<store::Transaction> transaction;
  if (writes) {
    RETORT_TRY(auto begun, database->begin());
    transaction.emplace(std::move(begun));
  }
  std::vector<Result<void>> results;
  for (auto& work : group) {
    results.push_back(work.apply());
    if (writes && !results.back() && results.back().error().code == ErrorCode::storage) {
      return results.back().error();
    }
  }
  if (transaction) RETORT_TRY_VOID(transaction->commit());
  return results;
}

// A group that failed as a whole is tried one by one, so that only the guilty ones fail.
void Gathering::Impl::run(std::deque<Work> group) {
  auto results = try_group(group);
  if (results) {
    for (size_t i = 0; i < group.size(); ++i) finish(group[i], std::move((*results)[i]));
    return;
  }
  if (group.size() == 1) return finish(group.front(), results.error());
  for (auto& work : group) {
    std::deque<Work> one;
    one.push_back(std::move(work));
    run(std::move(one));
  }
}

void Gathering::Impl::finish(Work& work, Result<void> result) {
  if (work.answer && !result) {
    const std::lock_guard guard(mutex);
    if (!first_error) first_error = result.error();
  }
  if (work.done) work.done(std::move(result));
}

void Gathering::submit(const Job& job, Answer answer, Done done) {
  Impl& impl = *impl_;
  if (impl.read_only) {
    return done(base::internal_error("the gathering is open for reading", impl.path));
  }
  std::string salt(sizeof Record::salt, '\0');
  base::secure_random(salt.data(), salt.size());
  // Never before the gathering began, whatever the machine's clock does in between.
  const int64_t now_ms = std::max(impl.created_ms, impl.clock->wall_ms());
  NewAnswer made{.answer = {},
                 .logprobs = {},
                 .logprob_tokens = std::ssize(answer.logprobs),
                 .captured_ms = now_ms,
                 .salt = std::move(salt)};
  if (!answer.logprobs.empty()) made.logprobs = pack(job.request.key, answer.logprobs);
  answer.logprobs.clear();
  made.answer = std::move(answer);
  Impl::Work work;
  work.apply = [&impl, id = job.id, key = job.request.key, made = std::move(made)] {
    return impl.answer(id, key, made);
  };
  work.done = std::move(done);
  work.urgent = false;
  work.answer = true;
  impl.post(std::move(work));
}

Result<void> Gathering::commit(const Job& job, Answer answer) {
  std::promise<Result<void>> promise;
  submit(job, std::move(answer),
         [&promise](Result<void> result) { promise.set_value(std::move(result)); });
  return promise.get_future().get();
}

Result<void> Gathering::flush() {
  RETORT_TRY_VOID(impl_->reading([]() -> Result<void> { return {}; }));
  const std::lock_guard guard(impl_->mutex);
  if (impl_->first_error) return *impl_->first_error;
  return {};
}

Result<void> Gathering::Impl::expect_in_flight(const Job& job) {
  RETORT_TRY(auto* row, sql("SELECT 1 FROM jobs WHERE id = ?1 AND key = ?2 AND state = 1"));
  RETORT_TRY(const bool found, row->bind(1, job.id).bind(2, job.request.key).step());
  if (!found) return not_in_flight(job);
  row->reset();
  return {};
}

// The record is what was planned with what came back. The database's own copy of the request
// counts, not the one that the caller holds.
Result<void> Gathering::Impl::answer(int64_t id, const std::string& key, const NewAnswer& made) {
  const Answer& answer = made.answer;
  RETORT_TRY(auto* row,
             sql("SELECT request, principal, key FROM jobs WHERE id = ?1 AND state = 1"));
  RETORT_TRY(const bool found, row->bind(1, id).step());
  if (!found || row->text(2) != key) {
    row->reset();
    return not_in_flight({.id = id, .request = {}});
  }
  const std::string request(row->text(0));
  const std::string principal(row->text(1));
  row->reset();
  RETORT_TRY(const auto value, json::parse(request, path));
  RETORT_TRY(Record record, record_from_json(value, path));
  record.principal = principal;
  record.model_answered = answer.model_answered;
  record.answer = answer.text;
  record.finish_reason = answer.finish_reason;
  record.usage = answer.usage;
  record.request_id = answer.request_id;
  record.captured_ms = made.captured_ms;
  record.preference = answer.preference;
  record.preference_text = answer.preference_text;
  record.features = answer.features;
  record.cost_micros = answer.cost_micros;
  record.logprob_tokens = made.logprob_tokens;
  std::copy(made.salt.begin(), made.salt.end(), record.salt.begin());
  const std::string text = json::dump(to_json(record));
  RETORT_TRY(auto* job, sql("UPDATE jobs SET state = 2, request = '', lost = 0, "
                            "cost_micros = cost_micros + ?2, prompt_tokens = prompt_tokens + ?3, "
                            "completion_tokens = completion_tokens + ?4 WHERE id = ?1"));
  RETORT_TRY_VOID(job->bind(1, id)
                      .bind(2, answer.cost_micros)
                      .bind(3, answer.usage.prompt_tokens)
                      .bind(4, answer.usage.completion_tokens)
                      .run());
  if (!made.logprobs.empty()) RETORT_TRY_VOID(write_logprobs(id, key, made.logprobs));
  RETORT_TRY(auto* put, sql("INSERT INTO answers (job, record, digest, finish_reason, "
                            "prompt_tokens, completion_tokens, captured_ms) "
                            "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  return put->bind(1, id)
      .bind(2, text)
      .bind_blob(3, crypto::as_bytes(crypto::sha256(text)))
      .bind(4, answer.finish_reason)
      .bind(5, answer.usage.prompt_tokens)
      .bind(6, answer.usage.completion_tokens)
      .bind(7, made.captured_ms)
      .run();
}

Result<void> Gathering::Impl::write_logprobs(int64_t id, const std::string& key,
                                             const std::string& bytes) {
  RETORT_TRY(auto* put, sql("INSERT INTO logprobs (job, file, digest) VALUES (?1, ?2, ?3)"));
  return put->bind(1, id)
      .bind_blob(2, bytes)
      .bind_blob(3, crypto::as_bytes(crypto::sha256(key + bytes)))
      .run();
}

Result<void> Gathering::fail(const Job& job, const Failure& failure) {
  Impl& impl = *impl_;
  return impl.writing([&]() -> Result<void> {
    RETORT_TRY_VOID(impl.expect_in_flight(job));
    RETORT_TRY(auto* row,
               impl.sql("UPDATE jobs SET state = ?2, ready_ms = ?3, reason = ?4, lost = 0, "
                        "cost_micros = cost_micros + ?5, prompt_tokens = prompt_tokens + ?6, "
                        "completion_tokens = completion_tokens + ?7 WHERE id = ?1"));
    const auto state = failure.retry ? JobState::planned : JobState::failed;
    return row->bind(1, job.id)
        .bind(2, static_cast<int64_t>(state))
        .bind(3, impl.clock->wall_ms() + failure.retry_after_ms)
        .bind(4, failure.reason)
        .bind(5, failure.cost_micros)
        .bind(6, failure.usage.prompt_tokens)
        .bind(7, failure.usage.completion_tokens)
        .run();
  });
}

Result<void> Gathering::release(const Job& job) {
  Impl& impl = *impl_;
  return impl.writing([&]() -> Result<void> {
    RETORT_TRY_VOID(impl.expect_in_flight(job));
    RETORT_TRY(auto* row, impl.sql("UPDATE jobs SET state = 0, attempts = attempts - 1, "
                                   "resent = resent - lost WHERE id = ?1"));
    return row->bind(1, job.id).run();
  });
}

Result<void> Gathering::book_lost(const Job& job, const Usage& usage, int64_t cost_micros) {
  Impl& impl = *impl_;
  return impl.writing([&]() -> Result<void> {
    RETORT_TRY_VOID(impl.expect_in_flight(job));
    RETORT_TRY(auto* row, impl.sql("UPDATE jobs SET booked = 1, cost_micros = cost_micros + ?2, "
                                   "prompt_tokens = prompt_tokens + ?3, "
                                   "completion_tokens = completion_tokens + ?4 "
                                   "WHERE id = ?1 AND lost = 1 AND booked = 0"));
    return row->bind(1, job.id)
        .bind(2, cost_micros)
        .bind(3, usage.prompt_tokens)
        .bind(4, usage.completion_tokens)
        .run();
  });
}

}  // namespace retort::corpus
