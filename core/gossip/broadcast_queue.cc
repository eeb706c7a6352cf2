#include "core/gossip/broadcast_queue.h"

#include <iterator>
#include <vector>

#include "core/planted.h"

namespace smackd::core::gossip {

void BroadcastQueue::add(NodeId node, Bytes message) {
    remove(node);
    by_node_[node] = entries_.insert({0, ++added_, node, std::move(message)}).first;
    if (entries_.size() <= limit_ || SMACK_BUG("gossip_queue_unbounded")) return;
    const auto last = std::prev(entries_.end());
    by_node_.erase(last->node);
    entries_.erase(last);
    ++dropped_;
}

void BroadcastQueue::remove(NodeId node) {
    const auto at = by_node_.find(node);
    if (at == by_node_.end()) return;
    entries_.erase(at->second);
    by_node_.erase(at);
}

size_t BroadcastQueue::take(Bytes& out, size_t room, size_t count, uint32_t transmits_max) {
    std::vector<Entries::node_type> sent;
    for (auto at = entries_.begin(); at != entries_.end() && sent.size() < count;) {
        if (at->message.size() > room) {
            ++at;
            continue;
        }
        room -= at->message.size();
        out += at->message;
        sent.push_back(entries_.extract(at++));
    }
    for (auto& node : sent) {
        Entry& entry = node.value();
        if (++entry.transmits >= transmits_max) {
            by_node_.erase(entry.node);
            continue;
        }
        const NodeId id = entry.node;
        by_node_[id] = entries_.insert(std::move(node)).position;
    }
    return sent.size();
}

void BroadcastQueue::clear() {
    entries_.clear();
    by_node_.clear();
}

}  // namespace smackd::core::gossip
