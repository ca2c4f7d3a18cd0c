// Counts what an upstream answers while it passes: a body as a whole, or events of a stream cut
// anywhere. They never pass what was reserved, whatever the upstream says; where it says nothing
// they are estimates that never go back: a token a piece, or a token in four bytes where that is
// more. Pure; one thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/value.h"
#include "openai/sse.h"
#include "relay/request.h"

namespace retort::relay {

struct Usage {
  int64_t input_tokens = 0, output_tokens = 0;
  bool told = false;  // by the upstream; else estimated
};

class Meter {
 public:
  explicit Meter(const Asked& asked);

  // Bytes of a stream, in; bytes for the client, out. An error: this is no stream of events of this
  // API, or the upstream says in it that it failed; nothing more may be passed on.
  Result<std::string> stream(std::string_view bytes);
  // The end of a stream came before: what was passed on is all there is.
  bool whole() const { return done_; }

  // A whole body; an error where it is none.
  Result<void> body(std::string_view bytes);

  Usage usage() const;
  // Of the first answer, its beginning: as much as anybody looks at.
  const std::string& answer() const { return answer_; }

 private:
  Result<bool> event(const std::string& data);
  void count_choices(const json::Value& value);
  void take_usage(const json::Value& value);

  int64_t input_likely_, input_most_, output_most_;
  bool usage_wanted_;
  openai::SseDecoder decoder_;
  bool done_ = false;
  bool told_ = false;
  int64_t told_input_ = 0, told_output_ = 0;
  int64_t pieces_ = 0, bytes_ = 0;
  std::string answer_;
};

}  // namespace retort::relay
