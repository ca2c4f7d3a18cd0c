// Nobody writes himself an export permit.
// rejected: is private within this context
#include "release/export.h"

namespace retort {

bool write(corpus::Clearance& clearance, const corpus::Selection& learnt_from,
           const release::ExportInput& input) {
#ifdef RETORT_FORBIDDEN
  (void)clearance.permit_export(learnt_from);
  const corpus::ExportPermit permit(corpus::Permit(), false, "student");
  return release::export_model(permit, input).ok();
#else
  const auto permit = clearance.permit_export(learnt_from);
  return permit.ok() && release::export_model(*permit, input).ok();
#endif
}

}  // namespace retort
