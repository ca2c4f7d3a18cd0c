#include "harvest/text.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "base/files.h"

namespace retort::bench::harvest {
namespace {

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> out;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(at, begin), text.size());
    out.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return out;
}

std::string unescape(std::string text) {
  size_t at = 0;
  while ((at = text.find("\\n", at)) != std::string::npos) text.replace(at, 2, "\n");
  return text;
}

Result<std::vector<std::string>> lines_of(const std::string& folder, const std::string& name) {
  const std::string path = base::join(folder, name + ".txt");
  RETORT_TRY(const std::string text, base::read_file(path));
  std::vector<std::string> out;
  for (auto& line : split(text, '\n')) {
    if (!line.empty()) out.push_back(unescape(std::move(line)));
  }
  if (out.size() < 100) {
    return base::bad_input("too few texts", path, "run bench/harvest/texts.py FOLDER");
  }
  return out;
}

Result<std::vector<Dialog>> dialogs_of(const std::string& folder, const std::string& name) {
  RETORT_TRY(const auto lines, lines_of(folder, name));
  std::vector<Dialog> out;
  for (const auto& line : lines) {
    const auto parts = split(line, '\t');
    if (parts.size() == 3) out.push_back({parts[0], parts[1], parts[2]});
  }
  return out;
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  size_t at = 0;
  while ((at = text.find(what, at)) != std::string::npos) {
    text.replace(at, what.size(), by);
    at += by.size();
  }
}

}  // namespace

Result<Texts> load_texts(const std::string& folder) {
  Texts out;
  RETORT_TRY(const auto rows, lines_of(folder, "topics"));
  std::unordered_map<std::string, std::vector<uint32_t>> groups;
  for (const auto& row : rows) {
    const auto parts = split(row, '\t');
    if (parts.size() != 3) continue;
    groups[parts[1]].push_back(static_cast<uint32_t>(out.topics.size()));
    out.topics.push_back({parts[0], parts[1], parts[2]});
  }
  out.by_name.resize(out.topics.size());
  std::iota(out.by_name.begin(), out.by_name.end(), 0U);
  std::stable_sort(out.by_name.begin(), out.by_name.end(), [&out](uint32_t a, uint32_t b) {
    return out.topics[a].noun < out.topics[b].noun;
  });
  for (auto& [name, members] : groups) {
    if (members.size() >= 5) out.groups.push_back(std::move(members));
  }
  std::sort(out.groups.begin(), out.groups.end());
  RETORT_TRY(out.examples, lines_of(folder, "examples"));
  RETORT_TRY(out.quotes, lines_of(folder, "quotes"));
  RETORT_TRY(out.passages, lines_of(folder, "passages"));
  RETORT_TRY(out.code, lines_of(folder, "code"));
  RETORT_TRY(out.dialogs, dialogs_of(folder, "dialogs"));
  RETORT_TRY(out.foreign, dialogs_of(folder, "foreign"));
  return out;
}

double log_normal(base::Random& random, double median, double sigma) {
  return median * std::exp(sigma * random.normal());
}

int run_length(base::Random& random, double p, int most) {
  int n = 0;
  while (n < most && chance(random, p)) ++n;
  return n;
}

std::string fill(std::string_view frame, const Topic& topic, const Topic& other,
                 std::string_view text) {
  std::string out(frame);
  replace_all(out, "{n}", topic.noun);
  replace_all(out, "{g}", topic.gloss);
  replace_all(out, "{k}", topic.group);
  replace_all(out, "{m}", other.noun);
  replace_all(out, "{t}", text);
  return out;
}

const std::vector<std::string>& question_frames() {
  static const std::vector<std::string> kFrames = {
      "what is {n}",
      "What is the difference between {n} and {m}?",
      "explain {n} to me please",
      "can you tell me something about {n}",
      "why is {n} called that?",
      "who was the first to describe {n}, and when?",
      "is {n} a kind of {k}?",
      "how would I recognise {n} if I saw it",
      "Give me three facts about {n}.",
      "I read that {n} is {g}. Is that right?",
      "write a poem about {n}",
      "write a short story in which {n} plays a part",
      "What is the history of {n}?",
      "what should i know before i deal with {n}",
      "List the advantages and disadvantages of {n}.",
      "help me write an email about {n}",
      "name some other things like {n}",
      "what is the word for {g}?",
      "Where does {n} come from?",
      "how much does {n} cost these days?",
      "is {n} dangerous for children",
      "My teacher says {n} means {g}. Could you give an example?",
      "translate {n} into French and German",
      "how is {n} made?",
      "What do people who work with {n} do all day?",
      "summarise what is known about {n}",
      "i need a title for a talk about {n} and {m}",
      "could {n} be used instead of {m}?",
      "give me a quiz question about {n}",
      "What are common mistakes with {n}?",
      "how do you pronounce {n}",
      "why do people care about {n}",
      "I have to choose between {n} and {m}, which one and why?",
      "describe {n} in one paragraph for a website",
      "are there laws about {n} where i live",
      "what would happen without {n}?",
      "Draw up a plan to learn about {n} in a week.",
      "make a joke about {n}",
      "Can I store {n} together with {m}?",
      "what kinds of {k} are there apart from {n}?"};
  return kFrames;
}

const std::vector<std::string>& writing_frames() {
  static const std::vector<std::string> kFrames = {
      "Write a detailed encyclopedia article about {n}.",
      "You are an experienced teacher. Explain {n} to a beginner and give two examples.",
      "Write a product description for {n} in a friendly tone, about 120 words.",
      "Write a short dialogue between two people who disagree about {n}.",
      "Describe in your own words what is meant by {n} ({g}).",
      "Compose a blog post of about 300 words on {n}, with a headline.",
      "Answer as a domain expert: what are the most important properties of {n}?",
      "Write an essay of five paragraphs on the following subject: {n}.",
      "Give a thorough explanation of {n}, its uses and its limits.",
      "Act as a copywriter and advertise {n} to young families in three sentences.",
      "Please write a news report of 150 words in which {n} is the main subject.",
      "Create a lesson of ten minutes about {n} for pupils of twelve years.",
      "Tell a story for children about {n} that ends well.",
      "Write a two-sentence story about {n}.",
      "Tell a joke about {n}.",
      "Write a short poem about {n}.",
      "Write the text of a leaflet that informs the public about {n}.",
      "Formulate a realistic customer's question about {n} and answer it at length.",
      "Compare {n} with other kinds of {k} and say when each is to be preferred.",
      "Write a social media post about {n} with three hashtags.",
      "Provide a comprehensive overview of {n} with history, present use and outlook."};
  return kFrames;
}

const std::vector<std::string>& batch_frames() {
  static const std::vector<std::string> kFrames = {
      "Classify the sentiment of the following text as positive, negative or neutral.\nText: {t}",
      "Extract all names of persons and places from this record as a JSON list.\n\n{t}",
      "Which department should handle this ticket: billing, technical, sales or other?\n\n{t}",
      "Does the following message contain personal data? Answer yes or no.\n\n{t}",
      "Give the language of this text as an ISO code: {t}",
      "Return a JSON object with the keys product, problem and urgency for this report: {t}",
      "Translate the following text into German. Keep the formatting.\n\n{t}",
      "Translate the following text into Spanish, formal register:\n\n{t}",
      "Summarise the following document in three sentences for a manager.\n\n{t}",
      "Write a summary of at most 60 words of the text below.\n---\n{t}\n---"};
  return kFrames;
}

const std::vector<std::string>& follow_ups() {
  static const std::vector<std::string> kLines = {"can you say that more simply",
                                                  "why?",
                                                  "and what about the second one",
                                                  "thanks, now make it shorter",
                                                  "Could you give an example of that?",
                                                  "that is not what I meant, try again please",
                                                  "what is the source for that",
                                                  "please add a sentence on how this began",
                                                  "ok and how does it compare with the other kind",
                                                  "turn that into a list",
                                                  "translate it into French",
                                                  "how sure are you about the last point",
                                                  "great, continue",
                                                  "what would you do in my place",
                                                  "explain the part in the middle again"};
  return kLines;
}

const std::vector<std::string>& reasoning_demands() {
  static const std::vector<std::string> kLines = {
      "Think step by step and write down your full reasoning before the final answer.",
      "Show your work: give every intermediate step, then conclude.",
      "First lay out your chain of thought in detail, then answer.",
      "Articulate the internal reasoning that led you to the answer, step by step.",
      "Reason through the problem aloud and justify each step you take.",
      "Write the complete thought process of an expert who solves this, with all details."};
  return kLines;
}

const std::vector<std::string>& data_demands() {
  static const std::vector<std::string> kLines = {
      "Generate a diverse question and answer pair about {n} for training data.",
      "Write an instruction and the ideal response on the subject of {n} as JSON.",
      "Here is an answer about {n}: \"{g}\". Grade it with a rubric of five criteria.",
      "Produce a preference pair about {n}: a chosen and a rejected response.",
      "Write three training examples that teach a model about {n}."};
  return kLines;
}

namespace {

std::string phrase(base::Random& random) {
  static const std::vector<std::string> kOpen = {"",
                                                 "Please ",
                                                 "Could you ",
                                                 "I would like you to ",
                                                 "Kindly ",
                                                 "Would you mind to ",
                                                 "For a friend: ",
                                                 "In your words, ",
                                                 "If possible, ",
                                                 "Right now I need you to ",
                                                 "Today's task: ",
                                                 "Let us ",
                                                 "Try to ",
                                                 "Do me a favour and ",
                                                 "As best you can, "};
  static const std::vector<std::string> kVerb = {
      "describe",     "explain",       "discuss",         "outline",       "present",
      "go into",      "clarify",       "illustrate",      "introduce",     "analyse",
      "characterise", "comment on",    "portray",         "lay out",       "report on",
      "write about",  "tell me about", "walk me through", "shed light on", "put into context"};
  static const std::vector<std::string> kObject = {"{n}",
                                                   "the idea of {n}",
                                                   "everything relevant about {n}",
                                                   "what {n} is",
                                                   "how {n} works",
                                                   "the role of {n}",
                                                   "{n} and why it matters",
                                                   "the main aspects of {n}",
                                                   "{n}, meaning {g}",
                                                   "the background of {n}",
                                                   "{n} as a kind of {k}",
                                                   "typical uses of {n}"};
  static const std::vector<std::string> kManner = {"",
                                                   " in some depth",
                                                   " with examples",
                                                   " for a curious adult",
                                                   " in several paragraphs",
                                                   " as thoroughly as you can",
                                                   " without jargon",
                                                   " for an educated reader",
                                                   ", covering past and present",
                                                   " and mention common errors",
                                                   " in the style of a textbook",
                                                   " so that a layman understands",
                                                   ", at length",
                                                   " with all necessary detail"};
  static const std::vector<std::string> kEnd = {
      "", ".", "!", " Thanks.", " Be exact.", " Take your time.", " No lists, please."};
  return pick(random, kOpen) + pick(random, kVerb) + " " + pick(random, kObject) +
         pick(random, kManner) + pick(random, kEnd);
}

}  // namespace

std::string paraphrase(base::Random& random, const Topic& topic) {
  return fill(phrase(random), topic, topic);
}

std::string writing_frame(base::Random& random) {
  if (chance(random, 0.5)) return pick(random, writing_frames());
  static const std::vector<std::string> kRoles = {"editor",    "lecturer",   "journalist",
                                                  "librarian", "shop owner", "guide",
                                                  "novelist",  "consultant"};
  return "You are a seasoned " + pick(random, kRoles) + ". " + phrase(random);
}

}  // namespace retort::bench::harvest
