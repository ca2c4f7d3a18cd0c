// Who asks, where a proxy stands in front. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "http/headers.h"

namespace retort::http {

bool is_of(const std::vector<base::AddressBlock>& blocks, std::string_view address);

// The address that asked: the connection's other end or, where that is a proxy that is believed,
// the nearest one in X-Forwarded-For that is none. Each proxy adds behind what it was sent, so the
// header is read from its end, and whatever stands before the first stranger is the stranger's own
// word. What is no address ends the reading: the last proxy has asked then.
std::string asking_address(const std::vector<base::AddressBlock>& proxies, const std::string& peer,
                           const Headers& headers);

}  // namespace retort::http
