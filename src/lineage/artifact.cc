#include "lineage/artifact.h"

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "crypto/hash.h"

namespace retort::lineage {
namespace {

namespace fs = std::filesystem;

// Links are followed: a hub's cache is made of them.
Result<std::vector<ModelFile>> list_files(const std::string& path) {
  if (!base::exists(path)) return base::not_found("there is no such model", path);
  if (!base::is_directory(path)) {
    RETORT_TRY(const auto bytes, base::file_size(path));
    return std::vector<ModelFile>{{std::string(base::base_name(path)), bytes, ""}};
  }
  std::vector<ModelFile> files;
  std::error_code code;
  for (fs::recursive_directory_iterator it(path, code), end; !code && it != end;
       it.increment(code)) {
    if (!it->is_regular_file(code)) continue;
    RETORT_TRY(const auto bytes, base::file_size(it->path().string()));
    files.push_back({it->path().lexically_relative(path).generic_string(), bytes, ""});
  }
  if (code) {
    errno = code.value();
    return base::errno_error("list", path);
  }
  std::sort(files.begin(), files.end(), [](const ModelFile& a, const ModelFile& b) {
    const fs::path left(a.name), right(b.name);
    return std::lexicographical_compare(left.begin(), left.end(), right.begin(), right.end());
  });
  return files;
}

Result<void> add_digests(const std::string& path, std::vector<ModelFile>& files) {
  const bool in_folder = base::is_directory(path);
  for (auto& file : files) {
    RETORT_TRY(file.sha256,
               crypto::sha256_file_hex(in_folder ? base::join(path, file.name) : path));
  }
  return {};
}

}  // namespace

std::string subject_digest(const std::vector<ModelFile>& files) {
  crypto::Sha256 all;
  for (const auto& file : files) {
    const auto digest = crypto::digest_from_hex(file.sha256);
    if (digest) all.add(crypto::as_bytes(*digest));
  }
  return crypto::to_hex(all.finish());
}

Result<Artifact> artifact_of(const std::string& path) {
  Artifact out;
  RETORT_TRY(out.files, list_files(path));
  if (out.files.empty()) return base::bad_input("the folder holds no file", path);
  RETORT_TRY_VOID(add_digests(path, out.files));
  out.digest = base::is_directory(path) ? subject_digest(out.files) : out.files.front().sha256;
  return out;
}

Result<std::string> logged_digest(const std::string& path) {
  RETORT_TRY(auto artifact, artifact_of(path));
  if (!base::is_directory(path)) return artifact.digest;
  std::erase_if(artifact.files, [](const ModelFile& file) { return file.name == "model.sig"; });
  return subject_digest(artifact.files);
}

bool holds_weights(std::string_view name) {
  return name.ends_with(".safetensors") || name.ends_with(".gguf");
}

Result<std::vector<ModelFile>> list_weights(const std::string& path) {
  RETORT_TRY(auto files, list_files(path));
  // A single file is what somebody calls a model, whatever its name ends in.
  if (base::is_directory(path)) {
    std::erase_if(files, [](const ModelFile& file) { return !holds_weights(file.name); });
  }
  return files;
}

Result<std::vector<ModelFile>> weights_of(const std::string& path) {
  RETORT_TRY(auto files, list_weights(path));
  RETORT_TRY_VOID(add_digests(path, files));
  return files;
}

}  // namespace retort::lineage
