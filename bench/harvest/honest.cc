#include <algorithm>
#include <cmath>

#include "harvest/traffic.h"

namespace retort::bench::harvest {
namespace {

using detect::Speaker;

int64_t seconds(double value) {
  return static_cast<int64_t>(value * 1000);
}

detect::Sampling usual_sampling(base::Random& random) {
  detect::Sampling out;
  const uint64_t which = random.below(6);
  if (which == 1) out.temperature = 0.7;
  if (which == 2) out.max_tokens = 1024;
  if (which == 3) out.temperature = 0.2;
  if (which == 4) out.max_tokens = 2048, out.temperature = 0.7;
  return out;
}

// People who sit down, ask, and ask on. The kinds differ in what they ask.
class Person : public Source {
 public:
  Person(const Texts& texts, uint64_t seed, double per_day_median)
      : Source(texts, seed), sampling_(usual_sampling(random_)) {
    starts_ = sittings(std::min(18.0, log_normal(random_, per_day_median, 0.9)));
    // Some use it as a search engine and hardly ever ask on.
    going_on_ = chance(random_, 0.2) ? 0.15 * random_.uniform() : 0.35 + 0.5 * random_.uniform();
    const uint64_t interests = 3 + random_.below(10);
    for (uint64_t i = 0; i < interests; ++i) groups_.push_back(any_group());
    const uint64_t habits = 4 + random_.below(16);
    for (uint64_t i = 0; i < habits; ++i) frames_.push_back(pick(random_, question_frames()));
    answer_ = log_normal(random_, 220, 0.4);
  }

 protected:
  bool fill(std::vector<Request>& out) override {
    if (at_ == starts_.size()) return false;
    int64_t now = starts_[at_++];
    const uint32_t group = chance(random_, 0.15) ? any_group() : pick(random_, groups_);
    const int openers = 1 + run_length(random_, 0.45, 8);
    for (int i = 0; i < openers; ++i) {
      Request request = single(now, opening(group), answer_, 0.7);
      prepare(request);
      out.push_back(request);
      const int more = run_length(random_, going_on_, 12);
      for (int k = 0; k < more; ++k) {
        now += seconds(log_normal(random_, 50, 0.8));
        request = follow(request, now, next_words(), answer_);
        prepare(request);
        out.push_back(request);
      }
      now += seconds(log_normal(random_, 90, 0.9));
    }
    return true;
  }

  virtual std::string opening(uint32_t group) {
    const double which = random_.uniform();
    if (which < 0.12) return pick(random_, texts_.dialogs).question;
    if (which < 0.18) return "what does this mean: " + pick(random_, texts_.quotes);
    if (which < 0.22) return "correct my English: " + pick(random_, texts_.examples);
    if (which < 0.25) return "please solve and show your work: " + pick(random_, texts_.quotes);
    return harvest::fill(pick(random_, frames_), topic_in(group), topic_in(group));
  }
  virtual std::string next_words() { return pick(random_, follow_ups()); }
  virtual void prepare(Request& request) { request.sampling = sampling_; }

  detect::Sampling sampling_;
  std::vector<uint32_t> groups_;
  std::vector<std::string> frames_;
  double going_on_ = 0.5, answer_ = 220;

 private:
  std::vector<int64_t> starts_;
  size_t at_ = 0;
};

// An assistant in an editor: code in, code out, tools, long dialogs.
class CodingAgent : public Person {
 public:
  CodingAgent(const Texts& texts, uint64_t seed) : Person(texts, seed, 1.2) {
    going_on_ = 0.7 + 0.22 * random_.uniform();
    sampling_.tools = true;
    sampling_.temperature = 0.2;
    answer_ = log_normal(random_, 300, 0.3);
    project_ = random_.below(texts_.code.size());
  }

 protected:
  std::string snippet() { return texts_.code[(project_ + random_.below(60)) % texts_.code.size()]; }
  std::string opening(uint32_t) override {
    static const std::vector<std::string> kTasks = {
        "fix the failing test in this function\n",
        "add a docstring and types\n",
        "why does this raise an exception?\n",
        "refactor this so that it is easier to read\n",
        "write unit tests for\n",
        "make this faster without changing what it returns\n"};
    return pick(random_, kTasks) + snippet();
  }
  std::string next_words() override {
    return chance(random_, 0.7) ? "tool result:\n" + snippet() : pick(random_, follow_ups());
  }

 private:
  uint64_t project_ = 0;
};

// Many customers' questions behind one key, with what was retrieved put before each.
class HelpDesk : public Person {
 public:
  HelpDesk(const Texts& texts, uint64_t seed) : Person(texts, seed, 3) {
    going_on_ = 0.2 + 0.5 * random_.uniform();
    retrieves_ = chance(random_, 0.6);
    system_ = "You are the assistant of " + any_topic().noun + " support. Be brief and polite.";
    first_ = random_.below(texts_.passages.size());
    answer_ = log_normal(random_, 110, 0.3);
  }

 protected:
  std::string opening(uint32_t group) override {
    std::string question = chance(random_, 0.6) ? pick(random_, texts_.dialogs).question
                                                : harvest::fill(pick(random_, question_frames()),
                                                                topic_in(group), topic_in(group));
    if (!retrieves_) return question;
    const auto& found = texts_.passages[(first_ + random_.below(80)) % texts_.passages.size()];
    return "Use the following context to answer.\n" + found + "\nQuestion: " + question;
  }
  void prepare(Request& request) override {
    request.sampling = sampling_;
    if (request.turns.front().speaker != Speaker::system) {
      request.turns.insert(request.turns.begin(), {Speaker::system, system_});
    }
  }

 private:
  bool retrieves_ = false;
  std::string system_;
  uint64_t first_ = 0;
};

// Pupils with the same exercises at the same hours, some of whom copy their neighbour's question.
class Pupil : public Person {
 public:
  Pupil(const Texts& texts, uint64_t seed, uint64_t school) : Person(texts, seed, 0.5) {
    base::Random lessons(school, 8);
    for (int i = 0; i < 12; ++i) {
      const auto& group = pick(lessons, texts_.groups);
      const Topic& topic = texts_.topics[pick(lessons, group)];
      exercises_.push_back(harvest::fill(pick(lessons, question_frames()), topic, topic));
    }
  }

 protected:
  std::string opening(uint32_t group) override {
    return chance(random_, 0.7) ? pick(random_, exercises_) : Person::opening(group);
  }

 private:
  std::vector<std::string> exercises_;
};

// Texts for shops and pages: a template, a product, a long answer, and now and then a wish to
// change it. Of all honest kinds it is nearest to a harvest.
class Studio : public Person {
 public:
  Studio(const Texts& texts, uint64_t seed) : Person(texts, seed, 1.5) {
    going_on_ = 0.2 + 0.5 * random_.uniform();
    const uint64_t used = 1 + random_.below(5);
    for (uint64_t i = 0; i < used; ++i) templates_.push_back(writing_frame(random_));
    answer_ = log_normal(random_, 260, 0.3);
  }

 protected:
  std::string opening(uint32_t group) override {
    return harvest::fill(pick(random_, templates_), topic_in(group), topic_in(group));
  }

 private:
  std::vector<std::string> templates_;
};

// Pauses between a program's requests: one after another, or of many workers at once.
double pause_s(base::Random& random, double alone_s) {
  return chance(random, 0.4) ? alone_s / static_cast<double>(2 + random.below(60)) : alone_s;
}

// Programs: some runs of many requests.
class Batch : public Source {
 public:
  Batch(const Texts& texts, uint64_t seed) : Source(texts, seed) {}

 protected:
  // Runs on some days at a fixed hour.
  void plan(double runs, double rows_median, double gap_s) {
    const double hour = random_.uniform() * 24;
    const double every = kDays / std::max(1.0, runs);
    const double first = random_.uniform() * every;
    for (double day = first; day < kDays; day += every) {
      starts_.push_back(kStartMs + static_cast<int64_t>((std::floor(day) * 24 + hour) * 3'600'000));
    }
    rows_ = rows_median;
    gap_s_ = pause_s(random_, gap_s);
  }
  bool fill(std::vector<Request>& out) override {
    if (at_ == starts_.size() || sent_ > 600) return false;
    int64_t now = starts_[at_++];
    const auto rows = static_cast<int>(std::min(500.0, log_normal(random_, rows_, 0.4))) + 1;
    begin_run(at_ - 1);
    for (int i = 0; i < rows && row_exists(i); ++i) {
      out.push_back(row(now, i));
      now += seconds(gap_s_ * (0.2 + 1.6 * random_.uniform()));
    }
    sent_ += static_cast<int>(out.size());
    return true;
  }
  virtual void begin_run(size_t) {}
  virtual bool row_exists(int) { return true; }
  virtual Request row(int64_t now, int index) = 0;

 private:
  std::vector<int64_t> starts_;
  size_t at_ = 0;
  double rows_ = 50, gap_s_ = 2;
  int sent_ = 0;
};

// Classification, translation or summaries of a stream of records by one template.
class Records : public Batch {
 public:
  enum Work { classify, translate, summarise };
  Records(const Texts& texts, uint64_t seed, Work work) : Batch(texts, seed), work_(work) {
    plan(4 + random_.uniform() * 26, log_normal(random_, 14, 0.8),
         log_normal(random_, work == classify ? 1.5 : 5, 0.6));
    const size_t first = work == classify ? 0 : (work == translate ? 6 : 8);
    const size_t many = work == classify ? 6 : 2;
    frame_ = batch_frames()[first + random_.below(many)];
    sampling_.temperature = chance(random_, 0.7) ? 0.0 : 0.3;
    if (work == classify) sampling_.max_tokens = 64;
    short_texts_ = chance(random_, 0.4);
    repeats_ = 0.1 * random_.uniform();
    // Some keep a copy of the reasons for audits.
    audited_ = work == classify && chance(random_, 0.15);
  }

 protected:
  Request row(int64_t now, int) override {
    if (last_.empty() || !chance(random_, repeats_)) {
      last_ = short_texts_ && work_ != summarise
                  ? (chance(random_, 0.5) ? pick(random_, texts_.examples)
                                          : pick(random_, texts_.quotes))
                  : pick(random_, texts_.passages);
    }
    double answer = 12;
    if (work_ == translate) answer = static_cast<double>(last_.size()) / 3.6;
    if (work_ == summarise) answer = 90;
    if (audited_) answer = 90;
    Request out = single(now,
                         harvest::fill(frame_, any_topic(), any_topic(), last_) +
                             (audited_ ? "\nShow your work." : ""),
                         answer, 0.3);
    out.sampling = sampling_;
    return out;
  }

 private:
  Work work_;
  std::string frame_, last_;
  detect::Sampling sampling_;
  bool short_texts_ = false, audited_ = false;
  double repeats_ = 0;
};

// The same public questions, in the same order, for every version of a model or a prompt.
class Evaluation : public Batch {
 public:
  Evaluation(const Texts& texts, uint64_t seed) : Batch(texts, seed) {
    size_ = static_cast<int>(std::min(700.0, log_normal(random_, 150, 0.7))) + 20;
    plan(2 + random_.uniform() * 8, 2.0 * size_, log_normal(random_, 1.5, 0.7));
    base::Random set(random_.below(12), 21);  // there are twelve public sets
    const std::string& frame = pick(set, question_frames());
    const std::string tail = chance(random_, 0.4) ? " " + pick(random_, reasoning_demands()) : "";
    for (int i = 0; i < size_; ++i) {
      const Topic& topic = pick(set, texts_.topics);
      prompts_.push_back(chance(set, 0.5) ? pick(set, texts_.dialogs).question + tail
                                          : harvest::fill(frame, topic, topic) + tail);
    }
    sampling_.temperature = chance(random_, 0.8) ? 0.0 : 0.6;
    sampling_.logprobs = chance(random_, 0.4);
    sampling_.max_tokens = chance(random_, 0.5) ? 512 : 32;
    answer_ = sampling_.max_tokens == 32 ? 8 : (tail.empty() ? 90 : 220);
  }

 protected:
  bool row_exists(int index) override { return index < size_; }
  Request row(int64_t now, int index) override {
    Request out = single(now, prompts_[static_cast<size_t>(index)], answer_);
    out.sampling = sampling_;
    return out;
  }

 private:
  int size_ = 0;
  std::vector<std::string> prompts_;
  detect::Sampling sampling_;
  double answer_ = 50;
};

// A few prompts, over and over, as fast as it goes.
class LoadTest : public Batch {
 public:
  LoadTest(const Texts& texts, uint64_t seed) : Batch(texts, seed) {
    plan(1 + random_.uniform() * 5, log_normal(random_, 250, 0.6), 0.02 + random_.uniform());
    const uint64_t many = 1 + random_.below(60);
    for (uint64_t i = 0; i < many; ++i) {
      prompts_.push_back(harvest::fill(pick(random_, question_frames()), any_topic(), any_topic()));
    }
    sampling_.max_tokens = chance(random_, 0.7) ? 128 : 0;
  }

 protected:
  Request row(int64_t now, int) override {
    Request out = single(now, pick(random_, prompts_), sampling_.max_tokens == 0 ? 250 : 120, 0.1);
    out.sampling = sampling_;
    return out;
  }

 private:
  std::vector<std::string> prompts_;
  detect::Sampling sampling_;
};

// A declared study: every combination of some persons, subjects and wordings, some samples of each.
class Study : public Batch {
 public:
  Study(const Texts& texts, uint64_t seed) : Batch(texts, seed) {
    plan(1 + random_.uniform() * 6, log_normal(random_, 120, 0.6), log_normal(random_, 2, 0.6));
    const uint64_t wordings = 1 + random_.below(4), subjects = 8 + random_.below(30);
    const uint64_t persons = 4 + random_.below(16);
    for (uint64_t i = 0; i < wordings; ++i) frames_.push_back(pick(random_, question_frames()));
    for (uint64_t i = 0; i < subjects; ++i) subjects_.push_back(&any_topic());
    for (uint64_t i = 0; i < persons; ++i) persons_.push_back(any_topic().noun);
    sampling_.answers = chance(random_, 0.4) ? 5 : 1;
    sampling_.logprobs = chance(random_, 0.3);
    repeats_ = sampling_.answers == 1 ? 1 + static_cast<int>(random_.below(5)) : 1;
    tail_ = chance(random_, 0.25) ? " " + pick(random_, reasoning_demands()) : "";
    answer_ = log_normal(random_, 90, 0.6);
  }

 protected:
  Request row(int64_t now, int) override {
    const int cell = done_++ / repeats_;
    const auto index = static_cast<size_t>(cell);
    const Topic& subject = *subjects_[index % subjects_.size()];
    const std::string& person = persons_[index / subjects_.size() % persons_.size()];
    const auto wording = index / subjects_.size() / persons_.size() % frames_.size();
    Request out = single(
        now,
        "You are a " + person + ". " + harvest::fill(frames_[wording], subject, subject) + tail_,
        answer_ * sampling_.answers);
    out.sampling = sampling_;
    return out;
  }

 private:
  std::vector<std::string> frames_, persons_;
  std::vector<const Topic*> subjects_;
  detect::Sampling sampling_;
  std::string tail_;
  int repeats_ = 1, done_ = 0;
  double answer_ = 90;
};

// Replays a workload of its own against a new model on the day of its release, then goes on as
// before.
class Migrator : public Person {
 public:
  Migrator(const Texts& texts, uint64_t seed) : Person(texts, seed, 1.0) {
    const uint64_t many = 60 + random_.below(300);
    for (uint64_t i = 0; i < many; ++i) workload_.push_back(Person::opening(any_group()));
    release_ms_ = kStartMs + 12 * kDayMs + seconds(random_.uniform() * 36'000);
    rounds_ = 1 + static_cast<int>(random_.below(4));
    gap_s_ = pause_s(random_, log_normal(random_, 2, 0.6));
  }

 protected:
  bool fill(std::vector<Request>& out) override {
    const bool more = Person::fill(out);
    if (!done_ && (!more || out.front().time_ms > release_ms_)) {
      done_ = true;
      int64_t now = release_ms_;
      for (int round = 0; round < rounds_; ++round) {
        for (const auto& prompt : workload_) {
          Request request = single(now, prompt, answer_);
          request.sampling = sampling_;
          out.push_back(request);
          now += seconds(gap_s_ * (0.2 + 1.6 * random_.uniform()));
        }
      }
      return true;
    }
    return more;
  }

 private:
  std::vector<std::string> workload_;
  int64_t release_ms_ = 0;
  int rounds_ = 1;
  double gap_s_ = 2;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<Source> chat_source(const Texts& texts, uint64_t seed, double per_day) {
  return std::make_unique<Person>(texts, seed, per_day);
}

const std::vector<Kind>& honest_kinds() {
  static const std::vector<Kind> kKinds = {{"chat", "chat"},
                                           {"coding agent", "coding"},
                                           {"help desk behind one key", "support"},
                                           {"nightly classification", "classification"},
                                           {"translation batch", "translation"},
                                           {"summariser", "summaries"},
                                           {"evaluation harness", "evaluation"},
                                           {"load test", "load testing"},
                                           {"declared study", "research"},
                                           {"release-day migrator", "application"},
                                           {"school class", "education"},
                                           {"writing studio", "writing"}};
  return kKinds;
}

Member honest(const Texts& texts, size_t kind, uint64_t seed, uint64_t group) {
  base::Random random(seed, 1);
  Member out;
  out.kind = honest_kinds()[kind].name;
  out.purpose = chance(random, 0.1) ? "" : honest_kinds()[kind].purpose;
  out.address = random.next();
  out.payment = random.next();
  // Firms, homes and carriers put several customers behind one network.
  if (chance(random, 0.3)) out.address = base::mix64(random.below(40) + 1000 * (group + 1));
  switch (kind) {
    case 0:
      out.source = std::make_unique<Person>(texts, seed, 0.8);
      break;
    case 1:
      out.source = std::make_unique<CodingAgent>(texts, seed);
      break;
    case 2:
      out.source = std::make_unique<HelpDesk>(texts, seed);
      break;
    case 3:
      out.source = std::make_unique<Records>(texts, seed, Records::classify);
      break;
    case 4:
      out.source = std::make_unique<Records>(texts, seed, Records::translate);
      break;
    case 5:
      out.source = std::make_unique<Records>(texts, seed, Records::summarise);
      break;
    case 6:
      out.source = std::make_unique<Evaluation>(texts, seed);
      break;
    case 7:
      out.source = std::make_unique<LoadTest>(texts, seed);
      break;
    case 8:
      out.source = std::make_unique<Study>(texts, seed);
      break;
    case 9:
      out.source = std::make_unique<Migrator>(texts, seed);
      break;
    case 10:
      out.source = std::make_unique<Pupil>(texts, seed, group);
      out.address = base::mix64(group);
      out.payment = base::mix64(group ^ 77);
      break;
    default:
      out.source = std::make_unique<Studio>(texts, seed);
      break;
  }
  return out;
}

}  // namespace retort::bench::harvest
