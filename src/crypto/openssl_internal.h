// What the parts of this room that speak to libcrypto share: owners of its objects.
#pragma once
#include <openssl/bio.h>
#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

namespace retort::crypto {

struct OpensslDeleter {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <class T>
using OpensslPointer = std::unique_ptr<T, OpensslDeleter>;

inline const unsigned char* as_unsigned(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

inline OpensslPointer<BIO> reader(std::string_view bytes) {
  return OpensslPointer<BIO>(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

inline std::string written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<size_t>(size)};
}

// Without a passphrase: an encrypted key is an error, not a question on the terminal.
inline int no_passphrase(char*, int, int, void*) {
  return -1;
}

}  // namespace retort::crypto
