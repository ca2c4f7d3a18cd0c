// The notebook of the collecting loop, kept in corpus.db.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "collect/ask_all.h"
#include "corpus/gathering.h"

namespace retort::collect {

class GatheringNotebook : public Notebook {
 public:
  // `wanted`: keys of this run. Jobs of an earlier run file that are still open are given up, not
  // asked. All references outlive the notebook.
  GatheringNotebook(corpus::Gathering& gathering, const Prices& prices,
                    const std::set<std::string>& wanted, base::Clock& clock);

  Result<std::vector<Claimed>> claim(int64_t limit) override;
  Result<void> release(int64_t job) override;
  Result<void> ended(int64_t job, const Reply& reply, const Step& step) override;
  Result<void> commit() override;
  Result<int64_t> next_in_ms() override;
  std::string body(int64_t job) override;

 private:
  corpus::Gathering& gathering_;
  Prices prices_;
  const std::set<std::string>& wanted_;
  base::Clock& clock_;
  std::map<int64_t, corpus::Job> claimed_;
  std::mutex mutex_;
  std::optional<Error> writer_error_;  // guarded by mutex_
};

// An API's own words on how its answers may be used, as a record keeps them.
terms::Preference preference_of(const Answer& answer);
std::string preference_text_of(const Answer& answer);

}  // namespace retort::collect
