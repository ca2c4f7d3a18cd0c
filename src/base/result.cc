#include "base/result.h"

#include <cerrno>
#include <cstring>

namespace retort::base {

std::string Error::text() const {
  std::string out = message;
  if (!where.empty()) out += " (" + where + ")";
  if (!hint.empty()) out += "; " + hint;
  return out;
}

Error Error::at(std::string_view outer) const {
  Error copy = *this;
  copy.where = where.empty() ? std::string(outer) : std::string(outer) + ": " + where;
  return copy;
}

int exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::usage:
      return 2;
    case ErrorCode::refused_by_terms:
      return 3;
    case ErrorCode::bad_input:
      return 4;
    case ErrorCode::not_found:
      return 4;
    case ErrorCode::upstream:
      return 5;
    case ErrorCode::storage:
      return 6;
    case ErrorCode::budget_reached:
      return 7;
    case ErrorCode::refused_by_gate:
      return 8;
    case ErrorCode::internal:
      return 70;
    case ErrorCode::interrupted:
      return 130;
  }
  return 70;
}

const char* name(ErrorCode code) {
  switch (code) {
    case ErrorCode::usage:
      return "usage";
    case ErrorCode::refused_by_terms:
      return "refused_by_terms";
    case ErrorCode::bad_input:
      return "bad_input";
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::upstream:
      return "upstream";
    case ErrorCode::storage:
      return "storage";
    case ErrorCode::budget_reached:
      return "budget_reached";
    case ErrorCode::refused_by_gate:
      return "refused_by_gate";
    case ErrorCode::internal:
      return "internal";
    case ErrorCode::interrupted:
      return "interrupted";
  }
  return "internal";
}

Error bad_input(std::string message, std::string where, std::string hint) {
  return {ErrorCode::bad_input, std::move(message), std::move(where), std::move(hint)};
}
Error not_found(std::string message, std::string where, std::string hint) {
  return {ErrorCode::not_found, std::move(message), std::move(where), std::move(hint)};
}
Error storage_error(std::string message, std::string where, std::string hint) {
  return {ErrorCode::storage, std::move(message), std::move(where), std::move(hint)};
}
Error upstream_error(std::string message, std::string where, std::string hint) {
  return {ErrorCode::upstream, std::move(message), std::move(where), std::move(hint)};
}
Error usage_error(std::string message, std::string where, std::string hint) {
  return {ErrorCode::usage, std::move(message), std::move(where), std::move(hint)};
}
Error interrupted(std::string message) {
  return {ErrorCode::interrupted, std::move(message), "", "the same command goes on from here"};
}
Error internal_error(std::string message, std::string where) {
  return {ErrorCode::internal, std::move(message), std::move(where), ""};
}

Error errno_error(std::string_view what, std::string where) {
  const int saved = errno;
  Error error{ErrorCode::storage, "cannot " + std::string(what) + ": " + std::strerror(saved),
              std::move(where), ""};
  if (saved == ENOENT) error.code = ErrorCode::not_found;
  if (saved == ENOSPC) error.hint = "free some space, then run the same command again";
  if (saved == EACCES || saved == EPERM) error.hint = "check the permissions of the file";
  return error;
}

}  // namespace retort::base
