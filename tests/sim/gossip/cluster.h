// Hundreds of gossip::Memberships on one event queue: a network that loses, machines that stop, pause and
// come back.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "core/gossip/membership.h"

namespace smackd::sim::gossip {

using core::Duration;
using core::Instant;
using core::NodeId;
using core::gossip::MemberEvent;
using core::gossip::Membership;

struct NetworkOptions {
    double loss = 0;  ///< of each datagram
    Duration latency_min = std::chrono::microseconds(200);
    Duration latency_max = std::chrono::milliseconds(2);
    bool stream_ping = false;  ///< whether a probe may fall back to a stream
};

/// Payloads as the protocol counts them, and what they are on the wire.
struct Traffic {
    uint64_t packets = 0;
    uint64_t packet_bytes = 0;  ///< with sealing, UDP and IPv4 headers
    uint64_t sync_bytes = 0;
    uint64_t syncs = 0;
};

class Cluster {
 public:
    explicit Cluster(uint64_t seed) : random_(seed) {}

    NetworkOptions network;
    core::gossip::Parameters parameters;
    /// Every event of every node, as it happens.
    std::function<void(uint64_t observer, const MemberEvent&)> on_event;
    /// Packets are kept for replay() when > 0.
    size_t record_packets_max = 0;

    /// Starts node `id` (from 1 on) at `address` with a new incarnation. It has no members yet.
    void start(uint64_t id, uint64_t address);
    void start(uint64_t id) { start(id, id); }
    /// Without a word; its address is free afterwards.
    void kill(uint64_t id);
    /// Neither reads nor runs for `duration`; what arrives waits in a bounded buffer.
    void pause(uint64_t id, Duration duration);
    /// The same from the moment it next sends something.
    void pause_when_sending(uint64_t id, Duration duration) { nodes_[id].pause_when_sending = duration; }
    /// Nodes of different groups do not reach each other.
    void set_group(uint64_t id, int group) { nodes_[id].group = group; }
    void cut_pair(uint64_t a, uint64_t b) { cuts_.insert({std::min(a, b), std::max(a, b)}); }
    void heal();
    /// Sends what was recorded once more.
    void replay();

    void run_for(Duration duration);
    /// Runs until `done`, asked every 50 ms, or `limit`; false at the limit.
    bool run_until(const std::function<bool()>& done, Duration limit);
    /// Calls `action` at that time, as part of the run.
    void at(Instant when, std::function<void()> action);
    /// Delivers what an input to node `id` from outside has caused.
    void drain(uint64_t id);
    /// A packet as if node `from` had sent it.
    void inject(uint64_t from, uint64_t to, core::Bytes bytes);

    Instant now() const { return now_; }
    core::Random& random() { return random_; }
    bool up(uint64_t id) const { return id < nodes_.size() && nodes_[id].membership != nullptr; }
    bool paused(uint64_t id) const { return nodes_[id].paused_until > now_; }
    Membership& node(uint64_t id) { return *nodes_[id].membership; }
    std::vector<uint64_t> running() const;
    /// True when every running node lists exactly the running nodes as live.
    bool converged();
    const Traffic& traffic() const { return traffic_; }
    uint64_t events() const { return events_; }

    static std::string address_text(uint64_t address) { return "h" + std::to_string(address); }

 private:
    struct Inbound {
        uint64_t from_address;
        core::Bytes bytes;
    };
    struct Node {
        std::unique_ptr<core::SeededRandom> random;
        std::unique_ptr<Membership> membership;
        uint64_t address = 0;
        uint64_t lives = 0;
        int group = 0;
        Instant wake;  ///< earliest timer event on the queue
        Instant paused_until;
        Duration pause_when_sending{0};
        std::deque<Inbound> inbox;  ///< while paused
    };
    enum class Kind : uint8_t { kTimer, kPacket, kResume, kAction };
    struct Event {
        Instant at;
        uint64_t order;
        Kind kind;
        uint64_t node;     // or the address a packet goes to
        uint64_t payload;  // place in packets_ or actions_, or the life of the node
        bool operator>(const Event& other) const {
            return at != other.at ? at > other.at : order > other.order;
        }
    };

    void push(Instant at, Kind kind, uint64_t node, uint64_t payload);
    void step();
    void arrange_timer(uint64_t id);
    void deliver(uint64_t to_address, Inbound packet);
    void resume(uint64_t id, uint64_t life);
    bool reachable(uint64_t a, uint64_t b) const;
    void send(uint64_t from, const core::gossip::OutgoingPacket& packet);
    void open_stream(uint64_t from, const core::gossip::StreamWanted& wanted);
    void sync(uint64_t from, uint64_t from_life, uint64_t to, core::Bytes request);
    Duration latency();
    Duration stream_latency();
    bool lost();

    core::SeededRandom random_;
    Instant now_;
    uint64_t order_ = 0;
    uint64_t events_ = 0;
    std::vector<Node> nodes_;
    std::vector<uint64_t> at_address_;  ///< node there, 0 for none
    std::set<std::pair<uint64_t, uint64_t>> cuts_;
    std::priority_queue<Event, std::vector<Event>, std::greater<>> queue_;
    std::vector<Inbound> packets_;
    std::vector<uint64_t> free_packets_;
    std::vector<std::function<void()>> actions_;
    std::vector<uint64_t> free_actions_;
    std::vector<std::pair<uint64_t, Inbound>> recorded_;
    core::gossip::Effects effects_;
    Traffic traffic_;
};

}  // namespace smackd::sim::gossip
