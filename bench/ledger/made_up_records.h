// Records with one short answer each, under terms that permit everything.
#pragma once
#include <cstdint>
#include <string>

#include "base/result.h"
#include "corpus/gathering.h"
#include "corpus/record.h"
#include "terms/terms.h"

namespace retort::bench {

Result<terms::Terms> open_terms();
corpus::Record made_up_request(int64_t i, const std::string& terms_id);
corpus::Answer made_up_answer(int64_t i);

}  // namespace retort::bench
