// What the room's tests share.
#pragma once
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "terms/evaluate.h"
#include "terms/shipped_table_internal.h"

namespace retort::terms::testing {

// All readings that come with the program.
inline const TermsSet& shipped() {
  static const TermsSet set = [] {
    TermsSet out;
    for (const Pin& pin : pinned_readings()) {
      auto terms = load_terms(std::string(RETORT_SOURCE_DIR) + "/terms/" + std::string(pin.file));
      EXPECT_TRUE(terms.ok()) << pin.file;
      if (terms) out.add(std::move(*terms));
    }
    return out;
  }();
  return set;
}

}  // namespace retort::terms::testing
