// A model on disk by its bytes: one file (GGUF) or a folder. What the log calls a model, and how
// one is known again wherever it was copied to.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace retort::lineage {

struct ModelFile {
  std::string name;  // relative to the folder, with "/"; of a single file its own name
  int64_t bytes = 0;
  std::string sha256;
  bool operator==(const ModelFile&) const = default;
};

struct Artifact {
  // Of a file, the SHA-256 of its bytes. Of a folder, what OpenSSF model-signing v1.0 signs as the
  // subject: the SHA-256 over its files' raw digests, one after the other.
  std::string digest;
  std::vector<ModelFile> files;  // ordered by path, component by component ("a/b" before "a-b")
};

// Reads every byte. not_found when nothing is there, bad_input for a folder without a file.
Result<Artifact> artifact_of(const std::string& path);
// The digest that the log has of it, as it was exported: a folder's model.sig came later and is no
// part of it. Fails as artifact_of().
Result<std::string> logged_digest(const std::string& path);
std::string subject_digest(const std::vector<ModelFile>& files);

// Whether a file's bytes are weights (safetensors, GGUF): those alone tell a model from another
// one, whatever cards, licences and signatures lie beside them.
bool holds_weights(std::string_view name);
// The sizes and names of a model's files of weights, with no digest: nothing is read.
Result<std::vector<ModelFile>> list_weights(const std::string& path);
// The same with digests.
Result<std::vector<ModelFile>> weights_of(const std::string& path);

}  // namespace retort::lineage
