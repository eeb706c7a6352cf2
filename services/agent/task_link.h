// The host's end of a task's pair of devices: a link of its own with a route to one address. Tasks share no
// segment: what goes between them, IPv4 alone, is routed by the node and meets its rules, whatever the
// machine says about filtering bridges (net.bridge.bridge-nf-call-iptables).
#pragma once

#include <cstdint>
#include <string>

#include "core/result.h"
#include "net/netlink/links.h"

namespace smackd::agent {

/// Leads to the task at `address` and answers it for every other address of the node's subnet; packets with
/// another source are dropped. Again is fine, also of a device that was a bridge's port.
core::Result<void> lead_to_task(net::netlink::Links& links, const std::string& device, uint32_t address,
                                uint32_t gateway);

}  // namespace smackd::agent
