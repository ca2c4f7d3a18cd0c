// Both stores for tests: a file in the test's folder, and a new database on a PostgreSQL of its
// own.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "base/files.h"
#include "store/postgres_testing.h"

namespace retort::accounts {

enum class StoreKind { file, server };

inline std::string name_of_kind(const ::testing::TestParamInfo<StoreKind>& info) {
  return info.param == StoreKind::file ? "File" : "Server";
}

// "" for none: the test skips.
inline std::string store_address(StoreKind kind, const std::string& path) {
  if (kind == StoreKind::file) return path;
  auto* cluster = store::TestCluster::get();
  return cluster != nullptr ? cluster->fresh() : "";
}

// A test over both, each with a folder of its own that goes with it.
class StoresTest : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override {
    std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    for (char& letter : name) letter = letter == '/' ? '_' : letter;
    folder_ = ::testing::TempDir() + "/stores_" + std::to_string(::getpid()) + "_" + name;
    ASSERT_TRUE(base::remove_all(folder_).ok());
    if (is_server() && store::TestCluster::get() == nullptr) {
      GTEST_SKIP() << "PostgreSQL's programs are not installed";
    }
    SetUpStore();
  }
  void TearDown() override { (void)base::remove_all(folder_); }
  virtual void SetUpStore() = 0;
  static bool is_server() { return GetParam() == StoreKind::server; }

  std::string folder_;
};

#define RETORT_OVER_BOTH_STORES(suite)                                                         \
  INSTANTIATE_TEST_SUITE_P(Over, suite, ::testing::Values(StoreKind::file, StoreKind::server), \
                           name_of_kind)

}  // namespace retort::accounts
