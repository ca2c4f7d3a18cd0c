#include "crypto/hash.h"
#include "tokenizer/chat_style_internal.h"
#include "tokenizer/template_text_internal.h"

namespace retort::tokenizer {
namespace {

constexpr std::string_view kSmollm2System =
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face";
constexpr std::string_view kQwen2System = "You are a helpful assistant.";
constexpr std::string_view kQwen25System =
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

ChatStyle chatml() {
  return {.family = ChatTemplate::chatml,
          .name = "chatml",
          .system = {"<|im_start|>system\n", "<|im_end|>\n"},
          .user = {"<|im_start|>user\n", "<|im_end|>\n"},
          .open = "<|im_start|>assistant\n",
          .stop = "<|im_end|>",
          .after = "\n",
          .controls = {"<|im_start|>", "<|im_end|>"}};
}

ChatStyle chatml_in_turns() {
  ChatStyle style = chatml();
  style.system_rule = SystemRule::first_turn;
  style.bos = style.alternate = true;
  style.trim_system = style.trim_user = style.trim_answer = true;
  return style;
}

ChatStyle chatml_with(std::string_view system) {
  ChatStyle style = chatml();
  style.family = system == kSmollm2System ? ChatTemplate::smollm2 : ChatTemplate::qwen2;
  style.name = system == kSmollm2System ? "smollm2" : system == kQwen2System ? "qwen2" : "qwen2.5";
  style.default_system = system;
  return style;
}
ChatStyle smollm2() {
  return chatml_with(kSmollm2System);
}
ChatStyle qwen2() {
  return chatml_with(kQwen2System);
}
ChatStyle qwen25() {
  return chatml_with(kQwen25System);
}

ChatStyle qwen3() {
  ChatStyle style = chatml();
  style.family = ChatTemplate::qwen3;
  style.name = "qwen3";
  style.optional_controls = {"<think>", "</think>"};
  style.thoughts = true;
  return style;
}

ChatStyle llama3() {
  return {.family = ChatTemplate::llama3,
          .name = "llama3",
          .system = {"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
          .user = {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
          .open = "<|start_header_id|>assistant<|end_header_id|>\n\n",
          .stop = "<|eot_id|>",
          .controls = {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
          .bos = true,
          .trim_system = true,
          .trim_user = true,
          .trim_answer = true};
}

ChatStyle llama3_in_turns() {
  ChatStyle style = llama3();
  style.system_rule = SystemRule::first_turn;
  style.alternate = true;
  return style;
}

// 3.2's template takes today's date where the caller hands it a clock, and this one where
// not; 3.1's and 3.3's know this one alone. A prompt is to be the same on every day, so none has a
// clock here.
ChatStyle llama31() {
  ChatStyle style = llama3();
  style.name = "llama3.1";
  style.preamble = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n";
  return style;
}

ChatStyle llama2() {
  return {.family = ChatTemplate::llama2,
          .name = "llama2",
          .system = {"<<SYS>>\n", "\n<</SYS>>\n\n"},
          .user = {"\x01[INST] ", " [/INST]"},
          .lead = " ",
          .tail = " ",
          .stop = kEosMark,
          .system_rule = SystemRule::first_user,
          .alternate = true,
          .trim_user = true,
          .trim_answer = true};
}

ChatStyle llama2_trimmed_system() {
  ChatStyle style = llama2();
  style.trim_system = true;
  return style;
}

ChatStyle mistral() {
  return {.family = ChatTemplate::mistral,
          .name = "mistral",
          .system = {"", "\n\n"},
          .user = {"[INST] ", " [/INST]"},
          .lead = " ",
          .stop = kEosMark,
          .optional_controls = {"[INST]", "[/INST]"},
          .system_rule = SystemRule::first_user,
          .bos = true,
          .alternate = true};
}

ChatStyle mistral_without_system(std::string_view after) {
  ChatStyle style = mistral();
  style.system_rule = SystemRule::none;
  style.lead = "";
  style.after = after;
  return style;
}
ChatStyle mistral_01() {
  return mistral_without_system(" ");
}
ChatStyle mistral_02() {
  return mistral_without_system("");
}

ChatStyle mistral_v1() {
  ChatStyle style = mistral();
  style.user.before = " [INST] ";
  return style;
}

ChatStyle mistral_v3() {
  ChatStyle style = mistral();
  style.user.after = "[/INST]";
  style.system_rule = SystemRule::last_user;
  style.trim_answer = true;
  return style;
}

ChatStyle mistral_v3_tekken() {
  ChatStyle style = mistral_v3();
  style.user.before = "[INST]";
  style.lead = "";
  style.trim_answer = false;
  return style;
}

ChatStyle mistral_v7() {
  ChatStyle style = mistral();
  style.system = {"[SYSTEM_PROMPT] ", "[/SYSTEM_PROMPT]"};
  style.user.after = "[/INST]";
  style.optional_controls = {"[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"};
  style.system_rule = SystemRule::turn;
  style.alternate = false;
  return style;
}

ChatStyle mistral_bare_system() {
  ChatStyle style = mistral();
  style.system_rule = SystemRule::first_turn;
  style.trim_system = style.trim_user = style.trim_answer = true;
  return style;
}

ChatStyle zephyr() {
  return {.family = ChatTemplate::zephyr,
          .name = "zephyr",
          .system = {"<|system|>\n", "\x02\n"},
          .user = {"<|user|>\n", "\x02\n"},
          .open = "<|assistant|>\n",
          .stop = kEosMark,
          .after = "\n",
          .optional_controls = {"<|system|>", "<|user|>", "<|assistant|>"}};
}

ChatStyle zephyr_in_turns() {
  ChatStyle style = zephyr();
  style.system_rule = SystemRule::first_turn;
  style.alternate = true;
  style.trim_system = style.trim_user = style.trim_answer = true;
  return style;
}

ChatStyle gemma() {
  return {.family = ChatTemplate::gemma,
          .name = "gemma",
          .system = {"", "\n\n"},
          .user = {"<start_of_turn>user\n", "<end_of_turn>\n"},
          .open = "<start_of_turn>model\n",
          .stop = "<end_of_turn>",
          .after = "\n",
          .controls = {"<start_of_turn>", "<end_of_turn>"},
          .system_rule = SystemRule::none,
          .bos = true,
          .alternate = true,
          .trim_user = true,
          .trim_answer = true};
}

ChatStyle gemma_without_bos() {
  ChatStyle style = gemma();
  style.bos = false;
  return style;
}

ChatStyle gemma_with_system() {
  ChatStyle style = gemma_without_bos();
  style.system_rule = SystemRule::first_user;
  style.trim_system = true;
  return style;
}

struct Known {
  std::string_view key;
  ChatStyle (*style)();
};

constexpr Known kNames[] = {
    {"chatml", chatml},   {"smollm2", smollm2}, {"qwen2", qwen2},   {"qwen2.5", qwen25},
    {"qwen3", qwen3},     {"llama2", llama2},   {"llama3", llama3}, {"llama3.1", llama31},
    {"mistral", mistral}, {"zephyr", zephyr},   {"gemma", gemma},
};

// SHA-256 of the masked plain forms of templates that models are published with.
constexpr Known kDigests[] = {
    {"01a545b2213148253138be00177d7ca0964b9d821e64961e50a1f52942ea6d6e", chatml},
    {"8e6fd0e647ba77482c4f486a1d4d9697af09f64dbd8785266f451c7bf26e1e9b", chatml},
    {"12b8a4f3b4060c2d0a2bb77a00ae0867fcaedf48f75a4f928d09e23cab54b311", chatml},
    {"741077b0cc5e8c42524903d7a2bbd3f529b073f8a9eec12d14e779eaf5c7c9a8", chatml_in_turns},
    {"aefe9e2a63a0272139bfc32685b915d23a886742f1391b56c7a34b8a595fd37b", qwen2},
    {"ade2d981ffa86cac788412792693246826d578c35db9f12d327373edf501eeb1", qwen25},
    {"9ccaec471ea698186ab4dddbb67529cb950bc334d431834f42532f9e32d9ecfa", qwen3},
    {"4cdc0ecda1cf48799fa8552056a8be77a7278630015e6f4fb9a2de39a160a4de", qwen3},
    {"a220595d7d737d4f0c25dace87d3ae5df8f1254fcd48f36e7ef5373c6ec759e7", llama3},
    {"8787a42f34ebb6ec6809f8032beaaebe61ba9a0fe5a73ea8cdd76aec7320d7e9", llama3},
    {"56d6507735599a996fa23ad512051902f558a30617bf4e5d9135c34b227ead78", llama3_in_turns},
    {"1a9ee18e4516d219a665f383c29fe2b2e957b41afd908f8aae08035bf7ef3c67", llama31},
    {"0ca62ffd8cabd3b2830127a82e3a061d66166f6bf6d1e82c0a1adb6540d493f4", llama31},
    {"febad9859b1c620b561a255a703def742c82d6ae6ad0284d3e60b1f08f4c4109", llama2},
    {"9847247d4464627234c3cdf8bc353418fa57baaa5aafc119414f457d8a848eff", llama2_trimmed_system},
    {"ec8e57a5929ae29f5a0d7facbe9bae4c6a92e9abdad801b83e071e5e65469090", mistral_01},
    {"72638a3d7ee3e3957ab814a58d409069413b3a20a6618853b280dbf044966914", mistral_02},
    {"def305a6db3f66b5f9538373683a9815c27650dc723d4ff3747c6fa6ef5896e9", mistral_v1},
    {"2ca74d7faee85187a86bed78cf2d70ea1c491a8db28c80029547e27b60adfc81", mistral_v3},
    {"c3ec84103d0d441ebdc29afc40c0d6b7d68725e4fbba9dcc26379f154c20c8cb", mistral_v3_tekken},
    {"8f5b3f003e85eb4bd09bdb8b054f05d6749d2bad2490f7858bde0b2b694e72f7", mistral_v7},
    {"b8c9dd07705c3bd0a51da4e9001bbff612d2a7ec032aea37ea269d3bc073d33f", mistral_bare_system},
    {"90bf3504a7a088dd1d3ef84158f6f2efc1702975a26d366d3126646363cefe0a", zephyr},
    {"bc59c182e4d88d2114f6d1f806daeab138a3f56c1718b1b06b93410ce927d782", zephyr_in_turns},
    {"bdb173c9d62987a9965bf135ed981e03ee4706c3fdce8ffb12b35140a8abd283", gemma},
    {"4a8cbbe5e41349015b5f7d19362fd465af3bbb4323bf980c39a88824898f1e37", gemma_without_bos},
    {"512e3e4007dbdbc002861516c2228c63d55ae4bd810908cf34eb42556c7f59ae", gemma_with_system},
};

}  // namespace

std::string chat_template_names() {
  std::string names;
  for (const Known& known : kNames) names += (names.empty() ? "" : ", ") + std::string(known.key);
  return names;
}

std::optional<ChatStyle> style_by_name(std::string_view name) {
  for (const Known& known : kNames) {
    if (known.key == name) return known.style();
  }
  return std::nullopt;
}

std::optional<ChatStyle> style_by_digest(std::string_view digest,
                                         const std::string& default_system) {
  for (const Known& known : kDigests) {
    if (known.key != digest) continue;
    return default_system.empty() ? known.style() : chatml_with(default_system);
  }
  return std::nullopt;
}

std::string template_digest(const MaskedTemplate& masked) {
  return crypto::sha256_hex(masked.plain);
}

}  // namespace retort::tokenizer
