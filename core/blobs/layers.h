// Layers: which nodes have which blobs of images, and which node fetches one from its registry while others
// wait for it. Kept by each server in memory, for all that ask it; what is lost with it is only that
// something is fetched twice. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/images/digest.h"

namespace smackd::core::blobs {

/// A node that fetches says so again within this, or another one may.
inline constexpr Duration kLayerClaim = std::chrono::seconds(15);
/// A node that has not told what it has for so long is taken for gone.
inline constexpr Duration kLayersTold = std::chrono::minutes(3);
inline constexpr size_t kLayersPerNodeMax = 20'000;

/// Servers in the order in which they are asked about a blob: the same for all nodes that know the same
/// servers.
std::vector<NodeId> servers_of_layer(const images::Digest& digest, std::vector<NodeId> servers);

class Layers {
 public:
    using Digest = images::Digest;
    /// All that a node has now. Beyond kLayersPerNodeMax the rest is left out.
    void told(NodeId node, const std::set<Digest>& all, Instant now);
    /// One more.
    void add(NodeId node, const Digest& digest, Instant now);
    void forget(NodeId node);
    /// The node was asked and has it not.
    void missing(NodeId node, const Digest& digest);

    enum class Verdict : uint8_t {
        kThere,  ///< another node has it
        kWait,   ///< another node fetches it
        kFetch,  ///< the asking node is to fetch it from the registry, and to ask again while it does
    };
    Verdict claim(const Digest& digest, NodeId node, Instant now);
    /// The claim ends without the blob: the next one that asks is to fetch.
    void give_up(const Digest& digest, NodeId node);
    /// A node that has it and is not the asking one: each time another.
    std::optional<NodeId> holder(const Digest& digest, NodeId asking, Instant now);

 private:
    struct Claim {
        NodeId node;
        Instant until;
    };
    bool is_known(NodeId node, Instant now) const;

    std::map<Digest, std::set<NodeId>> holders_;
    std::map<NodeId, Instant> told_;
    std::map<Digest, Claim> claims_;
    size_t turn_ = 0;
};

}  // namespace smackd::core::blobs
