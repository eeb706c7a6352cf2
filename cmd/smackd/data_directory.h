// Where a node keeps what, and the lock that makes one daemon its only user.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace smackd::cmd {

/// Paths below the data directory.
///
///     node.json                 who this node is (NodeIdentity)
///     lock                      held while a daemon runs
///     raft/                     log, term and vote, snapshots
///     state/                    state.db, secrets.db, realm/realm.db
///     cluster/                  CA, this node's certificate and key, initial_voters, gossip_members
///     krb5.conf                 for Kerberos clients on this machine (embedded realm)
///     keytabs/                  keytabs that the node or the demo made
///     audit/                    refusals
///     backups/                  what the schedule made, unless the configuration names another folder
///     agent/                    tasks that run here, their sandboxes and logs
///     images/                   images and artifacts
///     run/                      api.sock, listeners.json (where the running daemon listens)
class DataDirectory {
 public:
    explicit DataDirectory(std::string path) : path_(std::move(path)) {}

    const std::string& path() const { return path_; }
    std::string identity() const { return path_ + "/node.json"; }
    std::string lock() const { return path_ + "/lock"; }
    std::string raft() const { return path_ + "/raft"; }
    std::string state() const { return path_ + "/state"; }
    std::string cluster() const { return path_ + "/cluster"; }
    std::string initial_voters() const { return cluster() + "/initial_voters"; }
    std::string known_members() const { return cluster() + "/gossip_members"; }
    std::string realm() const { return state() + "/realm"; }
    std::string keytabs() const { return path_ + "/keytabs"; }
    std::string audit() const { return path_ + "/audit"; }
    std::string backups() const { return path_ + "/backups"; }
    std::string agent() const { return path_ + "/agent"; }
    std::string run() const { return path_ + "/run"; }
    std::string listeners() const { return run() + "/listeners.json"; }
    std::string api_socket() const { return run() + "/api.sock"; }

    /// Twelve digits of a hash of the path: marks as ours what a node makes elsewhere on the host.
    std::string mark() const;
    /// Outside of the data directory, in memory-backed /run: sockets and locks that a full disk must not
    /// stop.
    std::string runtime() const { return "/run/smackd-" + mark(); }
    std::string edge_socket() const { return runtime() + "/edge.sock"; }

    /// Makes the directory and the folders in it; the top is 0711 (the KDC's user passes through), the rest
    /// 0700 except run/ (0755). kDenied says when the user may not.
    core::Result<void> make() const;

 private:
    std::string path_;
};

/// Holds an exclusive lock on the data directory as long as it lives; the kernel drops it when the process
/// dies.
class DirectoryLock {
 public:
    /// kConflict names the process that has it.
    static core::Result<DirectoryLock> take(const DataDirectory& directory);
    DirectoryLock(DirectoryLock&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
    DirectoryLock& operator=(DirectoryLock&&) = delete;
    ~DirectoryLock();

 private:
    explicit DirectoryLock(int descriptor) : descriptor_(descriptor) {}
    int descriptor_;
};

/// Who a node is; written once when it is made.
struct NodeIdentity {
    uint64_t node_id = 0;
    std::string name;
    std::string cluster_name;
    std::string cluster_id;
    std::string realm;
    bool embedded_realm = false;
    std::string role = "server";  ///< or "agent"
    uint64_t generation = 0;      ///< of the machine when it joined
    uint64_t epoch = 0;           ///< of the state then; 0: made by a bootstrap
    std::string address{};        ///< HOST:PORT that other nodes dial; empty: as the configuration says
};

core::Result<NodeIdentity> read_identity(const DataDirectory& directory);
core::Result<void> write_identity(const DataDirectory& directory, const NodeIdentity& identity);

/// One voter of the first configuration.
struct InitialVoter {
    uint64_t node_id = 0;
    std::string name;
    std::string address;  ///< HOST:PORT of its cluster listener
};

/// Reads DIR/cluster/initial_voters: one "ID NAME HOST:PORT" a line. kNotFound when there is none.
core::Result<std::vector<InitialVoter>> read_initial_voters(const DataDirectory& directory);
core::Result<void> write_initial_voters(const DataDirectory& directory,
                                        const std::vector<InitialVoter>& voters);

/// The whole of a small file (at most 1 MiB). Errors name the path.
core::Result<std::string> read_small_file(const std::string& path);
/// Replaces the file by way of a temporary one beside it, with `mode`, synced.
core::Result<void> replace_file(const std::string& path, std::string_view bytes, unsigned mode);

}  // namespace smackd::cmd
