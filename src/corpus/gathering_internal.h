// The inside of Gathering: one thread owns the database and does everything in the order in which
// it was asked for, as many requests to a transaction as are waiting.
#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "corpus/gathering.h"
#include "corpus/logprob_file_internal.h"
#include "store/database.h"

namespace retort::corpus {

enum class JobState : int64_t { planned = 0, in_flight = 1, done = 2, failed = 3 };

// Answers that go into one shard together. `mark` names it in the log.
struct Batch {
  int64_t id = 0;
  std::string mark;
};

// An answer as it is written down.
struct NewAnswer {
  Answer answer;         // its log-probabilities are in:
  std::string logprobs;  // a file of one record, "" for none
  int64_t logprob_tokens = 0;
  int64_t captured_ms = 0;
  std::string salt;
};

// The answers of a batch; one of `logprobs` each.
struct BatchContent {
  std::vector<Record> records;
  std::vector<KeptLogprobs> logprobs;
};

struct Gathering::Impl {
  // Something to do in a transaction. It may be done twice when the first try was undone; an error
  // that is no storage error must leave the database as it was.
  struct Work {
    std::function<Result<void>()> apply;
    Done done;
    bool writes = true;
    bool urgent = true;    // does not wait for company
    bool answer = false;   // its failure is remembered for flush()
    int64_t since_ms = 0;  // monotonic
  };

  Impl(std::string path, const Options& options);
  ~Impl();

  Result<void> open();
  void start();  // the writer
  void post(Work work);
  // Does it on the writer's thread and waits for it; what writes is on disk when it returns.
  template <class F>
  auto reading(F work) -> decltype(work()) {
    return call(std::move(work), false);
  }
  template <class F>
  auto writing(F work) -> decltype(work()) {
    return call(std::move(work), true);
  }

  // The rest runs on the writer's thread, or before it starts.
  Result<store::Statement*> sql(const char* text);
  Result<void> recover();
  Result<void> answer(int64_t id, const std::string& key, const NewAnswer& made);
  Result<void> write_logprobs(int64_t id, const std::string& key, const std::string& bytes);
  // Refused unless the job is in flight.
  Result<void> expect_in_flight(const Job& job);

  // For the sealer; each waits until it is committed.
  Result<void> reopen_batches(const std::function<bool(const std::string& digest)>& is_there);
  Result<int64_t> count_sealed();
  Result<std::vector<Batch>> open_batches();
  // Batches of all answers that are in none; empty when there are no such answers.
  Result<std::vector<Batch>> make_batches(int64_t most);
  Result<BatchContent> content_of(int64_t batch);
  Result<void> close_batch(int64_t batch, const std::string& digest);

  std::string path;
  base::Clock* clock;
  int64_t group_ms;
  bool read_only;
  int64_t created_ms = 0;

  std::optional<base::FileLock> lock;
  std::unique_ptr<store::Database> database;
  std::map<const char*, std::unique_ptr<store::Statement>> statements;  // by the text's address

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Work> queue;  // guarded by mutex, as what follows
  int64_t urgent = 0;      // of the queue
  bool closing = false;
  std::optional<Error> first_error;
  std::thread writer;

 private:
  template <class F>
  auto call(F work, bool writes) -> decltype(work()) {
    std::optional<decltype(work())> out;
    const auto done = wait_for(
        [&]() -> Result<void> {
          out.emplace(work());
          if (!*out) return out->error();
          return {};
        },
        writes);
    if (!done) return done.error();
    return std::move(*out);
  }
  Result<void> wait_for(std::function<Result<void>()> work, bool writes);
  void loop();
  std::deque<Work> take();
  void run(std::deque<Work> group);
  Result<std::vector<Result<void>>> try_group(std::deque<Work>& group);
  void finish(Work& work, Result<void> result);
  Result<std::vector<Batch>> list_open_batches();
  Result<Record> read_record(const store::Statement& row);
  Result<KeptLogprobs> read_logprobs(const store::Statement& row, const Record& record);
};

}  // namespace retort::corpus
