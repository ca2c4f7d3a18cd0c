// Writes a small random student and what retort itself says of it, for
// tests/peers/student_opens.py:
//
//   retort_release_fixture OUT [WEIGHTS [GGUF_WEIGHTS [FAMILY]]]
//
// OUT/student/, OUT/student.gguf and OUT/expected.json with token ids, chat prompts, logits and
// greedy answers.
#include <cstdio>
#include <string>

#include "base/files.h"
#include "json/value.h"
#include "release/export_internal.h"
#include "release/reopen_internal.h"
#include "release/testing_internal.h"

namespace retort::release {
namespace {

json::Value ids_json(const std::vector<TokenId>& ids) {
  json::Value out = json::Value::array();
  for (const TokenId id : ids) out.push(int64_t{id});
  return out;
}

json::Value chats_json(const Probes& probes, const tokenizer::Tokenizer& tokenizer,
                       const tokenizer::ChatFormat& chat) {
  json::Value out = json::Value::array();
  for (const auto& messages : probes.chats) {
    json::Value talk = json::Value::array();
    for (const auto& message : messages) {
      talk.push(json::Value::object(
          {{"role", dialog::name(message.role)}, {"content", message.content}}));
    }
    const auto rendered = chat.render(tokenizer, messages, /*open_assistant=*/true);
    if (!rendered) continue;  // not a conversation of this template
    out.push(json::Value::object({{"messages", talk}, {"ids", ids_json(rendered->ids)}}));
  }
  return out;
}

json::Value prompts_json(const Probes& probes, const Expected& expected) {
  json::Value out = json::Value::array();
  for (size_t p = 0; p < probes.prompts.size(); ++p) {
    json::Value logits = json::Value::array();
    for (const float value : expected.logits[p]) logits.push(static_cast<double>(value));
    out.push(json::Value::object({{"ids", ids_json(probes.prompts[p])},
                                  {"logits", logits},
                                  {"greedy", ids_json(expected.greedy[p])}}));
  }
  return out;
}

Result<void> write_fixture(const std::string& out_folder, const ExportOptions& options,
                           const std::string& family) {
  const auto tokenizer = small_tokenizer();
  const auto weights = small_family(family, tokenizer->size(), 11);
  RETORT_TRY(const auto chat, tokenizer::ChatFormat::detect(*tokenizer));
  ExportInput input{.weights = weights,
                    .tokenizer = tokenizer,
                    .out_folder = out_folder,
                    .options = options,
                    .facts = {},
                    .licence_texts = {},
                    .questions = {},
                    .on_written = {}};
  input.facts.model_id = "fixture";
  input.facts.teacher = "no teacher: random weights";
  RETORT_TRY(const auto report, write_and_check(input, {}));
  for (const auto& check : report.checks) std::printf("%s\n", sentence(check).c_str());
  RETORT_TRY(const Probes probes,
             make_probes(*tokenizer, chat, {}, weights.config().max_positions));
  RETORT_TRY(const auto expected,
             answers_of(logits_by_network(weights, kPromptTokensMax + kGreedyTokens), probes,
                        weights.config().vocab));
  json::Value texts = json::Value::array();
  for (const auto& text : probes.texts) {
    texts.push(json::Value::object({{"text", text}, {"ids", ids_json(tokenizer->encode(text))}}));
  }
  const auto& vocabulary = tokenizer->vocabulary();
  const json::Value all = json::Value::object({{"vocab", expected.vocab},
                                               {"bos", int64_t{vocabulary.bos}},
                                               {"eos", int64_t{vocabulary.eos}},
                                               {"texts", texts},
                                               {"chats", chats_json(probes, *tokenizer, chat)},
                                               {"prompts", prompts_json(probes, expected)}});
  return base::write_file_atomic(base::join(out_folder, "expected.json"), json::dump(all));
}

}  // namespace
}  // namespace retort::release

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: retort_release_fixture OUT [WEIGHTS [GGUF_WEIGHTS [FAMILY]]]\n");
    return 2;
  }
  retort::release::ExportOptions options;
  if (argc > 2) options.weights = argv[2];
  if (argc > 3) options.gguf_weights = argv[3];
  const auto written =
      retort::release::write_fixture(argv[1], options, argc > 4 ? argv[4] : "llama");
  if (!written) std::fprintf(stderr, "%s\n", written.error().text().c_str());
  return written ? 0 : retort::base::exit_code(written.error().code);
}
