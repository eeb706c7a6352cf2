// The table of all routes.
#pragma once

#include <span>

#include "services/api/router.h"

namespace smackd::services {

std::span<const Route> routes();

}  // namespace smackd::services
