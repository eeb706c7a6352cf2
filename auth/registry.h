// Who may speak at the cluster's address: the machines and nodes of the replicated state, in memory.
//
// Immutable; the node that keeps it swaps the pointer when the feed names a change, and ends the connections
// of those whom the new one refuses.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/result.h"
#include "core/wire/command.pb.h"
#include "net/crypto/certificate.h"

namespace smackd::auth {

/// A node that is let in.
struct AdmittedNode {
    core::NodeId id;
    std::string machine;
    std::string address;
    bool server = false;
};

class Registry {
 public:
    struct Rows {
        std::vector<wire::PutMachine> machines;
        std::vector<wire::PutNode> nodes;
        std::string cluster_id;
        uint64_t epoch = 0;
        uint64_t last_node_id = 0;  ///< the highest ever given
    };
    Registry() = default;
    explicit Registry(Rows rows);
    /// For a server that has joined and has no state yet: the servers it was told of.
    static Registry of_members(std::string cluster_id, std::vector<AdmittedNode> servers);

    /// False before the cluster's first command has arrived.
    bool known() const { return !cluster_id_.empty(); }
    uint64_t epoch() const { return epoch_; }
    /// kDenied with the reason: no node's certificate, removed, suspended, of an older generation, of an
    /// older epoch.
    core::Result<AdmittedNode> admit(const net::crypto::Certificate& certificate) const;
    /// The same by id alone, for connections that were let in before.
    core::Result<AdmittedNode> check(core::NodeId node) const;
    /// Lets `node` in as `other` does: in both, with the same generation.
    bool same(core::NodeId node, const Registry& other) const;
    /// Everybody let in now, by id.
    std::vector<AdmittedNode> admitted() const;
    std::vector<wire::PutNode> nodes() const;

 private:
    struct Entry {
        wire::PutNode node;
        std::string refusal;  // empty: let in
    };
    core::Result<AdmittedNode> admit(core::NodeId node, uint64_t generation) const;

    std::string cluster_id_;
    uint64_t epoch_ = 0;
    core::NodeId last_node_id_;
    std::map<core::NodeId, Entry> nodes_;
};

/// Where the embedded realm's KDC of a server answers: at the host of its cluster address HOST:PORT, on the
/// port that all servers have in common.
std::string kdc_of_server(std::string_view cluster_address, uint16_t kdc_port);

/// True for the refusal of node `self` that was removed for good: node ids are never given twice, so no later
/// word can take it back. A suspended node, or one that the server has not heard of yet, is refused
/// otherwise. To be asked only of what a server has sent whose certificate showed it to be one the caller
/// knew already: servers hold the cluster's CA key and are believed; an agent or a stranger is not.
bool is_removal(const core::Error& refusal, core::NodeId self);
/// True for the refusal of a node whose joining that server has not heard of yet: another server knows it,
/// and this one soon will.
bool is_not_known_yet(const core::Error& refusal);

/// The URI by which a certificate names the generation of its machine: smack://CLUSTER/generation/N.
std::string generation_uri(std::string_view cluster_id, uint64_t generation);
/// 0 for a certificate without one (made by a bootstrap); kDenied for one that is malformed.
core::Result<uint64_t> generation_of_certificate(const net::crypto::Certificate& certificate,
                                                 std::string_view cluster_id);

}  // namespace smackd::auth
