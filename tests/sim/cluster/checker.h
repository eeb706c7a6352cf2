// What must hold of a whole cluster, whatever happens.
//
// A recovery begins a lineage: the servers that know of it have one history, those it left behind another.
// Within a lineage the first server to show revision r fixes it for all.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/cluster/join_decision.h"
#include "core/cluster/membership.h"
#include "core/wire/command.pb.h"
#include "storage/feed/hub.h"
#include "storage/replica.h"
#include "tests/sim/cluster/model.h"
#include "tests/sim/world.h"

namespace smackd::sim::cluster {

class Machine;
class Node;
struct JoinGrant;
struct JoinWish;
struct Site;

/// A server that was refused in this long has had time to hear of it.
inline constexpr core::seconds kGrace{4};
/// What was shown so long ago is on the disk.
inline constexpr core::seconds kSettled{3};

class Checker {
 public:
    explicit Checker(Site& site) : site_(site) {}

    /// Follows the feed of a machine's server.
    void look(Machine& machine);
    void forget_life(Machine& machine);
    void forget_disk(Machine& machine);
    /// Role, term, leader or alarms of a server changed.
    void observe(Machine& machine, const storage::ReplicaStatus& status);
    /// Now and then: who has been refused where, and for how long.
    void tick();
    /// A Raft message of `from` was let in at `to`.
    void delivered(Machine& from, Machine& to);
    /// A message says that `node` leads `term`.
    void leads(uint64_t node, uint64_t term);
    /// The leader is about to change the servers.
    void changes(Node& leader, const core::cluster::MembershipChange& change);
    /// That one was carried out, or failed.
    void changed(Node& leader);
    /// Setting `key` was acknowledged with `value`.
    void acknowledged(const std::string& key, const std::string& value, const wire::CommandResult& result);
    void granted(const JoinWish& wish, const JoinGrant& grant);
    /// The server was recovered and runs again. `all_disks`: it was the most advanced of all voters.
    void recovered(Machine& machine, bool all_disks);
    /// The members are at the same place: what they hold must be the same, and all that was acknowledged.
    void compare_all(const std::vector<Machine*>& members);

    /// Of the state, in the newest lineage.
    uint64_t epoch() const { return lineage_ + 1; }
    const Model& registry() const { return histories_.at(lineage_).head; }
    /// The cluster's feature level has joining.
    bool joinable() const { return feature_level_ >= core::cluster::kJoinFeatureLevel; }

 private:
    struct Shown {
        std::string kind, key;
        core::Bytes row, encoded;
    };
    struct History {
        std::map<uint64_t, Shown> changes;  ///< by revision
        uint64_t last = 0;                  ///< highest one that `head` has followed
        Model head;
        std::set<uint64_t> removed_nodes;
        std::map<uint64_t, core::Instant> refused;  ///< by `head`, since when
    };
    struct Follower {
        std::unique_ptr<storage::feed::Watch> watch;
        core::Revision seen{.epoch = 1, .number = 0};
        core::Revision looked;
        Model registry;
        core::Instant registry_at{};                ///< when it last changed
        std::map<uint64_t, core::Instant> refused;  ///< and not needed as voters, since when
        uint64_t lineage = 0;
        std::vector<std::pair<core::Instant, uint64_t>> shown;
        core::Instant down_at{};
        uint64_t claimed_term = 0;
        bool stopped = false;
        bool changing = false;  ///< the servers, as their leader
    };
    void follow_feed(Machine& machine, Follower& follower);
    core::Result<void> begin_anew(Machine& machine, Follower& follower);
    void learn(Machine& machine, uint64_t lineage, const storage::feed::Record& record);
    void check_first(uint64_t lineage, const History& history, uint64_t epoch, const Shown& shown);
    void check_node(const History& history, uint64_t epoch, const wire::PutNode& put);
    bool long_refused(uint64_t node, const Machine& by) const;
    /// Voters that `by` hears although its own registry refuses them.
    static std::set<uint64_t> needed_voters(const Machine& by, const Follower& follower);
    void note_refused(const Machine& machine, Follower& follower);
    bool leader_needs(uint64_t node, const Model& registry) const;
    core::Result<std::map<std::string, std::string>> settings_of(Machine& machine);

    Site& site_;
    std::map<uint64_t, Follower> followers_;  ///< by node
    std::map<uint64_t, History> histories_{{0, {}}};
    uint64_t lineage_ = 0;  ///< the newest
    uint32_t feature_level_ = 1;
    std::map<uint64_t, std::pair<std::string, std::string>> given_;         ///< machine and key by node id
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> leaders_;             ///< by lineage and term
    std::map<std::string, std::pair<std::string, uint64_t>> acknowledged_;  ///< value and revision by key
};

}  // namespace smackd::sim::cluster
