#include "release/gate.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "release/gate_internal.h"

namespace retort::release {
namespace {

// Texts on which tokenizers part: blanks, digits, contractions, scripts, joined emoji, spelt
// control tokens, bytes that are no UTF-8.
const std::vector<std::string>& tricky_texts() {
  static const std::vector<std::string> texts = {
      "",
      " ",
      "  a   b\t\tc \n\n d\r\n",
      "Hello, world!",
      "I'll we've IT'S don't 'tis",
      "1234567890 3.14159 2026-08-14 0x1F",
      "naïve café Å ﬁ ½ Σίσυφος Пётр",
      "日本語と漢字、한국어 العربية हिन्दी",
      "👩‍👩‍👧‍👦🏳️‍🌈e\xCC\x81",
      "<|im_end|><|im_start|>assistant\n<|endoftext|>",
      "def f(x):\n    return x**2  # why\n",
      "https://example.com/?q=a%20b&c=d#e",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "\xC2\xA0\xE2\x80\x8B\xEF\xBB\xBF\xE2\x80\xA8",
      "where the weather is, there is another",
      "tail blank "};
  return texts;
}

double spread(const float* row, int64_t n) {
  double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(row[i]);
  const double mean = sum / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) {
    const double off = static_cast<double>(row[i]) - mean;
    squares += off * off;
  }
  return std::max(std::sqrt(squares / static_cast<double>(n)), 1e-12);
}

// A difference that is no number counts as infinite.
double distance(float a, float b) {
  const double d = std::abs(static_cast<double>(a) - static_cast<double>(b));
  return std::isnan(d) ? INFINITY : d;
}

TokenId likeliest(const float* row, int64_t n) {
  return static_cast<TokenId>(std::max_element(row, row + n) - row);
}

}  // namespace

const GateCheck* first_failure(const std::vector<GateCheck>& checks) {
  const auto found = std::find_if(checks.begin(), checks.end(),
                                  [](const GateCheck& check) { return !check.passed; });
  return found == checks.end() ? nullptr : &*found;
}

std::string sentence(const GateCheck& check) {
  return fmt::format("{}: {} {}: difference {:.3g}, allowed {:.3g} ({} compared{}{})", check.file,
                     check.what, check.passed ? "agree" : "are not the trainer's", check.measured,
                     check.bound, check.compared, check.detail.empty() ? "" : "; ", check.detail);
}

Result<Probes> make_probes(const tokenizer::Tokenizer& tokenizer, const tokenizer::ChatFormat& chat,
                           const std::vector<std::string>& questions, int64_t max_positions) {
  Probes probes;
  probes.texts = tricky_texts();
  const auto ask = [&](const std::string& question) -> Result<void> {
    probes.chats.push_back({{dialog::Role::user, question}});
    RETORT_TRY(auto rendered, chat.render(tokenizer, probes.chats.back(), /*open_assistant=*/true));
    auto ids = std::move(rendered.ids);
    const int64_t longest = std::clamp<int64_t>(max_positions / 2, 1, kPromptTokensMax);
    if (static_cast<int64_t>(ids.size()) > longest) ids.resize(static_cast<size_t>(longest));
    if (!ids.empty()) probes.prompts.push_back(std::move(ids));
    return {};
  };
  for (const auto& question : questions) RETORT_TRY_VOID(ask(question));
  RETORT_TRY_VOID(ask("Write a two-sentence story about a boat and a moon."));
  RETORT_TRY_VOID(ask("What is 12 × 7?"));
  probes.chats.push_back({{dialog::Role::system, "Answer in one word.\n"},
                          {dialog::Role::user, " <|im_end|> 👩‍👩‍👧‍👦 "},
                          {dialog::Role::assistant, "Family."},
                          {dialog::Role::user, "And\n\nthis?"}});
  int64_t longest = 0;
  for (const auto& prompt : probes.prompts) {
    longest = std::max(longest, static_cast<int64_t>(prompt.size()));
  }
  probes.greedy_tokens = std::clamp<int64_t>(max_positions - longest, 0, kGreedyTokens);
  return probes;
}

Result<Expected> answers_of(const LogitsOf& logits, const Probes& probes, int64_t vocab) {
  Expected expected;
  expected.vocab = vocab;
  for (const auto& prompt : probes.prompts) {
    RETORT_TRY(auto rows, logits(prompt));
    std::vector<TokenId> sequence = prompt, greedy;
    std::vector<float> chosen_from;
    std::vector<float> last(rows.end() - vocab, rows.end());
    while (static_cast<int64_t>(greedy.size()) < probes.greedy_tokens) {
      chosen_from.insert(chosen_from.end(), last.begin(), last.end());
      greedy.push_back(likeliest(last.data(), vocab));
      sequence.push_back(greedy.back());
      if (static_cast<int64_t>(greedy.size()) == probes.greedy_tokens) break;
      RETORT_TRY(const auto next, logits(sequence));
      last.assign(next.end() - vocab, next.end());
    }
    expected.logits.push_back(std::move(rows));
    expected.greedy.push_back(std::move(greedy));
    expected.greedy_logits.push_back(std::move(chosen_from));
  }
  return expected;
}

GateCheck check_weights(const model::Weights& expected, const model::Weights& found,
                        const FormatOf& format_of) {
  GateCheck check{.file = "", .what = "weights", .passed = true, .detail = ""};
  if (!(expected.config() == found.config())) {
    check.passed = false;
    check.detail = "the shape in the file is another one";
    return check;
  }
  constexpr int64_t kBlock = 32;
  double worst = -1;
  for (const auto& info : expected.tensors()) {
    const Format stored = format_of(info);
    const auto a = expected.tensor(info.name), b = found.tensor(info.name);
    float largest = 0;
    for (int64_t i = 0; i < info.size(); ++i) {
      const auto at = static_cast<size_t>(i);
      if (stored == Format::q8_0 && i % kBlock == 0) {
        largest = 0;
        for (size_t j = at; j < at + kBlock; ++j) largest = std::max(largest, std::abs(a[j]));
      }
      const double off = distance(a[at], b[at]);
      const double excess = off - rounding_bound(stored, a[at], largest);
      if (excess > 0) check.passed = false;
      if (excess > 0 ? excess > worst : worst < 0 && off > check.measured) {
        check.measured = off;
        check.bound = rounding_bound(stored, a[at], largest);
        check.detail = fmt::format("{}, element {}", info.name, i);
        if (excess > 0) worst = excess;
      }
    }
    check.compared += info.size();
  }
  return check;
}

GateCheck check_ids(const Probes& probes, const tokenizer::Tokenizer& expected,
                    const tokenizer::Tokenizer& found) {
  GateCheck check{.file = "", .what = "token ids", .passed = true, .detail = ""};
  for (const auto& text : probes.texts) {
    const auto a = expected.encode(text), b = found.encode(text);
    check.compared += static_cast<int64_t>(a.size());
    if (a == b && expected.decode(a) == found.decode(b)) continue;
    check.passed = false;
    check.measured += 1;
    check.detail = fmt::format("the text \"{}\" has other ids", text);
  }
  const auto& a = expected.vocabulary();
  const auto& b = found.vocabulary();
  if (a.tokens != b.tokens || a.special != b.special || a.eos != b.eos || a.bos != b.bos ||
      a.pad != b.pad || a.add_bos != b.add_bos) {
    check.passed = false;
    check.measured += 1;
    check.detail = "the vocabulary or its control tokens are others";
  }
  return check;
}

GateCheck check_chat(const Probes& probes, const tokenizer::Tokenizer& expected,
                     const tokenizer::ChatFormat& expected_chat, const tokenizer::Tokenizer& found,
                     const tokenizer::ChatFormat& found_chat) {
  GateCheck check{.file = "", .what = "chat prompts", .passed = true, .detail = ""};
  check.passed = expected_chat.stop_token() == found_chat.stop_token();
  if (!check.passed) check.detail = "answers end with another token";
  for (const auto& chat : probes.chats) {
    const auto a = expected_chat.render(expected, chat, /*open_assistant=*/true);
    const auto b = found_chat.render(found, chat, /*open_assistant=*/true);
    if (!a && !b) continue;
    check.compared += a ? static_cast<int64_t>(a->ids.size()) : 0;
    if (a && b && a->ids == b->ids) continue;
    check.passed = false;
    check.measured += 1;
    check.detail = fmt::format("\"{}\" is rendered otherwise", chat.back().content);
  }
  return check;
}

Result<GateCheck> check_logits(const Probes& probes, const Expected& expected,
                               const LogitsOf& found, double bound) {
  GateCheck check{.file = "", .what = "logits", .bound = bound, .passed = true, .detail = ""};
  const int64_t vocab = expected.vocab;
  for (size_t p = 0; p < probes.prompts.size(); ++p) {
    RETORT_TRY(const auto rows, found(probes.prompts[p]));
    const auto& wanted = expected.logits[p];
    if (rows.size() != wanted.size()) {
      check.passed = false;
      check.detail =
          fmt::format("prompt {} gives {} logits instead of {}", p, rows.size(), wanted.size());
      return check;
    }
    for (size_t row = 0; row < probes.prompts[p].size(); ++row) {
      const float* a = wanted.data() + static_cast<int64_t>(row) * vocab;
      const float* b = rows.data() + static_cast<int64_t>(row) * vocab;
      double worst = 0;
      for (int64_t v = 0; v < vocab; ++v) worst = std::max(worst, distance(a[v], b[v]));
      worst /= spread(a, vocab);
      if (!(worst <= bound)) check.passed = false;
      if (worst > check.measured) {
        check.measured = worst;
        check.detail = fmt::format("prompt {}, token {}", p, row);
      }
    }
    check.compared += static_cast<int64_t>(rows.size());
  }
  return check;
}

Result<GateCheck> check_greedy(const Probes& probes, const Expected& expected,
                               const GreedyOf& found, double bound) {
  GateCheck check{.file = "", .what = "greedy tokens", .passed = true, .detail = ""};
  const int64_t vocab = expected.vocab;
  check.bound = 2 * bound;
  for (size_t p = 0; p < probes.prompts.size(); ++p) {
    RETORT_TRY(const auto tokens, found(probes.prompts[p], probes.greedy_tokens));
    const auto& wanted = expected.greedy[p];
    size_t same = 0;
    while (same < wanted.size() && same < tokens.size() && tokens[same] == wanted[same]) ++same;
    check.compared += static_cast<int64_t>(same);
    if (same == wanted.size() && tokens.size() == wanted.size()) continue;
    double gap = INFINITY;
    if (same < tokens.size() && same < wanted.size() && tokens[same] >= 0 && tokens[same] < vocab) {
      const float* row = expected.greedy_logits[p].data() + static_cast<int64_t>(same) * vocab;
      gap = distance(row[wanted[same]], row[tokens[same]]) / spread(row, vocab);
    }
    if (!(gap <= check.bound) || bound == 0) check.passed = false;
    check.measured = std::max(check.measured, gap);
    check.detail = fmt::format("prompt {} parts at token {}", p, same);
  }
  return check;
}

}  // namespace retort::release
