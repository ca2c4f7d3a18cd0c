// What the writers of other formats share.
#pragma once
#include "terms/formats.h"

namespace retort::terms {

// How terms stand to one action, without a purpose: `conditional` is a prohibition with a scope or
// an exception, or a permission with a scope; `silent`: no clause permits it.
enum class Stand { permitted, conditional, prohibited, silent };
Stand stand(const Terms& terms, Action action, Object object);

// What web formats speak of: answers, else texts.
Object content_of(const Terms& terms);

Result<Exported> to_odrl(const Terms& terms);

}  // namespace retort::terms
