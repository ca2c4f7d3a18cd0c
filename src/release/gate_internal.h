// The comparison of an opened file with the trainer's model, without any file in it: what a model
// does is handed in as functions, so that a test can hand in a wrong one.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "model/weights.h"
#include "release/formats.h"
#include "release/gate.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"

namespace retort::release {

using tokenizer::TokenId;

inline constexpr int64_t kGreedyTokens = 64;
inline constexpr int64_t kPromptTokensMax = 48;

// What is asked of both sides.
struct Probes {
  std::vector<std::string> texts;             // to encode
  std::vector<dialog::Messages> chats;        // to render
  std::vector<std::vector<TokenId>> prompts;  // to continue; each 1 to kPromptTokensMax ids
  int64_t greedy_tokens = kGreedyTokens;      // fewer where the model's positions end
};
// `questions` are prompts of the run itself; fixed ones come on top.
Result<Probes> make_probes(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatFormat& chat,
                           const std::vector<std::string>& questions, int64_t max_positions);

// Logits [tokens, V] of a sequence.
using LogitsOf = std::function<Result<std::vector<float>>(const std::vector<TokenId>&)>;
// The likeliest continuation of a prompt, token by token.
using GreedyOf =
    std::function<Result<std::vector<TokenId>>(const std::vector<TokenId>&, int64_t tokens)>;

// What the trainer's model answers.
struct Expected {
  int64_t vocab = 0;
  std::vector<std::vector<float>> logits;         // of each prompt
  std::vector<std::vector<TokenId>> greedy;       // of each prompt
  std::vector<std::vector<float>> greedy_logits;  // [greedy tokens, V] that each was chosen from
};
Result<Expected> answers_of(const LogitsOf& logits, const Probes& probes, int64_t vocab);

// Each check is one line of the gate's report; the caller fills in the file's name.
using FormatOf = std::function<Format(const model::TensorInfo&)>;
GateCheck check_weights(const model::Weights& expected, const model::Weights& found,
                        const FormatOf& format_of);
GateCheck check_ids(const Probes& probes, const tokenizer::Tokenizer& expected,
                    const tokenizer::Tokenizer& found);
GateCheck check_chat(const Probes& probes, const tokenizer::Tokenizer& expected,
                     const tokenizer::ChatFormat& expected_chat, const tokenizer::Tokenizer& found,
                     const tokenizer::ChatFormat& found_chat);
Result<GateCheck> check_logits(const Probes& probes, const Expected& expected,
                               const LogitsOf& found, double bound);
// Equal tokens; where the two part, the trainer's logits of both must lie within the bound (twice,
// since both may move), which is a tie at this precision. With bound 0 all tokens must be equal.
Result<GateCheck> check_greedy(const Probes& probes, const Expected& expected,
                               const GreedyOf& found, double bound);

}  // namespace retort::release
