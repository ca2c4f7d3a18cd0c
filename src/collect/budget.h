// A budget in requests, tokens and money that parallel requests cannot overrun: an amount is
// reserved before a request is sent and settled when its cost is known. Integers only. One thread.
#pragma once
#include <cstdint>

#include "collect/money.h"

namespace retort::collect {

struct Spend {
  int64_t requests = 0;
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;
  Money money = 0;

  int64_t tokens() const { return add_clamped(prompt_tokens, answer_tokens); }
  void add(const Spend& other);
  bool operator==(const Spend&) const = default;
};

struct Prices {  // for a million tokens
  Money prompt = 0;
  Money answer = 0;
};

// One request with its money worked out.
Spend priced(const Prices& prices, int64_t prompt_tokens, int64_t answer_tokens);

// 0 or less: no limit.
struct Limits {
  int64_t requests = 0;
  int64_t tokens = 0;
  Money money = 0;
};

enum class Admission {
  granted,
  wait,     // does not fit beside what is in flight; may fit once that is settled
  refused,  // does not fit although nothing is in flight
};

class Budget {
 public:
  // `spent` is what earlier runs used up.
  Budget(Limits limits, Spend spent) : limits_(limits), spent_(spent) {}

  // Granted: `most` counts as used until settle() gives the same `most` back.
  Admission reserve(const Spend& most);
  // A request that was reserved as `most` cost `actual`. An actual above the reservation (a server
  // that counts more than it could) is booked as it is.
  void settle(const Spend& most, const Spend& actual);
  // Spent without a reservation: by a process that is no more.
  void book(const Spend& actual) { spent_.add(actual); }
  // Not sent after all.
  void release(const Spend& most);

  const Spend& spent() const { return spent_; }
  const Spend& reserved() const { return reserved_; }
  // Which limit stopped the last reserve() that was not granted: "budget_requests", ...
  const char* stopped_by() const { return stopped_by_; }

 private:
  const char* over(const Spend& used) const;

  Limits limits_;
  Spend spent_;
  Spend reserved_;
  const char* stopped_by_ = "";
};

}  // namespace retort::collect
