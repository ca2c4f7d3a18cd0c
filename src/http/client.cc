#include "http/client.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <deque>
#include <future>
#include <limits>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/check.h"
#include "base/clock.h"
#include "http/direct_internal.h"
#include "http/exchange_internal.h"

namespace retort::http {
namespace {

// An exchange that a loop has: this bit, the loop's place in the client's list, a number.
constexpr ExchangeId kDirect = ExchangeId{1} << 63;
constexpr int kPlaceBits = 40;
constexpr ExchangeId kNumberMask = (ExchangeId{1} << kPlaceBits) - 1;

}  // namespace

const char* name(Failure failure) {
  switch (failure) {
    case Failure::none:
      return "none";
    case Failure::invalid:
      return "invalid";
    case Failure::connect:
      return "connect";
    case Failure::tls:
      return "tls";
    case Failure::broken:
      return "broken";
    case Failure::timed_out:
      return "timed_out";
    case Failure::too_large:
      return "too_large";
    case Failure::cancelled:
      return "cancelled";
  }
  return "none";
}

struct Client::Impl {
  explicit Impl(ClientOptions given) : options(std::move(given)) {
    static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
    RETORT_CHECK(global == CURLE_OK, "curl_global_init: {}", static_cast<int>(global));
    multi = curl_multi_init();
    RETORT_CHECK(multi != nullptr);
    const auto connections = static_cast<long>(limit());
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
    thread = std::thread([this] { run(); });
  }

  ~Impl() { curl_multi_cleanup(multi); }

  void run();
  bool take_commands();
  void start_waiting();
  void finish_done();
  void expire();
  int poll_ms() const;
  void stop();
  size_t limit() const {
    return static_cast<size_t>(std::max<int64_t>(1, options.max_connections));
  }
  void cancel(ExchangeId id);
  void cancel_all();
  std::shared_ptr<const Target> target_of(const std::string& url);
  ExchangeId send_direct(Loop& loop, Request request, Handlers handlers,
                         std::shared_ptr<const Target> target);
  void cancel_direct(ExchangeId id);
  size_t place_of(Loop& loop);
  void leave_loops();

  // Constant after construction.
  ClientOptions options;
  CURLM* multi = nullptr;
  std::thread thread;

  // The I/O thread's own.
  std::deque<std::unique_ptr<Exchange>> waiting;
  std::unordered_map<ExchangeId, std::unique_ptr<Exchange>> running;

  // State below is protected by mutex.
  std::mutex mutex;
  std::vector<std::unique_ptr<Exchange>> arrived;
  std::vector<ExchangeId> cancelled;
  ExchangeId last_id = 0;
  std::string latest_url;
  std::shared_ptr<const Target> latest_target;  // of `latest_url`
  std::vector<std::weak_ptr<Loop>> loops;       // that have exchanges of this client
  bool stopping = false;
};

void Client::Impl::run() {
  // Signals are the main thread's; a broken pipe is an error return.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  while (take_commands()) {
    expire();
    start_waiting();
    int still_running = 0;
    curl_multi_perform(multi, &still_running);
    finish_done();
    curl_multi_poll(multi, nullptr, 0, poll_ms(), nullptr);
  }
  cancel_all();
}

// False when it is time to stop.
bool Client::Impl::take_commands() {
  std::vector<ExchangeId> to_cancel;
  bool stop = false;
  {
    const std::lock_guard lock(mutex);
    for (auto& exchange : arrived) waiting.push_back(std::move(exchange));
    arrived.clear();
    to_cancel.swap(cancelled);
    stop = stopping;
  }
  for (const ExchangeId id : to_cancel) cancel(id);
  return !stop;
}

void Client::Impl::start_waiting() {
  while (!waiting.empty() && running.size() < limit()) {
    auto exchange = std::move(waiting.front());
    waiting.pop_front();
    if (auto ready = exchange->prepare(options); !ready) {
      exchange->fail(Failure::invalid, ready.error());
      continue;
    }
    exchange->start(base::system_clock().monotonic_ms());
    curl_multi_add_handle(multi, exchange->handle());
    const ExchangeId id = exchange->id();
    running.emplace(id, std::move(exchange));
  }
}

void Client::Impl::finish_done() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;  // the message dies with the handle's removal
    char* self = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &self);
    const auto found = running.find(reinterpret_cast<Exchange*>(self)->id());
    auto exchange = std::move(found->second);
    running.erase(found);
    curl_multi_remove_handle(multi, exchange->handle());
    exchange->finish(code);
  }
}

// Ends what ran out of time.
void Client::Impl::expire() {
  const int64_t now = base::system_clock().monotonic_ms();
  std::vector<ExchangeId> late;
  for (const auto& [id, exchange] : running) {
    if (exchange->deadline_ms() <= now) late.push_back(id);
  }
  for (const ExchangeId id : late) {
    auto exchange = std::move(running.at(id));
    running.erase(id);
    curl_multi_remove_handle(multi, exchange->handle());
    exchange->fail(Failure::timed_out, base::upstream_error("no whole answer came in time"));
  }
}

// How long nothing needs looking at, but for sockets and commands.
int Client::Impl::poll_ms() const {
  if (!waiting.empty() && running.size() < limit()) return 0;
  int64_t nearest = std::numeric_limits<int64_t>::max();
  for (const auto& [id, exchange] : running) nearest = std::min(nearest, exchange->deadline_ms());
  const int64_t now = base::system_clock().monotonic_ms();
  return static_cast<int>(std::clamp<int64_t>(nearest - now, 0, 1000));
}

void Client::Impl::cancel(ExchangeId id) {
  std::unique_ptr<Exchange> exchange;
  if (const auto found = running.find(id); found != running.end()) {
    exchange = std::move(found->second);
    running.erase(found);
    curl_multi_remove_handle(multi, exchange->handle());
  } else {
    const auto queued = std::find_if(waiting.begin(), waiting.end(),
                                     [&](const auto& entry) { return entry->id() == id; });
    if (queued == waiting.end()) return;
    exchange = std::move(*queued);
    waiting.erase(queued);
  }
  exchange->fail(Failure::cancelled, {ErrorCode::interrupted, "the request was cancelled", "", ""});
}

void Client::Impl::cancel_all() {
  while (true) {
    // on_done may send again; those are told as well.
    take_commands();
    if (running.empty() && waiting.empty()) return;
    const ExchangeId id = running.empty() ? waiting.front()->id() : running.begin()->first;
    cancel(id);
  }
}

void Client::Impl::stop() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  curl_multi_wakeup(multi);
  thread.join();
}

// With the mutex held.
size_t Client::Impl::place_of(Loop& loop) {
  for (size_t i = 0; i < loops.size(); ++i) {
    if (loops[i].lock().get() == &loop) return i;
  }
  loops.push_back(loop.weak_from_this());
  return loops.size() - 1;
}

// Null for what libcurl is to do. A client asks one place again and again, as a rule.
std::shared_ptr<const Target> Client::Impl::target_of(const std::string& url) {
  const std::lock_guard lock(mutex);
  if (latest_target && url == latest_url) return latest_target;
  auto target = direct_target(url);
  if (!target) return nullptr;
  latest_url = url;
  latest_target = std::make_shared<const Target>(std::move(*target));
  return latest_target;
}

ExchangeId Client::Impl::send_direct(Loop& loop, Request request, Handlers handlers,
                                     std::shared_ptr<const Target> target) {
  ExchangeId id = kDirect;
  {
    const std::lock_guard lock(mutex);
    id |= place_of(loop) << kPlaceBits | (++last_id & kNumberMask);
  }
  auto* direct = static_cast<Direct*>(loop.attached(this));
  if (direct == nullptr) {
    auto made = std::make_unique<Direct>(loop, options);
    direct = made.get();
    loop.attach(this, std::move(made));
  }
  direct->send(id, std::move(request), std::move(handlers), std::move(target));
  return id;
}

// In the loop's next round, since a callback of the exchange may be what calls this.
void Client::Impl::cancel_direct(ExchangeId id) {
  std::shared_ptr<Loop> loop;
  {
    const std::lock_guard lock(mutex);
    const size_t place = (id & ~kDirect) >> kPlaceBits;
    if (place < loops.size()) loop = loops[place].lock();
  }
  if (!loop) return;
  Loop& its = *loop;
  loop->post([&its, key = this, id] {
    if (auto* direct = static_cast<Direct*>(its.attached(key))) direct->cancel(id);
  });
}

// What they have of this client ends before this returns.
void Client::Impl::leave_loops() {
  std::vector<std::weak_ptr<Loop>> all;
  {
    const std::lock_guard lock(mutex);
    all = loops;
  }
  for (const auto& one : all) {
    const auto loop = one.lock();
    if (!loop) continue;
    if (loop.get() == Loop::current()) {
      loop->detach(this);
      continue;
    }
    std::promise<void> done;
    const bool runs = loop->post([&] {
      loop->detach(this);
      done.set_value();
    });
    if (runs) done.get_future().wait();
  }
}

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() {
  impl_->leave_loops();
  impl_->stop();
}

ExchangeId Client::send(Request request, Handlers handlers) {
  if (Loop* loop = Loop::current()) {
    if (auto target = impl_->target_of(request.url)) {
      return impl_->send_direct(*loop, std::move(request), std::move(handlers), std::move(target));
    }
  }
  ExchangeId id = 0;
  {
    const std::lock_guard lock(impl_->mutex);
    id = ++impl_->last_id;
    impl_->arrived.push_back(
        std::make_unique<Exchange>(id, std::move(request), std::move(handlers)));
  }
  curl_multi_wakeup(impl_->multi);
  return id;
}

ExchangeId Client::send(Request request, std::function<void(Outcome)> on_done) {
  Handlers handlers;
  handlers.on_done = std::move(on_done);
  return send(std::move(request), std::move(handlers));
}

void Client::cancel(ExchangeId id) {
  if ((id & kDirect) != 0) return impl_->cancel_direct(id);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->cancelled.push_back(id);
  }
  curl_multi_wakeup(impl_->multi);
}

Outcome Client::fetch(Request request) {
  std::promise<Outcome> promise;
  auto future = promise.get_future();
  send(std::move(request), [&](Outcome outcome) { promise.set_value(std::move(outcome)); });
  return future.get();
}

}  // namespace retort::http
