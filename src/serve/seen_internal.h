// Requests as a provider's detection looks at them.
#pragma once
#include "openai/request.h"
#include "openai/sglang.h"
#include "provider/provider.h"
#include "serve/backend.h"

namespace retort::serve {

provider::Seen seen_of(const openai::ChatRequest& request);
// Of the first prompt, which stands for the others.
provider::Seen seen_of(const openai::CompletionRequest& request, const Backend& backend);
provider::Seen seen_of(const openai::GenerateRequest& request, const Backend& backend);

}  // namespace retort::serve
