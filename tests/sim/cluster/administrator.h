// Who runs the cluster: registers machines and lets them join, suspends and removes them, recovers it on the
// worst day, and sees that everything becomes as it is wanted.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tests/sim/cluster/node.h"
#include "tests/sim/cluster/requester.h"

namespace smackd::sim::cluster {

class Machine;
struct Site;

class Administrator {
 public:
    explicit Administrator(Site& site);

    /// The first servers, and the cluster's first command. At feature level 1: made by an old version.
    void bootstrap(size_t servers, uint32_t feature_level);
    /// Puts a machine into the registry and lets it join; sometimes it asks too early.
    void add(Machine& machine);
    void suspend(Machine& machine);
    void raise_generation(Machine& machine);
    void remove(Machine& machine);
    void remove_node(Machine& machine);
    void raise_level();
    /// Somebody else has a copy of the machine's keytab and asks with a key of its own.
    void copy_keytab(Machine& machine);
    /// All servers, or a majority of the voters, are gone; one goes on alone. False: not now.
    bool lose_majority(bool all);
    /// One step towards what is wanted of this machine.
    void tend(Machine& machine);
    bool idle() const;
    bool disaster() const { return disaster_; }

 private:
    using After = std::function<void()>;
    struct Ask;
    void join(Machine& machine, std::string key, bool thief, After done);
    void ask(const std::shared_ptr<Ask>& ask);
    void asked(const std::shared_ptr<Ask>& ask, core::cluster::JoinResult<JoinGrant> answer);
    void take(Ask& ask, const JoinGrant& grant);
    bool goes_on(const Ask& ask, const core::cluster::JoinRefused& refused);
    void put(Machine& machine, bool allowed, uint64_t generation, After done);
    void drop(Machine& machine, After done);
    void drop_node(uint64_t node, After done);
    void send(wire::Command command, After done);
    void tend_member(Machine& machine, Machine& leader);
    void tend_installed(Machine& machine, Machine& leader);
    void join_anew(Machine& machine);
    void join_again(Machine& machine);
    void stop(Machine& machine);
    void set_apart(const std::vector<Machine*>& some, const std::vector<Machine*>& others);
    void recover(const std::vector<Machine*>& voters, bool all);
    void let_left_behind_return(Machine& machine);

    Site& site_;
    std::vector<std::unique_ptr<Requester>> requesters_;
    size_t asking_ = 0;
    bool disaster_ = false;
    wire::Command setup_;  ///< the cluster's first command
};

}  // namespace smackd::sim::cluster
