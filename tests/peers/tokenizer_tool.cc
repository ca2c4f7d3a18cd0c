// Drives the tokenizer room from scripts. Texts come as JSON strings, one a line of standard input.
//   encode FOLDER          ids of each text, one JSON list a line
//   chat FOLDER TEMPLATE   each line a list of {"role", "content"}; ids with an open answer
//   save FOLDER OUT        reads FOLDER/tokenizer.json, writes OUT
//   time FOLDER FILE       seconds to encode a text file, best of nine
//   train OUT FILE SIZE    trains a vocabulary on a text file and writes it; prints the seconds
#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <iostream>

#include "base/files.h"
#include "json/value.h"
#include "tokenizer/bpe_trainer_internal.h"
#include "tokenizer/chat.h"
#include "tokenizer/tokenizer.h"

namespace retort {
namespace {

using tokenizer::Tokenizer;

void print_ids(const std::vector<tokenizer::TokenId>& ids) {
  std::string line = "[";
  for (const auto id : ids) line += fmt::format("{}{}", line.size() > 1 ? "," : "", id);
  fmt::print("{}]\n", line);
}

Result<void> encode_lines(const Tokenizer& tokenizer) {
  for (std::string line; std::getline(std::cin, line);) {
    RETORT_TRY(const auto text, json::parse(line, "standard input"));
    print_ids(tokenizer.encode(text.as_string()));
  }
  return {};
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
    print_ids(format.render(tokenizer, messages, /*open_assistant=*/true).ids);
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
  if (arguments.size() < 2) return base::usage_error("encode|chat|save|time|train FOLDER [...]");
  if (arguments[0] == "train" && arguments.size() == 4) {
    return train_file(arguments[1], arguments[2], std::stoll(arguments[3]));
  }
  RETORT_TRY(const auto tokenizer,
             tokenizer::load_tokenizer_json(base::join(arguments[1], "tokenizer.json")));
  if (arguments[0] == "encode") return encode_lines(*tokenizer);
  if (arguments.size() < 3) return base::usage_error("one more argument is needed");
  if (arguments[0] == "chat") return chat_lines(*tokenizer, arguments[2]);
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
