// Who reaches whom: addresses, connections, and the admission of callers, over the simulated network.
//
// A connection goes one way: `from` has dialled `to`. It is admitted when it is made, and lives until one of
// them dies or cuts it, as net/rpc's do.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/bytes.h"
#include "core/callback.h"
#include "core/ids.h"
#include "core/result.h"
#include "tests/sim/world.h"

namespace smackd::sim::cluster {

class Machine;
class Node;
struct Site;

using Reply = core::Callback<void(core::Result<core::Bytes>)>;

class Mesh {
 public:
    explicit Mesh(Site& site) : site_(site) {}
    /// Sits in the network from here on.
    void attach();

    /// Runs `work` at the server `to`, whose answer comes back to `from`: kUnavailable when there is no way,
    /// kDenied when it is refused, kTimeout.
    void call(Node& from, uint64_t to, std::string address, core::Callback<void(Node&, Reply)> work,
              Reply done);
    /// Connects to a server whose address was told, as PeerTransport does before there is a message.
    void dial(uint64_t from, uint64_t to, const std::string& address);
    /// `self` ends the connections of `peer` to it.
    void cut(uint64_t self, uint64_t peer);
    /// The process of this node is gone, and with it its connections.
    void gone(uint64_t node);

 private:
    using Way = std::pair<uint64_t, uint64_t>;
    bool may_leave(uint64_t from, uint64_t to);
    bool may_arrive(uint64_t from, uint64_t to);
    core::Result<void> connect(Machine& from, Machine& to);

    struct Backoff {
        core::Instant until;
        core::Duration next{};
    };
    Site& site_;
    std::set<Way> open_;
    std::map<Way, Backoff> refused_;
};

}  // namespace smackd::sim::cluster
