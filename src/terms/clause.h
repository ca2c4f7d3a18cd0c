// A fingerprint of a clause that outlives a page's layout: two captures of one page differ in
// links, markup and quotation marks long before the clause changes. Pure; safe from any thread.
#pragma once
#include <string>
#include <string_view>

namespace retort::terms {

// The form "clause/1": links [text](target) and images are their text; ASCII letters in lower case;
// whatever is no letter, digit or character beyond U+206F, and U+00A0 and U+2000 to U+206F with it,
// is a gap; gaps are one space, none at either end. Marks like * and _ are thus gaps as well, and a
// number of a clause counts, as it does for a reader.
std::string normalised_clause(std::string_view markdown);

// SHA-256 of that, in hex: [source] clause_sha256.
std::string clause_sha256(std::string_view markdown);

}  // namespace retort::terms
