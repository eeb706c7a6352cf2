// The daemon's side of the launcher: starts it, asks it, and starts another one when it dies. Loop thread
// only.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/logger.h"
#include "core/wire/task.pb.h"
#include "net/loop.h"
#include "net/scope.h"
#include "net/sync.h"
#include "services/agent/message_stream.h"

namespace smackd::agent {

inline constexpr core::Duration kLauncherAnswerMax =
    core::seconds(60);  ///< a big directory is removed within
inline constexpr core::Duration kLauncherPause = core::milliseconds(200);  ///< before a dead one is replaced

class LauncherClient {
 public:
    /// `binary`: of smackd.
    LauncherClient(net::Loop& loop, std::string binary, wire::LauncherSetup setup, core::Logger logger);

    /// Starts the process and waits for its set-up.
    net::Task<core::Result<wire::LauncherAnswer>> start();
    /// kUnavailable when it died over it: what was asked may be done or not.
    net::Task<core::Result<wire::LauncherAnswer>> ask(wire::LauncherRequest request);
    /// What the next launcher will be told; ask() tells the present one.
    void set_blocked(const wire::LauncherBlocked& blocked) {
        *setup_.mutable_blocked() = blocked.prefixes();
        *setup_.mutable_node_ports_tcp() = blocked.node_ports_tcp();
        *setup_.mutable_node_ports_udp() = blocked.node_ports_udp();
    }
    void set_tenants(const wire::LauncherTenants& tenants) { *setup_.mutable_tenants() = tenants.tenants(); }
    void set_network(const wire::LauncherNetwork& network) { *setup_.mutable_network() = network; }
    void set_subnet(const std::string& subnet) { setup_.set_subnet(subnet); }
    /// What the launcher is set up by.
    const wire::LauncherSetup& setup() const { return setup_; }
    int pid() const { return pid_; }
    net::Task<void> close();

 private:
    core::Result<void> spawn();
    net::Task<core::Result<wire::LauncherAnswer>> exchange(wire::LauncherRequest request);
    net::Task<void> read_answers();
    net::Task<core::Result<void>> send(wire::LauncherRequest request);

    net::Loop& loop_;
    std::string binary_;
    wire::LauncherSetup setup_;
    core::Logger logger_;
    std::unique_ptr<MessageStream> stream_;
    int pid_ = 0;
    uint64_t next_id_ = 1;
    std::map<uint64_t, net::Wait<wire::LauncherAnswer>*> waiting_;
    net::Event ready_;
    net::Scope scope_;
};

}  // namespace smackd::agent
