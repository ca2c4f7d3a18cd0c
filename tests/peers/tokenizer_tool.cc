// Drives the tokenizer room from scripts. Texts come as JSON strings, one a line of standard input.
//   encode FOLDER          ids of each text, one JSON list a line; FOLDER may be a GGUF file
//   decode FOLDER          each line a list of ids; their text as a JSON string
//   chat FOLDER TEMPLATE   each line a list of {"role", "content"}; ids with an open answer
//   save FOLDER OUT        reads FOLDER/tokenizer.json, writes OUT
//   trim FOLDER OUT        the vocabulary of the texts alone, written to OUT
//   time FOLDER FILE       seconds to encode a text file, best of nine
//   split PRE              sizes in bytes of each text's words under a pre-tokenizer, by its name
//   template FILE          the digest that a chat template is known by, and its name or the refusal
//   train OUT FILE SIZE    trains a vocabulary on a text file and writes it; prints the seconds
#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <iostream>

#include "base/files.h"
#include "json/value.h"
#include "tokenizer/bpe_trainer_internal.h"
#include "tokenizer/chat_style_internal.h"
#include "tokenizer/split_internal.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/trim.h"

namespace retort {
namespace {

using tokenizer::Tokenizer;

void print_ids(const std::vector<tokenizer::TokenId>& ids) {
  std::string line = "[";
  for (const auto id : ids) line += fmt::format("{}{}", line.size() > 1 ? "," : "", id);
  fmt::print("{}]\n", line);
}

Result<void> decode_lines(const Tokenizer& tokenizer) {
  for (std::string line; std::getline(std::cin, line);) {
    RETORT_TRY(const auto list, json::parse(line, "standard input"));
    std::vector<tokenizer::TokenId> ids;
    for (const auto& id : list.as_array()) {
      ids.push_back(static_cast<tokenizer::TokenId>(id.as_int()));
    }
    fmt::print("{}\n", json::dump(json::Value(tokenizer.decode(ids))));
  }
  return {};
}

Result<void> encode_lines(const Tokenizer& tokenizer) {
  for (std::string line; std::getline(std::cin, line);) {
    RETORT_TRY(const auto text, json::parse(line, "standard input"));
    print_ids(tokenizer.encode(text.as_string()));
  }
  return {};
}

// The vocabulary of the texts on standard input, saved to a folder.
Result<void> trim_to_lines(const Tokenizer& tokenizer, const std::string& out) {
  std::vector<tokenizer::TokenId> used;
  for (std::string line; std::getline(std::cin, line);) {
    RETORT_TRY(const auto text, json::parse(line, "standard input"));
    const auto ids = tokenizer.encode(text.as_string());
    used.insert(used.end(), ids.begin(), ids.end());
  }
  RETORT_TRY(const auto trimmed, tokenizer::trim(tokenizer, used));
  return tokenizer::save_tokenizer(*trimmed.tokenizer, out);
}

Result<void> chat_lines(const Tokenizer& tokenizer, const std::string& forced) {
  RETORT_TRY(const auto format, tokenizer::ChatFormat::detect(tokenizer, forced));
  for (std::string line; std::getline(std::cin, line);) {
    RETORT_TRY(const auto list, json::parse(line, "standard input"));
    dialog::Messages messages;
    for (const auto& entry : list.as_array()) {
      RETORT_TRY(const auto role, entry.string_at("role"));
      RETORT_TRY(const auto content, entry.string_at("content"));
      messages.push_back({dialog::parse_role(role).value_or(dialog::Role::user), content});
    }
    RETORT_TRY(const auto rendered, format.render(tokenizer, messages, /*open_assistant=*/true));
    print_ids(rendered.ids);
  }
  return {};
}

Result<void> split_lines(const std::string& name) {
  RETORT_TRY(const auto pre, tokenizer::parse_pre_tokenizer(name));
  for (std::string line; std::getline(std::cin, line);) {
    RETORT_TRY(const auto text, json::parse(line, "standard input"));
    tokenizer::Splitter splitter(pre, text.as_string());
    std::vector<tokenizer::TokenId> sizes;
    for (auto word = splitter.next(); !word.empty(); word = splitter.next()) {
      sizes.push_back(static_cast<tokenizer::TokenId>(word.size()));
    }
    print_ids(sizes);
  }
  return {};
}

Result<void> time_file(const Tokenizer& tokenizer, const std::string& path) {
  RETORT_TRY(const auto text, base::read_file(path));
  double best = 1e9;
  size_t ids = 0;
  for (int round = 0; round < 9; ++round) {
    const auto start = std::chrono::steady_clock::now();
    ids = tokenizer.encode(text).size();
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count());
  }
  fmt::print("{{\"seconds\":{},\"bytes\":{},\"ids\":{}}}\n", best, text.size(), ids);
  return {};
}

Result<void> name_template(const std::string& path) {
  RETORT_TRY(const auto text, base::read_file(path));
  const auto masked = tokenizer::mask_default_system(text);
  const std::string digest = tokenizer::template_digest(masked);
  auto style = tokenizer::style_by_digest(digest, masked.default_system);
  if (style) {
    fmt::print("{} {}\n", digest, style->name);
    return {};
  }
  const auto marked = tokenizer::style_by_marks(masked.plain, masked.default_system);
  fmt::print("{} {}\n", digest, marked ? marked->name : marked.error().message);
  return {};
}

Result<void> train_file(const std::string& out, const std::string& path, int64_t vocab_size) {
  RETORT_TRY(const auto text, base::read_file(path));
  const auto start = std::chrono::steady_clock::now();
  RETORT_TRY(const auto trained, tokenizer::train_bpe_on({text}, {.vocab_size = vocab_size}));
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
  fmt::print("{{\"seconds\":{},\"bytes\":{},\"words\":{},\"size\":{}}}\n", spent.count(),
             trained.corpus_bytes, trained.distinct_words, trained.tokenizer->size());
  return tokenizer::save_tokenizer(*trained.tokenizer, out);
}

Result<void> run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 2)
    return base::usage_error("encode|decode|chat|save|trim|split|template|time|train FOLDER [...]");
  if (arguments[0] == "train" && arguments.size() == 4) {
    return train_file(arguments[1], arguments[2], std::stoll(arguments[3]));
  }
  if (arguments[0] == "split") return split_lines(arguments[1]);
  if (arguments[0] == "template") return name_template(arguments[1]);
  RETORT_TRY(const auto tokenizer, tokenizer::load_tokenizer(arguments[1]));
  if (arguments[0] == "decode") return decode_lines(*tokenizer);
  if (arguments[0] == "encode") return encode_lines(*tokenizer);
  if (arguments.size() < 3) return base::usage_error("one more argument is needed");
  if (arguments[0] == "chat") return chat_lines(*tokenizer, arguments[2]);
  if (arguments[0] == "trim") return trim_to_lines(*tokenizer, arguments[2]);
  if (arguments[0] == "save") return tokenizer::save_tokenizer(*tokenizer, arguments[2]);
  if (arguments[0] == "time") return time_file(*tokenizer, arguments[2]);
  return base::usage_error("unknown command " + arguments[0]);
}

}  // namespace
}  // namespace retort

int main(int count, char** arguments) {
  const auto done = retort::run({arguments + 1, arguments + count});
  if (done) return 0;
  fmt::print(stderr, "{}\n", done.error().text());
  return retort::base::exit_code(done.error().code);
}
