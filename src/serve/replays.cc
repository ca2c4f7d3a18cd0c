#include "serve/replays_internal.h"

namespace retort::serve {
namespace {

constexpr int64_t kEntryBytes = 512;  // of an entry beside its body, about

class Recorder : public http::Responder {
 public:
  Recorder(std::shared_ptr<http::Responder> inner, std::shared_ptr<Replays> replays,
           std::string key)
      : inner_(std::move(inner)), replays_(std::move(replays)), key_(std::move(key)) {}
  ~Recorder() override { drop(); }

  // Kept before it leaves: who asks again at once finds it.
  void reply(http::Reply reply) override {
    if (fits(reply.body)) {
      kept_.reply = reply;
      settle();
    }
    inner_->reply(std::move(reply));
  }
  void begin(http::Reply head) override {
    kept_.reply = head;
    kept_.streamed = true;
    inner_->begin(std::move(head));
  }
  bool write(std::string_view piece) override {
    if (fits(piece)) kept_.reply.body += piece;
    return inner_->write(piece);
  }
  void finish() override {
    settle();
    inner_->finish();
  }
  void cut() override {
    drop();
    inner_->cut();
  }
  void on_gone(std::function<void()> call) override { inner_->on_gone(std::move(call)); }

 private:
  bool fits(std::string_view more) {
    const auto size = static_cast<int64_t>(kept_.reply.body.size() + more.size());
    if (size > replays_->limits().answer_bytes) drop();
    return !over_;
  }
  void settle() {
    if (over_ || kept_.reply.status != 200) return drop();
    over_ = true;
    replays_->keep(key_, std::move(kept_));
  }
  void drop() {
    if (!over_) replays_->drop(key_);
    over_ = true;
    kept_.reply.body.clear();
  }

  std::shared_ptr<http::Responder> inner_;
  std::shared_ptr<Replays> replays_;
  std::string key_;
  Replays::Kept kept_;
  bool over_ = false;  // kept or dropped
};

}  // namespace

Replays::Replays() : Replays(Limits{}, base::system_clock()) {}
Replays::Replays(Limits limits, base::Clock& clock) : limits_(limits), clock_(clock) {}

Replays::Begun Replays::begin(const std::string& key, const std::string& request) {
  const std::lock_guard lock(mutex_);
  forget_old();
  const auto [place, fresh] = entries_.try_emplace(key, Entry{request});
  if (fresh) return {};
  const Entry& entry = place->second;
  if (entry.request != request) return {Found::other};
  if (!entry.kept) return {Found::running};
  return {Found::kept, entry.kept};
}

void Replays::keep(const std::string& key, Kept kept) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.since_ms = clock_.monotonic_ms();
  entry.bytes = kEntryBytes + static_cast<int64_t>(kept.reply.body.size());
  entry.kept = std::make_shared<const Kept>(std::move(kept));
  bytes_ += entry.bytes;
  order_.emplace_back(entry.since_ms, key);
  forget_old();
}

void Replays::drop(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(key);
  if (found != entries_.end() && !found->second.kept) entries_.erase(found);
}

void Replays::forget_old() {
  const int64_t oldest_ms = clock_.monotonic_ms() - limits_.keep_ms;
  while (!order_.empty() && (order_.front().first < oldest_ms || bytes_ > limits_.bytes)) {
    const auto found = entries_.find(order_.front().second);
    order_.pop_front();
    bytes_ -= found->second.bytes;
    entries_.erase(found);
  }
}

std::shared_ptr<http::Responder> recorded(std::shared_ptr<http::Responder> inner,
                                          std::shared_ptr<Replays> replays, std::string key) {
  return std::make_shared<Recorder>(std::move(inner), std::move(replays), std::move(key));
}

void replay(http::Responder& to, const Replays::Kept& kept) {
  http::Reply reply = kept.reply;
  reply.headers.emplace_back("idempotent-replayed", "true");
  if (!kept.streamed) return to.reply(std::move(reply));
  const std::string body = std::exchange(reply.body, {});
  to.begin(std::move(reply));
  to.write(body);
  to.finish();
}

}  // namespace retort::serve
