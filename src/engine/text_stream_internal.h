// Tokens' bytes as they come, made into text that can be shown at once: cut at UTF-8 borders, held
// back while a stop string may still complete.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace retort::engine {

class TextStream {
 public:
  explicit TextStream(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The text that can be shown now. After a stop string has come, nothing more does.
  std::string feed(std::string_view bytes);
  bool stopped() const { return !stopped_by_.empty(); }
  const std::string& stopped_by() const { return stopped_by_; }
  // What was held back, at the end; bytes that are no text become U+FFFD.
  std::string finish();

 private:
  std::string held_;
  std::vector<std::string> stops_;
  std::string stopped_by_;  // empty while none has come
};

}  // namespace retort::engine
