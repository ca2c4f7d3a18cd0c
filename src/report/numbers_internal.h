// Numbers as people read them.
#pragma once
#include <cstdint>
#include <string>

namespace retort::report {

std::string count_text(double value);                // "312,044"
std::string decimal_text(double value, int digits);  // "1.213"
std::string percent_text(double share);              // 0.914 -> "91.4 %"
std::string bytes_text(double size_bytes);           // "98.3 MB"
std::string money_text(double microusd);             // "$0.42"
std::string energy_text(double joules);              // "12.4 kJ (3.4 Wh)"

}  // namespace retort::report
