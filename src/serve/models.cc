#include "serve/models_internal.h"

#include <fmt/core.h>

namespace retort::serve {

using openai::make_error;

Models::Models(std::vector<Model> models) {
  for (Model& model : models) {
    has_upstream_ = has_upstream_ || model.upstream;
    all_.push_back(std::make_unique<ServedModel>(std::move(model)));
  }
}

std::string Models::names() const {
  std::string out;
  for (const auto& model : all_) out += (out.empty() ? "`" : ", `") + model->id + "`";
  return out;
}

openai::Parsed<ServedModel*> Models::find(const std::string& name) const {
  for (const auto& model : all_) {
    if (model->id == name) return model.get();
  }
  return make_error(404,
                    fmt::format("The model `{}` does not exist here; {} {}.", name.substr(0, 128),
                                all_.size() == 1 ? "this is" : "there are", names()),
                    "model", "model_not_found");
}

ServedModel* Models::relayed(const std::string& name) const {
  for (const auto& model : all_) {
    if (model->upstream && model->id == name) return model.get();
  }
  return nullptr;
}

openai::Parsed<ServedModel*> Models::find_or_only(const std::optional<std::string>& name) const {
  if (!name && all_.size() > 1) {
    return make_error(400, "name a model; there are " + names(), "model");
  }
  auto found = name ? find(*name) : openai::Parsed<ServedModel*>(all_[0].get());
  if (found && (*found)->upstream) {
    return make_error(400,
                      "another server answers for this model, and its tokens are not known here",
                      "model", "model_not_supported");
  }
  return found;
}

void Models::close() {
  for (const auto& model : all_) {
    model->backend.reset();
    model->upstream.reset();
  }
}

}  // namespace retort::serve
