// Listening sockets as bare descriptors, so that whoever may make them can hand them to whoever serves them.
#pragma once

#include "core/result.h"
#include "net/address.h"

namespace smackd::net {

enum class ListenKind : uint8_t { kTcp, kUdp };

inline constexpr int kListenSocketBacklog = 4096;
/// Received datagrams that may wait (best effort): a stalled loop must not lose queries at once.
inline constexpr int kUdpReceiveBytes = 4 * 1024 * 1024;

/// Binds (TCP: and listens). Not blocking, close-on-exec. kConflict when the address is in use.
core::Result<int> open_listener(ListenKind kind, const Address& at);
/// What a descriptor is bound to.
core::Result<Address> bound_address(int descriptor);

}  // namespace smackd::net
