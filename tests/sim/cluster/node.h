// What `smackd start` wires on a server, once more over the simulated machine: follows the registry, says who
// may speak, changes the servers as leader, admits machines, passes requests on to the leader. The decisions
// are core/cluster's, the same ones the daemon runs.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/cluster/access.h"
#include "core/cluster/join_decision.h"
#include "core/cluster/membership_control.h"
#include "core/wire/command.pb.h"
#include "storage/feed/hub.h"
#include "tests/sim/cluster/mesh.h"
#include "tests/sim/process.h"

namespace smackd::sim::cluster {

class Machine;
struct Site;

/// A machine's wish, proved by its keytab.
struct JoinWish {
    core::cluster::JoinClaim claim;
    wire::JoinRequest request;
};

/// What it gets: wire.JoinAnswer without secrets.
struct JoinGrant {
    uint64_t id = 0;
    uint64_t generation = 0;
    uint64_t epoch = 0;
    core::Bytes registry;  ///< wire.RegistryRows
};

class Node {
 public:
    using Registry = core::cluster::Registry;
    using Admitted = core::Callback<void(core::cluster::JoinResult<JoinGrant>)>;

    /// The process of the machine's installation has just started.
    Node(Site& site, Machine& machine);
    /// Before the process goes down.
    ~Node();
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    uint64_t id() const { return id_; }
    Machine& machine() { return machine_; }
    std::shared_ptr<Life> life() { return process_.life(); }
    Process& process() { return process_; }

    /// May this node speak here?
    core::Result<core::cluster::AdmittedNode> check(const core::cluster::CertifiedNode& node);
    /// A caller says where it is dialled.
    void note_address(uint64_t node, std::string address) {
        access_.note_address(core::NodeId{node}, std::move(address));
    }
    /// As the control loop knows it; nullptr before it was read.
    const Registry* registry() const { return registry_.get(); }
    storage::ReplicaStatus status() const { return process_.replica().status(); }

    /// Here when this server leads, else at the leader. `done` gets a serialized wire.CommandResult.
    void propose(core::Bytes command, Reply done);
    void admit(JoinWish wish, Admitted done) {
        admit(std::make_shared<JoinWish>(std::move(wish)), 1, std::move(done));
    }

 private:
    using Wish = std::shared_ptr<JoinWish>;  // over the steps of its admission
    void subscribe();
    void feed_changed();
    void reload();
    core::Result<Registry> read_registry();
    void set_access(std::shared_ptr<const Registry> registry);
    core::cluster::RaftStanding standing() const;
    void carry_out(const core::cluster::AccessChange& change);
    void ask_for_registry();
    void refresh_status();
    void change(const core::cluster::MembershipChange& change, core::Callback<void(core::Result<void>)> done);

    template <class Local>
    void at_leader(Reply done, const char* what, Local work);
    void barrier(core::Callback<void(core::Result<void>)> done);
    void admit(Wish wish, int attempt, Admitted done);
    core::Result<core::cluster::JoinFacts> read_facts(const std::string& machine, Registry& registry);
    void admit_now(const Wish& wish, int attempt, Admitted done);
    void commit(const Wish& wish, core::cluster::JoinFacts facts, wire::AdmitNode admit,
                core::Callback<void(core::cluster::JoinResult<void>)> done);

    Site& site_;
    Machine& machine_;
    Process& process_;
    const uint64_t id_;
    Timers timers_;
    std::shared_ptr<const Registry> registry_;  // shared with access_, which gets it a moment later
    core::cluster::Access access_;
    storage::ReplicaStatus status_;  // a copy, as old as the daemon's
    std::unique_ptr<core::cluster::MembershipControl> control_;
    std::unique_ptr<storage::feed::Watch> watch_;
    bool reloading_ = false;
    bool stale_ = false;
    size_t asked_ = 0;  // for the registry
    bool asking_ = false;
};

}  // namespace smackd::sim::cluster
