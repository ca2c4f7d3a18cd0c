// One request and its answer on a libcurl easy handle. Lives on the client's I/O thread alone.
#pragma once
#include <curl/curl.h>

#include <memory>
#include <string>

#include "http/client.h"

namespace retort::http {

class Exchange {
 public:
  Exchange(ExchangeId id, Request request, Handlers handlers)
      : id_(id), request_(std::move(request)), handlers_(std::move(handlers)) {}
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // Checks the request and makes the handle ready; after a failure only fail() makes sense.
  Result<void> prepare(const ClientOptions& options);
  CURL* handle() const { return handle_; }
  ExchangeId id() const { return id_; }

  void start(int64_t now_ms);
  // When time is up, in monotonic milliseconds; INT64_MAX for never.
  int64_t deadline_ms() const;

  // Each calls on_done; exactly one of them is called.
  void finish(CURLcode code);
  void fail(Failure failure, Error error);

 private:
  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  static int on_progress(void* self, curl_off_t, curl_off_t down, curl_off_t, curl_off_t up);
  static int on_before_request(void* self, char*, char*, int, int);

  Result<void> set_url();
  Result<void> set_headers();
  void set_body();
  bool take_header(std::string_view line);
  bool take_body(std::string_view piece);
  void touch();
  Failure classify(CURLcode code) const;

  ExchangeId id_;
  Request request_;
  Handlers handlers_;
  CURL* handle_ = nullptr;
  curl_slist* list_ = nullptr;
  std::string place_;  // origin and path, without the query: for errors
  char curl_text_[CURL_ERROR_SIZE] = {};

  Response response_;
  bool head_done_ = false;
  bool too_large_ = false;
  int64_t head_bytes_ = 0;
  int64_t progress_bytes_ = 0;
  int attempts_ = 0;  // how often libcurl was about to write the request
  int64_t started_ms_ = 0;
  int64_t active_ms_ = 0;
};

}  // namespace retort::http
