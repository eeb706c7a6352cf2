// The servers of the cluster, as handlers tell clients of them.
#pragma once

#include <string>
#include <vector>

#include "services/api/call.h"

namespace smackd::services {

core::Result<std::vector<wire::PutNode>> read_servers(View& view);

/// HOST:PORT of the embedded realm's KDCs, this server's first; none with a realm of the site.
std::vector<std::string> kdcs_of(const Call& call, const std::vector<wire::PutNode>& servers);

}  // namespace smackd::services
