// A policy for tests of the rooms above that need one in effect, whatever it says.
#pragma once

namespace retort::policy {

inline constexpr const char* kExamplePolicy = R"TOML(schema = "retort.policy/1"
series = "example"
version = "1"
[time]
announced = 2026-01-01
effective = 2026-01-02
[clause]
id = "2.2(e)"
text = "Answers may not train a rival."
[appeal]
contact = "appeals@example.com"
[plan.forbidden]
terms = "https://example.com/forbidden"
content_usage = "train-ai=n"
)TOML";

}  // namespace retort::policy
