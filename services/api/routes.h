// The table of all routes.
#pragma once

#include <span>
#include <string_view>

#include "services/api/router.h"

namespace smackd::services {

std::span<const Route> routes();

/// The path as the table has it: Marathon's prefixes ("/marathon", "/service/marathon") taken off.
std::string_view route_path(std::string_view path);

}  // namespace smackd::services
