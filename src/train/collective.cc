#include "train/collective.h"

namespace retort::train {
namespace {

class Alone final : public Collective {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void sum(std::span<float>) override {}
  void sum(std::span<double>) override {}
  void broadcast(std::span<std::byte>) override {}
};

}  // namespace

Collective& alone() {
  static Alone instance;
  return instance;
}

}  // namespace retort::train
