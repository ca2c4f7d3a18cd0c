// The tables of the model that comes with the program, as JSON; written by bench/harvest.
#pragma once

namespace retort::detect {

const char* built_in_account_judge();
const char* built_in_cluster_judge();

}  // namespace retort::detect
