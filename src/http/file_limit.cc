#include "http/file_limit_internal.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/log.h"

namespace retort::http {

int64_t connections_with_files(int64_t wanted) {
  constexpr int64_t kOthers = 128;  // a model's files, logs, a listener
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const auto files = static_cast<rlim_t>(wanted + kOthers);
  if (limit.rlim_cur >= files) return wanted;
  const rlim_t before = limit.rlim_cur;
  limit.rlim_cur = std::min(files, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  if (limit.rlim_cur >= files) return wanted;
  const auto possible = static_cast<int64_t>(limit.rlim_cur) - kOthers;
  const int64_t fit = std::clamp<int64_t>(possible, 1, wanted);
  base::log_warning("at most {} connections: the system allows {} open files (ulimit -n)", fit,
                    limit.rlim_cur);
  return fit;
}

}  // namespace retort::http
