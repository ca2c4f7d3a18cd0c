// Prompts from a JSONL file. One object a line, any of
//   {"messages": [{"role", "content"}, ...]}      chat
//   {"prompt": "..."} or {"prompt": [messages]}   TRL
//   {"text": "..."}                               plain
//   {"instruction": "...", "input": "..."}        Alpaca
//   {"conversations": [{"from", "value"}, ...]}   ShareGPT
//   {"custom_id", "method", "url", "body": {"messages": ...}}   OpenAI Batch
// An answer at the end of a conversation is left off: the teacher is asked for its own. A member
// "slots" ({"noun": "boat"}) is kept. Errors name file and line.
#pragma once
#include <string>
#include <string_view>

#include "base/result.h"
#include "collect/prompt.h"

namespace retort::collect {

Result<PromptList> read_prompt_file(const std::string& path);
// `name` stands for the file in errors.
Result<PromptList> parse_prompts(std::string_view text, const std::string& name);

}  // namespace retort::collect
