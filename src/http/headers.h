// Headers of requests and answers, of either side. Pure.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace retort::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

// Whether two words are one, ASCII letters in any case.
bool is_same_word(std::string_view a, std::string_view b);

// Whether this may stand behind a header's name: no control characters but tabs.
bool is_field_value(std::string_view text);

// The value of a header by its name in any case; nullptr when it is not there.
const std::string* find_header(const Headers& headers, std::string_view name);
// The one value of a header that may not be repeated; "" for none, nullopt for several.
std::optional<std::string_view> only_header(const Headers& headers, std::string_view name);

// What an Authorization header's value gives as a key; nullopt for another scheme than Bearer.
std::optional<std::string_view> bearer_of(std::string_view authorization);

}  // namespace retort::http
