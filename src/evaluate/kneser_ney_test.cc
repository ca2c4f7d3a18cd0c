#include "evaluate/kneser_ney.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/random.h"

namespace retort::evaluate {
namespace {

using Gram = std::vector<int32_t>;
using Documents = std::vector<std::vector<int32_t>>;
constexpr int32_t kVocab = 7;

// The definition written down as it stands in the paper, slow and with no shared structure.
class BruteForce {
 public:
  BruteForce(const Documents& documents, int order, int64_t vocab) : order_(order), vocab_(vocab) {
    counts_.resize(static_cast<size_t>(order) + 1);
    for (const auto& document : documents) {
      Gram padded(static_cast<size_t>(order) - 1, -1);
      padded.insert(padded.end(), document.begin(), document.end());
      for (size_t i = static_cast<size_t>(order) - 1; i < padded.size(); ++i) {
        const auto end = padded.begin() + static_cast<std::ptrdiff_t>(i) + 1;
        ++counts_[static_cast<size_t>(order)][Gram(end - order, end)];
      }
    }
    for (size_t n = static_cast<size_t>(order) - 1; n >= 1; --n) {
      for (const auto& [gram, count] : counts_[n + 1]) {
        ++counts_[n][Gram(gram.begin() + 1, gram.end())];  // one for each different left neighbour
      }
    }
  }

  double p(const Gram& context, int32_t token) const {
    Gram padded(static_cast<size_t>(order_), -1);
    padded.insert(padded.end(), context.begin(), context.end());
    return level(Gram(padded.end() - (order_ - 1), padded.end()), token);
  }

 private:
  double discount(size_t n, int64_t count) const {
    int64_t with[4] = {0, 0, 0, 0};
    for (const auto& [gram, c] : counts_[n]) {
      if (c <= 4) ++with[c - 1];
    }
    const Discounts d = discounts_from(with);
    return count == 0 ? 0 : count == 1 ? d.one : count == 2 ? d.two : d.more;
  }
  double level(const Gram& context, int32_t token) const {
    const size_t n = context.size() + 1;
    const double lower = n == 1 ? 1.0 / static_cast<double>(vocab_)
                                : level(Gram(context.begin() + 1, context.end()), token);
    double total = 0, kept_back = 0, own = 0;
    for (const auto& [gram, count] : counts_[n]) {
      if (!std::equal(context.begin(), context.end(), gram.begin())) continue;
      total += static_cast<double>(count);
      kept_back += discount(n, count);
      if (gram.back() == token) own = static_cast<double>(count) - discount(n, count);
    }
    return total == 0 ? lower : (own + kept_back * lower) / total;
  }

  int order_;
  int64_t vocab_;
  std::vector<std::map<Gram, int64_t>> counts_;
};

// Text with structure, so that counts of counts are all there: each token leans on the one before.
Documents sample_documents(uint64_t seed, int count) {
  base::Random random(seed);
  Documents documents;
  for (int d = 0; d < count; ++d) {
    std::vector<int32_t> document{static_cast<int32_t>(random.below(kVocab))};
    const uint64_t length = 1 + random.below(12);
    for (uint64_t i = 1; i < length; ++i) {
      const bool leans = random.uniform() < 0.7;
      const auto next =
          leans ? (document.back() * 3 + 1) % kVocab : static_cast<int32_t>(random.below(kVocab));
      document.push_back(next);
    }
    documents.push_back(std::move(document));
  }
  return documents;
}

TEST(KneserNey, DiscountsAreThoseOfThePaper) {
  const int64_t counts[4] = {10, 5, 3, 2};
  const Discounts d = discounts_from(counts);
  EXPECT_DOUBLE_EQ(d.one, 1 - 2 * 0.5 * 5 / 10);
  EXPECT_DOUBLE_EQ(d.two, 2 - 3 * 0.5 * 3 / 5);
  EXPECT_DOUBLE_EQ(d.more, 3 - 4 * 0.5 * 2 / 3);
}

TEST(KneserNey, DiscountsFallBackWhereTheyCannotBeEstimated) {
  const int64_t counts[4] = {10, 0, 3, 2};
  EXPECT_DOUBLE_EQ(discounts_from(counts).one, 0.5);
  const int64_t rising[4] = {1, 1, 100, 1};  // the second discount would be far below zero
  EXPECT_DOUBLE_EQ(discounts_from(rising).two, 1.0);
}

// One document, one token twice: everything can be done by hand. All discounts are the fixed ones.
// Unigrams: a has two left neighbours (begin and a), so p1(a) = (2 - 1 + 1 * 1/2) / 2 = 3/4 with
// vocabulary 2. In every higher order the context "begin" has the one continuation a with count 1:
// p = (1 - 0.5) + 0.5 * lower, four times.
TEST(KneserNey, TinyExampleByHand) {
  const auto model = KneserNey::train({{0, 0}}, 2);
  ASSERT_TRUE(model);
  double p = 0.75;
  for (int n = 2; n <= 5; ++n) p = 0.5 + 0.5 * p;
  EXPECT_NEAR(model->log_probability({}, 0), std::log(p), 1e-12);
  EXPECT_NEAR(model->log_probability({}, 1), std::log(1 - p), 1e-12);
  // A context never seen leaves the unigrams; after "1" nothing was ever seen.
  const int32_t unseen[] = {1};
  EXPECT_NEAR(model->log_probability(unseen, 0), std::log(0.75), 1e-12);
}

TEST(KneserNey, EqualsTheDefinitionOnRandomContexts) {
  const Documents documents = sample_documents(3, 60);
  const auto model = KneserNey::train(documents, kVocab);
  ASSERT_TRUE(model);
  const BruteForce expected(documents, KneserNey::kOrder, kVocab);
  base::Random random(5);
  for (int i = 0; i < 300; ++i) {
    const auto& source = documents[random.below(documents.size())];
    Gram context(source.begin(),
                 source.begin() + static_cast<std::ptrdiff_t>(random.below(source.size() + 1)));
    if (!context.empty() && random.uniform() < 0.3) context.back() = 6;  // partly unseen
    const auto token = static_cast<int32_t>(random.below(kVocab));
    ASSERT_NEAR(std::exp(model->log_probability(context, token)), expected.p(context, token),
                1e-12);
  }
}

TEST(KneserNey, ProbabilitiesSumToOne) {
  const auto model = KneserNey::train(sample_documents(9, 200), kVocab);
  ASSERT_TRUE(model);
  base::Random random(11);
  for (int i = 0; i < 200; ++i) {
    Gram context(random.below(8));
    for (auto& token : context) token = static_cast<int32_t>(random.below(kVocab));
    double sum = 0;
    for (int32_t token = 0; token < kVocab; ++token) {
      sum += std::exp(model->log_probability(context, token));
    }
    ASSERT_NEAR(sum, 1.0, 1e-12);
  }
}

TEST(KneserNey, NoTextLeavesTheUniformDistribution) {
  const auto model = KneserNey::train({}, 4);
  ASSERT_TRUE(model);
  EXPECT_NEAR(model->log_probability({}, 3), std::log(0.25), 1e-12);
}

TEST(KneserNey, TokensOutsideTheVocabularyAreRefused) {
  EXPECT_FALSE(KneserNey::train({{0, 4}}, 4));
  EXPECT_FALSE(KneserNey::train({{-1}}, 4));
}

}  // namespace
}  // namespace retort::evaluate
