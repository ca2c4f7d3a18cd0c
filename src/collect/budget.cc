#include "collect/budget.h"

#include "base/check.h"

namespace retort::collect {
namespace {

Spend sum(Spend a, const Spend& b) {
  a.add(b);
  return a;
}

}  // namespace

void Spend::add(const Spend& other) {
  requests = add_clamped(requests, other.requests);
  prompt_tokens = add_clamped(prompt_tokens, other.prompt_tokens);
  answer_tokens = add_clamped(answer_tokens, other.answer_tokens);
  money = add_clamped(money, other.money);
}

Spend priced(const Prices& prices, int64_t prompt_tokens, int64_t answer_tokens) {
  return {.requests = 1,
          .prompt_tokens = prompt_tokens,
          .answer_tokens = answer_tokens,
          .money = add_clamped(multiply_clamped(prompt_tokens, per_token(prices.prompt)),
                               multiply_clamped(answer_tokens, per_token(prices.answer)))};
}

const char* Budget::over(const Spend& used) const {
  if (limits_.requests > 0 && used.requests > limits_.requests) return "budget_requests";
  if (limits_.tokens > 0 && used.tokens() > limits_.tokens) return "budget_tokens";
  if (limits_.money > 0 && used.money > limits_.money) return "budget_usd";
  return nullptr;
}

Admission Budget::reserve(const Spend& most) {
  const Spend with_this = sum(sum(spent_, reserved_), most);
  if (const char* limit = over(with_this)) {
    stopped_by_ = limit;
    return reserved_.requests > 0 ? Admission::wait : Admission::refused;
  }
  reserved_.add(most);
  return Admission::granted;
}

void Budget::release(const Spend& most) {
  RETORT_CHECK(reserved_.requests >= most.requests, "{} < {}", reserved_.requests, most.requests);
  reserved_.requests -= most.requests;
  reserved_.prompt_tokens -= most.prompt_tokens;
  reserved_.answer_tokens -= most.answer_tokens;
  reserved_.money -= most.money;
}

void Budget::settle(const Spend& most, const Spend& actual) {
  release(most);
  spent_.add(actual);
}

}  // namespace retort::collect
