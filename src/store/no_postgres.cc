// Instead of postgres.cc where libpq was not found when this was built.
#include "store/backend_internal.h"

namespace retort::store {

Result<std::unique_ptr<DatabaseBackend>> open_postgres(const std::string&) {
  return base::storage_error("this program was built without PostgreSQL", "",
                             "install libpq-dev, configure and build again; or give the path of a "
                             "file on this machine");
}

}  // namespace retort::store
