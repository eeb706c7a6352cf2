// The version this tree builds.
#pragma once

#include <string_view>

namespace smackd::cmd {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace smackd::cmd
