#include <algorithm>
#include <array>
#include <charconv>

#include "base/ascii.h"
#include "http/head_internal.h"
#include "http/server.h"

namespace retort::http {
namespace {

Refusal bad(std::string reason) {
  return {400, std::move(reason)};
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// One part of a path, percent-decoded once.
bool decode_part(std::string_view raw, std::string& out) {
  constexpr std::string_view kMarks = "-._~!$&'()*+,=:@";  // pchar without ';'
  for (size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    if (c == '%') {
      if (i + 2 >= raw.size() || hex_digit(raw[i + 1]) < 0 || hex_digit(raw[i + 2]) < 0) {
        return false;
      }
      c = static_cast<char>(hex_digit(raw[i + 1]) * 16 + hex_digit(raw[i + 2]));
      i += 2;
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7f || c == '\\') return false;
    } else if (!base::is_alnum(c) && kMarks.find(c) == std::string_view::npos) {
      return false;
    }
    out += c;
  }
  return out != "." && out != "..";
}

Refusal parse_target(std::string_view target, Head& head) {
  if (target == "*" && head.method == "OPTIONS") {
    head.path = {"*"};
    return {};
  }
  if (!target.starts_with('/')) return bad("the target must begin with a slash");
  const size_t mark = target.find('?');
  if (mark != std::string_view::npos) head.query = target.substr(mark + 1);
  if (!std::all_of(head.query.begin(), head.query.end(),
                   [](char c) { return c > 0x20 && c < 0x7f && c != '#'; })) {
    return bad("the query holds a byte that must be percent-encoded");
  }
  std::string_view rest = target.substr(1, mark == std::string_view::npos ? mark : mark - 1);
  while (true) {
    const size_t slash = rest.find('/');
    std::string part;
    if (!decode_part(rest.substr(0, slash), part)) return bad("the path is not plain");
    const bool last = slash == std::string_view::npos;
    // An empty part at the end is another path, one in the middle is a trick.
    if (part.empty() && !last) return bad("the path has an empty part");
    head.path.push_back(std::move(part));
    if (last) return {};
    rest.remove_prefix(slash + 1);
  }
}

Refusal parse_request_line(std::string_view line, Head& head) {
  const size_t first = line.find(' ');
  const size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos || line.find(' ', second + 1) != std::string_view::npos) {
    return bad("the request line needs a method, a target and a version");
  }
  head.method = line.substr(0, first);
  if (!is_token(head.method) || head.method.size() > 16) return bad("the method is no token");
  const std::string_view version = line.substr(second + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    if (version.starts_with("HTTP/")) return {505, "this server speaks HTTP/1.1"};
    return bad("the version is not HTTP/1.1");
  }
  head.http10 = version == "HTTP/1.0";
  return parse_target(line.substr(first + 1, second - first - 1), head);
}

Refusal parse_header(std::string_view line, Head& head) {
  if (line.front() == ' ' || line.front() == '\t') return bad("a header is folded");
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return bad("a header's name is no token directly before a colon");
  }
  const auto value = base::trimmed(line.substr(colon + 1), kBlanks);
  if (!is_field_value(value)) return bad("a header holds a control character");
  if (head.headers.size() == kHeaderCountLimit) return {431, "too many headers"};
  head.headers.emplace_back(line.substr(0, colon), value);
  return {};
}

// The only value of a header; nullptr for none. Two of them are a refusal.
const std::string* single(const Head& head, std::string_view name, Refusal& refusal) {
  const std::string* value = nullptr;
  for (const auto& [key, text] : head.headers) {
    if (!is_same_word(key, name)) continue;
    if (value != nullptr) refusal = bad(std::string(name) + " is there twice");
    value = &text;
  }
  return value;
}

Refusal judge_framing(Head& head) {
  Refusal refusal;
  const std::string* length = single(head, "Content-Length", refusal);
  const std::string* coding = single(head, "Transfer-Encoding", refusal);
  if (refusal.status != 0) return refusal;
  if (length != nullptr && coding != nullptr) return bad("two ways to tell the body's length");
  if (coding != nullptr) {
    if (!is_same_word(*coding, "chunked") || head.http10)
      return bad("Transfer-Encoding is not chunked");
    head.chunked = true;
  }
  if (length != nullptr) {
    const bool digits =
        !length->empty() && length->size() <= 15 &&
        std::all_of(length->begin(), length->end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return bad("Content-Length is no number");
    std::from_chars(length->data(), length->data() + length->size(), head.content_length);
  }
  const std::string* encoding = find_header(head.headers, "Content-Encoding");
  if (encoding != nullptr && !is_same_word(*encoding, "identity")) {
    return {415, "the body must not be compressed"};
  }
  return {};
}

// "name", "name:80", "[::1]:80"; the name without port, "" when it is none.
std::string host_of(std::string_view text) {
  std::string_view name = text;
  const size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return "";
  if (const size_t colon = text.find(':', bracket); colon != std::string_view::npos) {
    name = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    if (port.size() > 5 ||
        !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return "";
    }
  }
  constexpr std::string_view kMarks = "-._[]:";
  const bool plain = std::all_of(name.begin(), name.end(), [&](char c) {
    return base::is_alnum(c) || kMarks.find(c) != std::string_view::npos;
  });
  return plain ? std::string(name) : "";
}

Refusal judge_host(Head& head) {
  Refusal refusal;
  const std::string* host = single(head, "Host", refusal);
  if (refusal.status != 0) return refusal;
  if (host == nullptr) return head.http10 ? Refusal{} : bad("Host is missing");
  head.host = host_of(*host);
  return head.host.empty() ? bad("Host is no host and port") : Refusal{};
}

Refusal judge_connection(Head& head) {
  head.keep_alive = !head.http10;
  for (const auto& [key, value] : head.headers) {
    if (is_same_word(key, "Connection") && !is_same_word(value, "keep-alive"))
      head.keep_alive = false;
  }
  const std::string* expect = find_header(head.headers, "Expect");
  if (expect == nullptr) return {};
  if (!is_same_word(*expect, "100-continue")) return {417, "Expect may be 100-continue alone"};
  head.expects_continue = true;
  return {};
}

}  // namespace

bool is_token(std::string_view text) {
  static constexpr auto kIsOf = [] {
    std::array<bool, 256> is_of{};
    for (int c = 0; c < 128; ++c)
      is_of[static_cast<size_t>(c)] = base::is_alnum(static_cast<char>(c));
    for (const char c : std::string_view("!#$%&'*+-.^_`|~")) is_of[static_cast<size_t>(c)] = true;
    return is_of;
  }();
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return kIsOf[static_cast<unsigned char>(c)]; });
}

size_t find_head_end(std::string_view bytes, Refusal& refusal) {
  const std::string_view seen = bytes.substr(0, kHeadBytesLimit);
  for (size_t i = 0; i < seen.size(); ++i) {
    const auto byte = static_cast<unsigned char>(seen[i]);
    if (byte > '\r') continue;
    if (byte == '\r' && i + 1 == seen.size()) break;
    const bool line_end = byte == '\r' && seen[i + 1] == '\n';
    if (line_end && i >= 2 && seen[i - 1] == '\n') return i + 2;
    if (line_end) {
      ++i;
    } else if (byte == '\r' || byte == '\n' || byte == '\0') {
      refusal = bad("a line must end in CR LF, and hold no NUL");
      return 0;
    }
  }
  if (bytes.size() >= kHeadBytesLimit) refusal = {431, "the head is too large"};
  return 0;
}

Refusal parse_head(std::string_view bytes, Head& head) {
  constexpr size_t kUsual = 8;
  head.headers.reserve(kUsual);
  head.path.reserve(kUsual / 2);
  bytes.remove_suffix(2);  // the empty line
  bool first = true;
  while (!bytes.empty()) {
    const size_t end = bytes.find("\r\n");
    const std::string_view line = bytes.substr(0, end);
    const Refusal refusal = line.empty() ? bad("the request line is empty")
                            : first      ? parse_request_line(line, head)
                                         : parse_header(line, head);
    if (refusal.status != 0) return refusal;
    first = false;
    bytes.remove_prefix(end + 2);
  }
  if (first) return bad("the request line is empty");
  for (Refusal (*judge)(Head&) : {&judge_framing, &judge_host, &judge_connection}) {
    const Refusal refusal = judge(head);
    if (refusal.status != 0) return refusal;
  }
  return {};
}

Refusal ChunkedDecoder::feed(std::string& bytes) {
  std::string_view rest = bytes;
  Refusal refusal;
  while (!done() && step(rest, refusal)) {
  }
  bytes.erase(0, bytes.size() - rest.size());
  return refusal;
}

// False when more bytes are needed, or they are refused.
bool ChunkedDecoder::step(std::string_view& bytes, Refusal& refusal) {
  if (state_ == State::size) return read_size(bytes, refusal);
  if (state_ == State::data) {
    const size_t count = std::min(static_cast<size_t>(left_), bytes.size());
    body_ += bytes.substr(0, count);
    bytes.remove_prefix(count);
    left_ -= static_cast<int64_t>(count);
    if (left_ == 0) state_ = State::data_end;
    return left_ == 0;
  }
  if (bytes.size() < 2) return false;
  if (!bytes.starts_with("\r\n")) {
    refusal = bad("a chunk does not end in CR LF");
    return false;
  }
  bytes.remove_prefix(2);
  state_ = state_ == State::data_end ? State::size : State::done;
  return true;
}

bool ChunkedDecoder::read_size(std::string_view& bytes, Refusal& refusal) {
  const size_t end = bytes.substr(0, 16).find("\r\n");
  if (end == std::string_view::npos) {
    if (bytes.size() >= 16) refusal = bad("a chunk's size is no number");
    return false;
  }
  const std::string_view digits = bytes.substr(0, end);
  int64_t size = 0;
  for (const char c : digits) {
    if (hex_digit(c) < 0) refusal = bad("a chunk's size is no number");
    size = size * 16 + std::max(0, hex_digit(c));
  }
  if (digits.empty()) refusal = bad("a chunk's size is missing");
  if (refusal.status == 0 && size > max_bytes_ - static_cast<int64_t>(body_.size())) {
    refusal = {413, "the body is too large"};
  }
  if (refusal.status != 0) return false;
  bytes.remove_prefix(end + 2);
  left_ = size;
  state_ = size == 0 ? State::last_end : State::data;
  return true;
}

bool is_loopback_host(std::string_view host) {
  if (is_same_word(host, "localhost") || host == "::1" || host == "[::1]") return true;
  // A name like 127.0.0.1.example.com is somebody else's.
  return host.starts_with("127.") && std::all_of(host.begin(), host.end(), [](char c) {
           return c == '.' || (c >= '0' && c <= '9');
         });
}

bool is_allowed_host(std::string_view host, const std::vector<std::string>& allowed) {
  return is_loopback_host(host) ||
         std::any_of(allowed.begin(), allowed.end(),
                     [&](const std::string& name) { return is_same_word(name, host); });
}

std::string origin_host(std::string_view origin) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) return host_of(origin.substr(scheme.size()));
  }
  return "";
}

}  // namespace retort::http
