// A host: what lies on its disk, and the daemon while it runs.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/cluster/registry.h"
#include "storage/state/limits.h"
#include "tests/sim/process.h"

namespace smackd::sim::cluster {

class Node;
struct Site;

/// What a join left in the data directory.
struct Installation {
    uint64_t id = 0;
    uint64_t generation = 0;
    uint64_t epoch = 1;
    std::string key;       ///< hex, stands for the SHA-256 of the node's public key
    core::Bytes registry;  ///< wire.RegistryRows of the member that let it join
    std::unique_ptr<Process> process;
};

/// What the administrator wants of a machine.
enum class Wanted : uint8_t { kNothing, kMember, kSuspended };

/// Where a machine of this name stands.
std::string zone_of(const std::string& machine);

class Machine {
 public:
    Machine(Site& site, std::string machine_name);
    ~Machine();

    bool running() const { return node != nullptr; }
    core::cluster::CertifiedNode certificate() const;
    /// Makes the disk of a node with this id; nothing is started.
    void install(uint64_t id, std::string key);
    /// Starts the daemon. A disk that refuses for a reason that passes is tried again.
    void boot();
    void crash(bool power);
    /// Down, and up again after a while.
    void restart(bool power, core::Duration after);
    /// The data directory goes; the next join is a new node's.
    void empty();
    /// As `smackd recover` on its disk.
    core::Result<storage::RecoveryReport> recover();
    uint64_t recoveries() const { return recoveries_; }
    core::NodeId id() const { return {installation ? installation->id : 0}; }

    const std::string name;
    const std::string address;
    uint32_t feature_level_max = storage::state::kFeatureLevelMax;
    std::unique_ptr<Installation> installation;
    std::map<uint64_t, std::string> addresses;  ///< of peers, as the daemon was told
    std::unique_ptr<Node> node;                 ///< while the daemon runs

    // The administrator's notes.
    Wanted wanted = Wanted::kNothing;
    bool busy = false;         ///< somebody works on it
    bool held_down = false;    ///< not to be started by itself
    bool left_behind = false;  ///< holds what a recovery gave up

 private:
    void boot_failed(const core::Error& error);
    Site& site_;
    uint64_t recoveries_ = 0;
    std::vector<std::unique_ptr<Process>> emptied_;  // callbacks under way may still name them
};

std::string new_key(Site& site);

}  // namespace smackd::sim::cluster
