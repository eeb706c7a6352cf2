// What a server asks of agents. They dial, so they open a stream on which their orders come, and answer each
// by a call.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "cmd/smackd/node/outbox.h"
#include "core/ids.h"
#include "core/units.h"
#include "net/loop.h"
#include "net/rpc/rpc.h"
#include "net/wait.h"

namespace smackd::cmd {

/// Orders of one agent that wait for an answer; more are answered kBusy.
inline constexpr size_t kOrdersMax = 128;  // 32 programs that are read and written, and as many others
/// From the order to its answer.
inline constexpr core::Duration kOrderLimit = core::seconds(5);

/// One loop's thread.
class AgentOrders {
 public:
    explicit AgentOrders(net::Loop& loop) : loop_(loop) {}

    /// Serves an agent's stream until it ends; a second one (the agent came back before the first was found
    /// dead) takes over.
    net::Task<core::Result<void>> send(core::NodeId agent, net::rpc::ItemWriter& out);
    /// A serialized wire.NodeAnswer of that agent; kInvalid when it is none, or to nothing that was asked.
    core::Result<void> take_answer(core::NodeId agent, core::BytesView answer);
    /// kNotFound when no stream of the agent ends here, kUnavailable when it ends before the answer,
    /// kTimeout, kBusy, or what the agent says.
    net::Task<core::Result<core::Bytes>> ask(core::NodeId agent, std::string method, core::Bytes request);

 private:
    struct Stream {
        explicit Stream(net::Loop& loop);
        Outbox orders;
        std::map<uint64_t, net::Wait<core::Bytes>*> waiting;  // by order
        uint64_t last;  // begins anywhere: an answer over another stream must not meet an order of this one
    };
    net::Task<core::Result<core::Bytes>> exchange(std::shared_ptr<Stream> stream, std::string method,
                                                  core::Bytes request);

    net::Loop& loop_;
    std::map<core::NodeId, std::shared_ptr<Stream>> streams_;  // also the frames' that serve and wait
};

}  // namespace smackd::cmd
