// The models behind one door, found by the name that a request gives.
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "openai/error.h"
#include "serve/metrics_internal.h"
#include "serve/server.h"

namespace retort::serve {

struct ServedModel {
  explicit ServedModel(Model model)
      : id(std::move(model.id)),
        shares_engine(model.shares_engine),
        backend(std::move(model.backend)),
        upstream(std::move(model.upstream)) {}

  const std::string id;
  const bool shares_engine;
  std::unique_ptr<Backend> backend;           // or
  std::unique_ptr<relay::Upstream> upstream;  // one of the two
  std::atomic<int64_t> in_flight{0};          // answers promised to clients
  Latencies latencies;
};

class Models {
 public:
  explicit Models(std::vector<Model> models);

  // 404 with the names that there are.
  openai::Parsed<ServedModel*> find(const std::string& name) const;
  // The upstream's model of that name; null for anything else, which is for the routes of the
  // engine to judge.
  ServedModel* relayed(const std::string& name) const;
  bool has_upstream() const { return has_upstream_; }
  // A model of an engine, where a request need not name the only one. 400 for an upstream's.
  openai::Parsed<ServedModel*> find_or_only(const std::optional<std::string>& name) const;
  const std::vector<std::unique_ptr<ServedModel>>& all() const { return all_; }
  // Ends what the models do; no events come afterwards.
  void close();

 private:
  std::string names() const;
  bool has_upstream_ = false;

  std::vector<std::unique_ptr<ServedModel>> all_;
};

// For Prometheus; with several models their figures carry a label.
std::string print_metrics(const DoorMetrics& door, const Models& models);

}  // namespace retort::serve
