// Capabilities of tasks, by name and as the kernel's bit set.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace smackd::agent {

/// The bit of "NET_ADMIN" or "CAP_NET_ADMIN".
std::optional<uint64_t> capability_bit(std::string_view name);

/// What a task has by default, as root of its user namespace: containers' usual set without MKNOD (its /dev
/// is complete) and NET_RAW (ping works without; forged packets do not).
uint64_t default_capabilities();

/// All that the kernel knows, as far as the caller has them.
uint64_t own_capabilities();

/// Drops everything outside `keep` from the bounding set and empties the ambient set. errno on failure.
int limit_bounding_set(uint64_t keep);
/// Sets effective and permitted to `keep`, inheritable to nothing. errno on failure.
int set_capabilities(uint64_t keep);

}  // namespace smackd::agent
