#include <fmt/core.h>

#include "tokenizer/chat_style_internal.h"

namespace retort::tokenizer {
namespace {

using dialog::Message;
using dialog::Messages;
using dialog::Role;

// Collects text until a control token or another mark, so that what stands together is encoded
// together. An answer is apart from its head: it gets the ids that it had when it was generated.
class Writer {
 public:
  Writer(const Tokenizer& tokenizer, const ChatStyle& style)
      : tokenizer_(tokenizer), style_(style) {}

  // Text of the style: what it holds of control tokens becomes them.
  void frame(std::string_view text, bool trained = false) {
    size_t plain = 0;
    for (size_t at = 0; at < text.size();) {
      const auto [size, id] = control_at(text.substr(at));
      if (size == 0) {
        ++at;
        continue;
      }
      literal(text.substr(plain, at - plain), trained);
      control(id, trained);
      at += size;
      plain = at;
    }
    literal(text.substr(plain), trained);
  }
  // Text of a message: literal whatever it holds.
  void literal(std::string_view text, bool trained = false) {
    if (trained != trained_) flush();
    trained_ = trained;
    pending_ += text;
  }
  void control(TokenId id, bool trained = false) {
    flush();
    out_.ids.push_back(id);
    out_.trained.push_back(trained);
    place_ = Place::behind_control;
  }
  Rendered take() {
    flush();
    return std::move(out_);
  }

 private:
  struct Control {
    size_t size = 0;  // of its spelling; 0: none
    TokenId id = -1;
  };
  Control control_at(std::string_view text) const {
    if (text.starts_with(kBosMark)) return {1, tokenizer_.vocabulary().bos};
    if (text.starts_with(kEosMark)) return {1, tokenizer_.vocabulary().eos};
    for (const auto* list : {&style_.controls, &style_.optional_controls}) {
      for (const std::string_view spelling : *list) {
        if (!text.starts_with(spelling)) continue;
        const TokenId id = tokenizer_.special(spelling);
        if (id >= 0) return {spelling.size(), id};
      }
    }
    return {};
  }
  void flush() {
    if (pending_.empty()) return;
    const std::vector<TokenId> ids = tokenizer_.encode(pending_, place_);
    place_ = Place::inside;
    out_.ids.insert(out_.ids.end(), ids.begin(), ids.end());
    out_.trained.resize(out_.ids.size(), trained_);
    pending_.clear();
  }

  const Tokenizer& tokenizer_;
  const ChatStyle& style_;
  Rendered out_;
  std::string pending_;
  bool trained_ = false;
  Place place_ = Place::start;
};

Error refused(const ChatStyle& style, std::string_view what, std::string hint) {
  return base::bad_input(fmt::format("the chat template {} {}", style.name, what), "messages",
                         std::move(hint));
}

Result<void> check_system(const ChatStyle& style, const Messages& messages) {
  if (style.system_rule == SystemRule::turn) return {};
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role != Role::system) continue;
    if (style.system_rule == SystemRule::none) {
      return refused(style, "has no system messages", "put the text into the first user message");
    }
    if (i > 0) {
      return refused(style,
                     fmt::format("allows a system message first of all; message {} is one", i + 1),
                     "move it to the front");
    }
  }
  return {};
}

Result<void> check_turns(const ChatStyle& style, const Messages& messages, bool open_assistant) {
  const size_t first = !messages.empty() && messages[0].role == Role::system ? 1 : 0;
  for (size_t i = first; style.alternate && i < messages.size(); ++i) {
    const Role expected = (i - first) % 2 == 0 ? Role::user : Role::assistant;
    if (messages[i].role == expected) continue;
    return refused(style,
                   fmt::format("wants user and assistant to take turns; message {} is of the {}",
                               i + 1, dialog::name(messages[i].role)),
                   "join messages of one role that follow each other, the user's first");
  }
  const bool joined =
      style.system_rule == SystemRule::first_user || style.system_rule == SystemRule::last_user;
  if (joined && first == messages.size() && first == 1) {
    return refused(style, "has no place for a system message alone", "add a user message");
  }
  if (open_assistant && style.open.empty() &&
      (messages.empty() || messages.back().role != Role::user)) {
    return refused(style, "begins an answer behind a user message alone",
                   "end with a user message");
  }
  return {};
}

// The last question: answers behind it keep their thoughts. Results of tools are no question.
size_t last_question(const Messages& messages) {
  for (size_t i = messages.size(); i-- > 0;) {
    const std::string_view text = messages[i].content;
    if (messages[i].role == Role::user &&
        !(text.starts_with("<tool_response>") && text.ends_with("</tool_response>"))) {
      return i;
    }
  }
  return messages.size();
}

std::string_view without_line_ends(std::string_view text) {
  const size_t first = std::min(text.find_first_not_of('\n'), text.size());
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

void write_thoughtful(Writer& writer, std::string_view text, bool behind_question, bool last) {
  constexpr std::string_view kOpen = "<think>";
  constexpr std::string_view kClose = "</think>";
  std::string_view thought;
  const size_t close = text.find(kClose);
  if (close != std::string_view::npos) {
    thought = text.substr(0, close);
    thought = thought.substr(0, thought.find_last_not_of('\n') + 1);
    const size_t open = thought.rfind(kOpen);
    if (open != std::string_view::npos) thought.remove_prefix(open + kOpen.size());
    thought = without_line_ends(thought);
    text.remove_prefix(text.rfind(kClose) + kClose.size());
    text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
  }
  if (behind_question && (last || !thought.empty())) {
    writer.frame("<think>\n", /*trained=*/true);
    writer.literal(thought, /*trained=*/true);
    writer.frame("\n</think>\n\n", /*trained=*/true);
    text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
  }
  writer.literal(text, /*trained=*/true);
}

// Writes one conversation; the rules hold.
class Conversation {
 public:
  Conversation(const Tokenizer& tokenizer, const ChatStyle& style, const Messages& messages)
      : style_(style), messages_(messages), writer_(tokenizer, style), question_(messages.size()) {
    if (style.thoughts) question_ = last_question(messages);
    const auto& vocabulary = tokenizer.vocabulary();
    const bool says_bos = style.user.before.starts_with(kBosMark);
    if (vocabulary.bos >= 0 && !says_bos && (style.bos || vocabulary.add_bos)) {
      writer_.control(vocabulary.bos);
    }
  }

  enum class End { none, open_answer, empty_thought };

  Rendered write(End end) {
    const bool has_system = !messages_.empty() && messages_[0].role == Role::system;
    if (!style_.preamble.empty()) {
      write_system(std::string(style_.preamble) +
                   std::string(has_system ? cut(messages_[0].content, style_.trim_system) : ""));
    } else if (!has_system && !messages_.empty() && !style_.default_system.empty()) {
      write_system(style_.default_system);
    }
    place_system();
    for (size_t i = 0; i < messages_.size(); ++i) write_message(i);
    if (end != End::none) writer_.frame(style_.open);
    if (end == End::empty_thought) writer_.frame("<think>\n\n</think>\n\n");
    Rendered out = writer_.take();
    if (end != End::none) out.trained.assign(out.ids.size(), false);
    return out;
  }

 private:
  static std::string_view cut(std::string_view text, bool trim) {
    return trim ? trimmed(text) : text;
  }
  void write_system(std::string_view text) {
    writer_.frame(style_.system.before);
    writer_.literal(text);
    writer_.frame(style_.system.after);
  }
  // Finds the user message that takes the system text, where the style joins them.
  void place_system() {
    if (messages_.empty() || messages_[0].role != Role::system) return;
    if (style_.system_rule == SystemRule::first_user) joined_at_ = 1;
    for (size_t i = messages_.size(); style_.system_rule == SystemRule::last_user && i-- > 0;) {
      if (messages_[i].role != Role::user) continue;
      joined_at_ = i;
      break;
    }
  }
  void write_message(size_t i) {
    const Message& message = messages_[i];
    if (message.role == Role::system) {
      const bool written = joined_at_ > 0 || (i == 0 && !style_.preamble.empty());
      if (!written) write_system(cut(message.content, style_.trim_system));
    } else if (message.role == Role::user) {
      write_user(i);
    } else {
      write_answer(i);
    }
  }
  void write_user(size_t i) {
    std::string text;
    if (joined_at_ > 0 && i == joined_at_) {
      text = std::string(style_.system.before) +
             std::string(cut(messages_[0].content, style_.trim_system)) +
             std::string(style_.system.after);
    }
    text += messages_[i].content;
    writer_.frame(style_.user.before);
    writer_.literal(cut(text, style_.trim_user));
    writer_.frame(style_.user.after);
  }
  void write_answer(size_t i) {
    const std::string_view text = cut(messages_[i].content, style_.trim_answer);
    writer_.frame(style_.open);
    writer_.frame(style_.lead, /*trained=*/true);
    if (style_.thoughts) {
      write_thoughtful(writer_, text, i > question_, i + 1 == messages_.size());
    } else {
      writer_.literal(text, /*trained=*/true);
    }
    writer_.frame(style_.tail, /*trained=*/true);
    writer_.frame(style_.stop, /*trained=*/true);
    writer_.frame(style_.after);
  }

  const ChatStyle& style_;
  const Messages& messages_;
  Writer writer_;
  size_t question_;
  size_t joined_at_ = 0;  // 0: nowhere
};

}  // namespace

std::string_view trimmed(std::string_view text) {
  // Python's white space: that of ASCII with the four separators, and the others by their UTF-8.
  constexpr std::string_view kAscii = "\t\n\v\f\r \x1c\x1d\x1e\x1f";
  constexpr std::string_view kOthers[] = {"\u0085", "\u00a0", "\u1680", "\u2000", "\u2001",
                                          "\u2002", "\u2003", "\u2004", "\u2005", "\u2006",
                                          "\u2007", "\u2008", "\u2009", "\u200a", "\u2028",
                                          "\u2029", "\u202f", "\u205f", "\u3000"};
  const auto step = [&](bool front) -> size_t {
    if (text.empty()) return 0;
    if (kAscii.find(front ? text.front() : text.back()) != std::string_view::npos) return 1;
    for (const std::string_view other : kOthers) {
      if (front ? text.starts_with(other) : text.ends_with(other)) return other.size();
    }
    return 0;
  };
  while (const size_t size = step(/*front=*/true)) text.remove_prefix(size);
  while (const size_t size = step(/*front=*/false)) text.remove_suffix(size);
  return text;
}

Result<Rendered> ChatFormat::render(const Tokenizer& tokenizer, const Messages& messages,
                                    bool open_assistant) const {
  RETORT_TRY_VOID(check_system(*style_, messages));
  RETORT_TRY_VOID(check_turns(*style_, messages, open_assistant));
  return Conversation(tokenizer, *style_, messages)
      .write(open_assistant ? Conversation::End::open_answer : Conversation::End::none);
}

bool ChatFormat::can_skip_thoughts() const {
  return style_->thoughts;
}

Result<Rendered> ChatFormat::render_without_thoughts(const Tokenizer& tokenizer,
                                                     const Messages& messages) const {
  if (!can_skip_thoughts()) {
    return refused(*style_, "has no switch for thoughts", "leave enable_thinking out");
  }
  RETORT_TRY_VOID(check_turns(*style_, messages, /*open_assistant=*/true));
  return Conversation(tokenizer, *style_, messages).write(Conversation::End::empty_thought);
}

}  // namespace retort::tokenizer
