// Who may speak at a server's cluster address. Pure: told of the registry and of the Raft configuration, it
// says whom to let in and whose connections end.
//
// A registry's refusal counts at once, but for one case: voters whom the others cannot do without. Cut off
// together, half of the voters or more would leave a rest that can never agree on a configuration without
// them. So they are heard until the leader has taken them out, one by one. A voter that shows an outdated
// certificate counts among them: it has joined again, the answer was lost, and only a leader can repeat it.
//
// A server that was away may refuse whoever leads now: its state is of before. It asks others whom it lets in
// (those of its configuration, when its state has no registry yet) for the registry as they have it, and goes
// by that until its own is newer. For when it knows nobody any more, it lets in whom it cannot know yet: a
// server's certificate of this cluster with an id above all that it has heard of, or with a generation above
// the one that it knows. Such newcomers it asks as well, at the address that they name. Whom it refuses it
// never asks: a suspended machine may be hostile.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/cluster/membership.h"
#include "core/cluster/registry.h"
#include "core/units.h"

namespace smackd::core::cluster {

/// A server without news of a leader for so long asks others for the registry.
inline constexpr Duration kAskForRegistry = seconds(2);

/// Where this server's replica stands.
struct RaftStanding {
    std::vector<RaftServer> servers;  ///< the configuration; empty: nothing has arrived yet
    uint64_t recoveries = 0;          ///< new beginnings by recover on this disk

    bool operator==(const RaftStanding&) const = default;
};

/// What follows for connections.
struct AccessChange {
    struct Cut {
        NodeId node;
        Error why;
    };
    std::vector<Cut> cut;            ///< these end at once, and their addresses are forgotten
    std::vector<AdmittedNode> dial;  ///< servers whose address is to be told anew
};

class Access {
 public:
    explicit Access(NodeId self) : self_(self) {}

    /// Who calls, or kDenied with the reason. Before there is a registry, the first servers of a cluster talk
    /// by the configuration alone.
    Result<AdmittedNode> check(const CertifiedNode& node);
    /// A caller that was let in says where it is dialled, HOST:PORT.
    void note_address(NodeId node, std::string address);
    /// The configuration may have changed.
    AccessChange follow(RaftStanding raft);
    /// The state's registry has changed.
    AccessChange follow(std::shared_ptr<const Registry> own);
    /// Another server that is let in has this one. Heeded when it is newer, or lets in somebody more.
    AccessChange hear(std::shared_ptr<const Registry> told);
    bool heeds(const Registry& told) const;
    /// For a server that asks: what is gone by, with the voters that are needed until they can be taken out.
    /// A server to which no configuration has come would refuse them. None before there is a registry.
    std::optional<Registry> tell() const;
    /// What is gone by; nullptr: none is known yet.
    const std::shared_ptr<const Registry>& registry() const { return registry_; }
    /// By id alone: its connections go on.
    bool lets_in(NodeId node) const;
    /// Whom to ask for a registry, one after the other by rising `turn`; none: nobody is known.
    std::optional<AdmittedNode> ask(size_t turn) const;

 private:
    struct Newcomer {
        CertifiedNode node;
        std::string address;  // empty: not told yet
    };
    AccessChange change(std::shared_ptr<const Registry> registry, RaftStanding raft);
    bool is_voter(NodeId node) const;
    bool needs_refused_voters() const;
    void note_outdated(const CertifiedNode& node);
    /// Whom to ask. One to which nothing has come yet asks those as well whom it refuses: it may have joined
    /// when who leads now was suspended, and all others of then may be gone. It has nothing to lose.
    std::vector<AdmittedNode> known_servers() const;
    bool in_configuration(NodeId node) const;
    Result<AdmittedNode> judge(const CertifiedNode& node);
    std::set<NodeId> connected() const;

    NodeId self_;
    std::shared_ptr<const Registry> registry_;  // the own or a newer one told; shared with its readers
    RaftStanding raft_;
    bool needs_refused_ = false;            // voters whom the registry refuses are heard still
    std::set<NodeId> outdated_;             // voters let in, had they the certificate of their row
    std::set<NodeId> heard_;                // may have connections to here
    std::map<NodeId, Newcomer> newcomers_;  // let in by what this server has not heard of yet
};

}  // namespace smackd::core::cluster
