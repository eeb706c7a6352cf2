// Messages between servers as a parameter: mTLS RPC streams in production, a lossy queue in the simulator.
#pragma once

#include "core/bytes.h"
#include "core/callback.h"
#include "core/ids.h"

namespace smackd::core {

/// Sends messages to peers known by id. Delivery is best effort: a message may be lost, late, doubled or
/// out of order with others, but never damaged (the stream authenticates it) nor from somebody else.
class Transport {
 public:
    virtual ~Transport() = default;
    /// Tells the address of a peer ("host:port"), replacing an earlier one. Simulated transports ignore it.
    virtual void set_address(NodeId peer, const std::string& address) = 0;
    /// Queues `message` for `peer`; dropped silently when the peer cannot be reached or its queue is full.
    virtual void send(NodeId peer, Bytes message) = 0;
    /// Ends the connection that `peer` has made, which its callback of set_lost hears of. Simulated
    /// transports have none.
    virtual void break_off(NodeId peer) { static_cast<void>(peer); }
    /// Who gets messages that arrive, on the owner's loop; never called inside send().
    virtual void set_receiver(Callback<void(NodeId from, Bytes message)> receiver) = 0;
    /// Who is told, on the owner's loop, that a connection to a peer has broken: often the first sign of its
    /// death, and no proof of it.
    virtual void set_lost(Callback<void(NodeId peer)> lost) = 0;
};

inline constexpr size_t kTransportMessageBytesMax = 4 * 1024 * 1024;  ///< longer ones are a bug of the sender

}  // namespace smackd::core
