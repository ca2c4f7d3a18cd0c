// Texts that the build compiles in (embed.cmake): they live for ever.
#pragma once
#include <string_view>

namespace retort::report {

extern const std::string_view kChartLibrary;  // Chart.js, with its licence line
extern const std::string_view kChartScript;   // charts.js: draws the page's curves
extern const std::string_view kStyle;         // page.css

}  // namespace retort::report
