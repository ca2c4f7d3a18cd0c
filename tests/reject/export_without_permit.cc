// The verdict on records is no leave to write a model out.
// rejected: invalid initialization|could not convert|cannot bind
#include "release/export.h"

namespace retort {

bool write(corpus::Clearance& clearance, const corpus::Selection& learnt_from,
           const release::ExportInput& input) {
#ifdef RETORT_FORBIDDEN
  const auto cleared = clearance.clear<terms::PublishModel>(learnt_from);
  return cleared.ok() && release::export_model(cleared->permit(), input).ok();
#else
  const auto permit = clearance.permit_export(learnt_from);
  return permit.ok() && release::export_model(*permit, input).ok();
#endif
}

}  // namespace retort
