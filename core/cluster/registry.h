// Who may speak at the cluster's address: the machines and nodes of the replicated state, in memory. Pure.
//
// Immutable; the node that keeps it swaps the pointer when the feed names a change, and ends the connections
// of those whom the new one refuses.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/wire/command.pb.h"
#include "core/wire/join.pb.h"

namespace smackd::core::cluster {

/// What a node's certificate says of it, under the signature of the cluster's CA.
struct CertifiedNode {
    std::string cluster_id;
    NodeId id;
    uint64_t generation = 0;  ///< of its machine; 0: made by a bootstrap
    bool server = false;      ///< as its role was when the certificate was made
};

/// A node that is let in.
struct AdmittedNode {
    NodeId id;
    std::string machine;
    std::string address;
    bool server = false;
};

bool is_server(const wire::PutNode& node);
/// The first servers of a cluster have no epoch in their rows.
uint64_t epoch_at_join(const wire::PutNode& node);

/// True for the refusal of node `self` that was removed for good: node ids are never given twice, so no later
/// word can take it back. A suspended node, or one that the server has not heard of yet, is refused
/// otherwise. To be asked only of what a server has sent whose certificate showed it to be one the caller
/// knew already: servers hold the cluster's CA key and are believed; an agent or a stranger is not.
bool is_removal(const Error& refusal, NodeId self);
/// True for the refusal of a node whose joining that server has not heard of yet: another server knows it,
/// and this one soon will.
bool is_not_known_yet(const Error& refusal);

class Registry {
 public:
    struct Rows {
        std::vector<wire::PutMachine> machines;
        std::vector<wire::PutNode> nodes;
        std::string cluster_id;
        Revision revision;          ///< of the state that they were read from
        uint64_t last_node_id = 0;  ///< the highest ever given
    };
    Registry() = default;
    explicit Registry(Rows rows);
    /// False before the cluster's first command has arrived.
    bool known() const { return !cluster_id_.empty(); }
    uint64_t epoch() const { return revision_.epoch; }
    Revision revision() const { return revision_; }
    /// kDenied with the reason: of another cluster, removed, suspended, of an older generation.
    Result<AdmittedNode> admit(const CertifiedNode& node) const;
    /// The same by id alone, for connections that were let in before.
    Result<AdmittedNode> check(NodeId node) const;
    /// Of this cluster, with an id that was given after all that is known here, or joined again since.
    bool is_ahead(const CertifiedNode& node) const;
    /// Let in with a newer certificate than this one.
    bool is_outdated(const CertifiedNode& node) const;
    /// Joined in the epoch that the state is in.
    bool is_of_epoch(NodeId node) const;
    NodeId last_node_id() const { return last_node_id_; }
    /// Lets `node` in as `other` does: in both, with the same generation.
    bool same(NodeId node, const Registry& other) const;
    /// Everybody let in now, by id.
    std::vector<AdmittedNode> admitted() const;
    std::vector<wire::PutNode> nodes() const;

    /// Lets a server in whatever its row says: a voter that is needed until it can be taken out. `address`
    /// when it has no row any more; may be empty: it is heard, nobody dials it.
    void let_in(NodeId node, std::string address);
    /// For another server.
    wire::RegistryRows to_wire() const;
    /// From a serialized wire.RegistryRows; kCorrupt when it is none, kDenied when it is of another cluster.
    static Result<Registry> decode(BytesView bytes, std::string_view cluster_id);

 private:
    struct Entry {
        wire::PutNode node;
        std::string refusal;  // empty: let in
    };

    std::string cluster_id_;
    Revision revision_;
    NodeId last_node_id_;
    std::map<NodeId, Entry> nodes_;
};

}  // namespace smackd::core::cluster
