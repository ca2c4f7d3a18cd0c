#include "http/post.h"

#include <curl/curl.h>
#include <sys/socket.h>

#include <memory>

#include "http/address.h"
#include "http/head_internal.h"

namespace retort::http {
namespace {

constexpr int64_t kAnswerBytesMax = 64 << 10;

// Whatever was resolved, this is the address that would be connected to.
curl_socket_t open_public(void*, curlsocktype, curl_sockaddr* address) {
  if (!is_public(address->addr)) return CURL_SOCKET_BAD;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// What it says beside its status is nobody's business; how much of it is bounded.
size_t drop(char*, size_t size, size_t count, void* left) {
  auto& bytes = *static_cast<int64_t*>(left);
  bytes -= static_cast<int64_t>(size * count);
  return bytes >= 0 ? size * count : 0;
}

int on_progress(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(stop)->load() ? 1 : 0;
}

std::string part_of(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return "";
  std::string copy = text;
  curl_free(text);
  return copy;
}

}  // namespace

Result<void> check_post(const Post& post) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url(curl_url(), &curl_url_cleanup);
  const bool parsed = curl_url_set(url.get(), CURLUPART_URL, post.url.c_str(), 0) == CURLUE_OK &&
                      post.url.find('\0') == std::string::npos;
  const std::string scheme = parsed ? part_of(url.get(), CURLUPART_SCHEME) : "";
  if (scheme != "https" && !(scheme == "http" && post.private_addresses)) {
    return base::usage_error("this is no https URL", post.url,
                             "plain http is for private addresses that are allowed by name");
  }
  if (!part_of(url.get(), CURLUPART_USER).empty()) {
    return base::usage_error("a URL must not carry a name or password");
  }
  for (const auto& [name, value] : post.headers) {
    if (!is_token(name) || value.empty() || value.find_first_of("\r\n") != std::string::npos) {
      return base::usage_error("that is no header of HTTP", name);
    }
  }
  return {};
}

Result<int> post(const Post& post) {
  RETORT_TRY_VOID(check_post(post));
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> owned(curl_easy_init(),
                                                                  &curl_easy_cleanup);
  CURL* handle = owned.get();
  if (handle == nullptr) return base::internal_error("libcurl gave no handle");
  curl_slist* list = curl_slist_append(nullptr, "Expect:");
  for (const auto& [name, value] : post.headers) {
    list = curl_slist_append(list, (name + ": " + value).c_str());
  }
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list,
                                                                            &curl_slist_free_all);
  char why[CURL_ERROR_SIZE] = {};
  int64_t left = kAnswerBytesMax;
  curl_easy_setopt(handle, CURLOPT_URL, post.url.c_str());
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "retort");
  curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(post.body.size()));
  curl_easy_setopt(handle, CURLOPT_POSTFIELDS, post.body.data());
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(post.timeout_ms));
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &drop);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &left);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, why);
  if (post.stop != nullptr) {
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &on_progress);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, post.stop);
  }
  if (!post.private_addresses) {
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, &open_public);
  }
  const CURLcode code = curl_easy_perform(handle);
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  // A body that is too long or breaks off changes nothing of the status.
  if (status != 0) return static_cast<int>(status);
  return base::upstream_error(why[0] != '\0' ? why : curl_easy_strerror(code), post.url,
                              "it is asked again later");
}

}  // namespace retort::http
