// What a teacher is asked: messages, and, for a prompt made from a template, which value stands in
// which slot, so that a later split can hold out values and a comparison can mask them.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dialog/message.h"

namespace retort::collect {

struct Prompt {
  dialog::Messages messages;                 // at least one, the last from the user
  std::map<std::string, std::string> slots;  // "noun2" -> "moon"; empty for a prompt from a file
  int64_t template_index = -1;               // which template; -1: none
  std::string where;                         // "prompts.jsonl:12" or "template 2", for errors
};

struct PromptList {
  std::vector<Prompt> prompts;
  std::vector<std::string> notes;  // what was left out of the files and why, for people
};

}  // namespace retort::collect
