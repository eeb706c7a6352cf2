#include "core/blobs/layers.h"

#include <algorithm>
#include <format>

#include "core/bytes.h"

namespace smackd::core::blobs {

std::vector<NodeId> servers_of_layer(const images::Digest& digest, std::vector<NodeId> servers) {
    // Rendezvous hashing: a server more or less changes the first of few blobs.
    std::ranges::sort(servers, {}, [&](NodeId server) {
        return std::pair(crc32c(std::format("{} {}", server.value, digest.hex())), server.value);
    });
    return servers;
}

bool Layers::is_known(NodeId node, Instant now) const {
    const auto told = told_.find(node);
    return told != told_.end() && now - told->second < kLayersTold;
}

void Layers::forget(NodeId node) {
    told_.erase(node);
    for (auto& [digest, nodes] : holders_) nodes.erase(node);
    std::erase_if(holders_, [](const auto& one) { return one.second.empty(); });
    std::erase_if(claims_, [&](const auto& one) { return one.second.node == node; });
}

void Layers::told(NodeId node, const std::set<Digest>& all, Instant now) {
    for (auto& [digest, nodes] : holders_) {
        if (!all.contains(digest)) nodes.erase(node);
    }
    std::erase_if(holders_, [](const auto& one) { return one.second.empty(); });
    size_t count = 0;
    for (const Digest& digest : all) {
        if (++count > kLayersPerNodeMax) break;
        add(node, digest, now);
    }
    told_[node] = now;
    std::vector<NodeId> silent;
    for (const auto& [other, at] : told_) {
        if (!is_known(other, now)) silent.push_back(other);
    }
    for (const NodeId other : silent) forget(other);
}

void Layers::add(NodeId node, const Digest& digest, Instant now) {
    holders_[digest].insert(node);
    told_.try_emplace(node, now);
    const auto claim = claims_.find(digest);
    if (claim != claims_.end() && claim->second.node == node) claims_.erase(claim);
}

void Layers::missing(NodeId node, const Digest& digest) {
    const auto found = holders_.find(digest);
    if (found == holders_.end()) return;
    found->second.erase(node);
    if (found->second.empty()) holders_.erase(found);
}

std::optional<NodeId> Layers::holder(const Digest& digest, NodeId asking, Instant now) {
    const auto found = holders_.find(digest);
    if (found == holders_.end()) return std::nullopt;
    std::vector<NodeId> nodes;
    std::ranges::copy_if(found->second, std::back_inserter(nodes),
                         [&](NodeId node) { return node != asking && is_known(node, now); });
    if (nodes.empty()) return std::nullopt;
    return nodes[turn_++ % nodes.size()];
}

Layers::Verdict Layers::claim(const Digest& digest, NodeId node, Instant now) {
    if (holder(digest, node, now)) return Verdict::kThere;
    const auto found = claims_.find(digest);
    const bool taken = found != claims_.end() && found->second.node != node && found->second.until > now;
    if (taken) return Verdict::kWait;
    std::erase_if(claims_, [&](const auto& one) { return one.second.until <= now; });
    claims_.insert_or_assign(digest, Claim{node, now + kLayerClaim});
    return Verdict::kFetch;
}

void Layers::give_up(const Digest& digest, NodeId node) {
    const auto found = claims_.find(digest);
    if (found != claims_.end() && found->second.node == node) claims_.erase(found);
}

}  // namespace smackd::core::blobs
