// Settings of the state that handlers write: names of the DNS, tenants, the hold.
#pragma once

#include <string>

#include "services/api/call.h"
#include "services/api/handlers.h"

namespace smackd::services {

/// An empty value: it is gone.
void add_setting(wire::Command& command, std::string name, std::string value);
/// Writes one; the answer to the call.
handlers::Answer put_setting(Call& call, std::string name, std::string value);

}  // namespace smackd::services
