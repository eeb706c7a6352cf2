// The addresses of tasks.
#pragma once

#include "core/ipv4.h"

namespace smackd::apps {

/// 10.64.0.0/10, which the nodes' subnets are cut out of unless a node is told otherwise.
inline constexpr core::Ipv4Prefix kTaskNetwork{10U << 24U | 64U << 16U, 10};
/// Of a node's subnet, as other nodes know it.
inline constexpr uint32_t kTaskSubnetLength = 24;

}  // namespace smackd::apps
