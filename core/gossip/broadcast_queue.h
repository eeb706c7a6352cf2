// Messages on their way to everybody: the least often sent go first, and newer news of a node replaces the
// older.
#pragma once

#include <set>
#include <unordered_map>

#include "core/bytes.h"
#include "core/ids.h"

namespace smackd::core::gossip {

class BroadcastQueue {
 public:
    /// `limit` is the number of messages kept.
    explicit BroadcastQueue(size_t limit) : limit_(limit) {}

    /// Queues an encoded message about `node`, in place of what was queued about it. When full, what has been
    /// sent most often is dropped.
    void add(NodeId node, Bytes message);
    void remove(NodeId node);
    /// Appends to `out` what fits into `room` bytes and `count` messages, fewest transmits first, then
    /// longest, then newest. A message sent `transmits_max` times is done. Returns the number appended.
    size_t take(Bytes& out, size_t room, size_t count, uint32_t transmits_max);
    void clear();

    bool empty() const { return entries_.empty(); }
    size_t size() const { return entries_.size(); }
    uint64_t dropped() const { return dropped_; }

 private:
    struct Entry {
        uint32_t transmits = 0;
        uint64_t number = 0;  ///< rises; the higher the newer
        NodeId node;
        Bytes message;
        bool operator<(const Entry& other) const {
            if (transmits != other.transmits) return transmits < other.transmits;
            if (message.size() != other.message.size()) return message.size() > other.message.size();
            return number > other.number;
        }
    };
    using Entries = std::set<Entry>;

    size_t limit_;
    uint64_t added_ = 0;
    uint64_t dropped_ = 0;
    Entries entries_;
    std::unordered_map<NodeId, Entries::iterator> by_node_;
};

}  // namespace smackd::core::gossip
