#include "tests/sim/gossip/cluster.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/assert.h"

namespace smackd::sim::gossip {
namespace {

constexpr uint64_t kUdpBytes = 28;   // IPv4 and UDP headers
constexpr uint64_t kSealBytes = 61;  // what net/gossip adds: see net/gossip/sealing.h
constexpr size_t kInboxMax = 277;    // small datagrams in Linux' default receive buffer of 212992 bytes
constexpr Duration kTcpResend = std::chrono::milliseconds(200);
constexpr uint64_t kIncarnationsOfALife = 1'000'000;

uint64_t address_of(std::string_view text) {
    uint64_t number = 0;
    if (text.starts_with('h')) std::from_chars(text.data() + 1, text.data() + text.size(), number);
    return number;
}

}  // namespace

void Cluster::start(uint64_t id, uint64_t address) {
    if (nodes_.size() <= id) nodes_.resize(id + 1);
    if (at_address_.size() <= address) at_address_.resize(address + 1);
    Node& node = nodes_[id];
    SMACK_ASSERT(node.membership == nullptr && at_address_[address] == 0);
    at_address_[address] = id;
    node.address = address;
    ++node.lives;
    node.paused_until = {};
    node.inbox.clear();
    node.random = std::make_unique<core::SeededRandom>(random_.next());
    node.membership = std::make_unique<Membership>(
        core::gossip::Identity{.id = NodeId{id},
                               .generation = 1,
                               .name = "node" + std::to_string(id),
                               .addresses = {address_text(address)},
                               .metadata = "roles=agent;zone=z" + std::to_string(id % 3),
                               .incarnation = node.lives * kIncarnationsOfALife},
        parameters, *node.random, now_);
    node.wake = Instant{Duration::max()};
    drain(id);
}

void Cluster::kill(uint64_t id) {
    at_address_[nodes_[id].address] = 0;
    nodes_[id].membership.reset();
    nodes_[id].inbox.clear();
}

void Cluster::pause(uint64_t id, Duration duration) {
    Node& node = nodes_[id];
    node.paused_until = std::max(node.paused_until, now_ + duration);
    push(node.paused_until, Kind::kResume, id, node.lives);
}

void Cluster::heal() {
    cuts_.clear();
    for (Node& node : nodes_) node.group = 0;
}

void Cluster::replay() {
    for (const auto& [address, packet] : recorded_) deliver(address, packet);
    recorded_.clear();
}

std::vector<uint64_t> Cluster::running() const {
    std::vector<uint64_t> ids;
    for (uint64_t id = 0; id < nodes_.size(); ++id) {
        if (nodes_[id].membership != nullptr) ids.push_back(id);
    }
    return ids;
}

bool Cluster::converged() {
    const std::vector<uint64_t> ids = running();
    for (const uint64_t id : ids) {
        if (node(id).live() != ids.size()) return false;
        for (const auto& record : node(id).members().records()) {
            if (record.member.live() && !up(record.member.id.value)) return false;
        }
    }
    return true;
}

// ---- the queue

void Cluster::push(Instant at, Kind kind, uint64_t node, uint64_t payload) {
    queue_.push({at, ++order_, kind, node, payload});
}

void Cluster::at(Instant when, std::function<void()> action) {
    uint64_t place = actions_.size();
    if (free_actions_.empty()) {
        actions_.push_back(std::move(action));
    } else {
        place = free_actions_.back();
        free_actions_.pop_back();
        actions_[place] = std::move(action);
    }
    push(when, Kind::kAction, 0, place);
}

void Cluster::run_for(Duration duration) {
    const Instant end = now_ + duration;
    while (!queue_.empty() && queue_.top().at <= end) step();
    now_ = end;
}

bool Cluster::run_until(const std::function<bool()>& done, Duration limit) {
    const Instant end = now_ + limit;
    while (!done()) {
        if (now_ >= end) return false;
        run_for(std::chrono::milliseconds(50));
    }
    return true;
}

void Cluster::step() {
    const Event event = queue_.top();
    queue_.pop();
    now_ = event.at;
    ++events_;
    switch (event.kind) {
        case Kind::kTimer: {
            Node& node = nodes_[event.node];
            if (node.membership == nullptr || node.lives != event.payload || node.wake != event.at) return;
            node.wake = Instant{Duration::max()};
            if (node.paused_until > now_) return;  // resume() looks again
            if (node.membership->deadline() <= now_) node.membership->on_timer(now_);
            return drain(event.node);
        }
        case Kind::kPacket: {
            Inbound packet = std::move(packets_[event.payload]);
            free_packets_.push_back(event.payload);
            return deliver(event.node, std::move(packet));
        }
        case Kind::kResume:
            return resume(event.node, event.payload);
        case Kind::kAction: {
            const std::function<void()> action = std::move(actions_[event.payload]);
            actions_[event.payload] = nullptr;
            free_actions_.push_back(event.payload);
            return action();
        }
    }
}

void Cluster::arrange_timer(uint64_t id) {
    Node& node = nodes_[id];
    const Instant deadline = std::max(node.membership->deadline(), now_);
    if (deadline >= node.wake) return;
    node.wake = deadline;
    push(deadline, Kind::kTimer, id, node.lives);
}

void Cluster::deliver(uint64_t to_address, Inbound packet) {
    const uint64_t id = to_address < at_address_.size() ? at_address_[to_address] : 0;
    if (id == 0) return;
    Node& node = nodes_[id];
    if (node.paused_until > now_) {
        if (node.inbox.size() < kInboxMax) node.inbox.push_back(std::move(packet));
        return;
    }
    // Refusals are the protocol's business; here they only must not harm.
    (void)node.membership->on_packet(address_text(packet.from_address), packet.bytes, now_);
    drain(id);
}

/// As libuv does: what is due runs first, the socket is read afterwards.
void Cluster::resume(uint64_t id, uint64_t life) {
    Node& node = nodes_[id];
    if (node.membership == nullptr || node.lives != life || node.paused_until > now_) return;
    if (node.membership->deadline() <= now_) node.membership->on_timer(now_);
    drain(id);
    std::deque<Inbound> inbox;
    std::swap(inbox, node.inbox);
    for (Inbound& packet : inbox) deliver(node.address, std::move(packet));
}

// ---- the network

Duration Cluster::latency() {
    const auto min = static_cast<uint64_t>(network.latency_min.count());
    const auto max = static_cast<uint64_t>(network.latency_max.count());
    return Duration(static_cast<int64_t>(random_.between(min, max)));
}

/// One way of a stream: loss is time there.
Duration Cluster::stream_latency() {
    Duration total = latency();
    for (Duration resend = kTcpResend; lost(); resend *= 2) total += resend;
    return total;
}

bool Cluster::lost() {
    return network.loss > 0 && static_cast<double>(random_.next() >> 11) * 0x1p-53 < network.loss;
}

bool Cluster::reachable(uint64_t a, uint64_t b) const {
    return nodes_[a].group == nodes_[b].group &&
           (cuts_.empty() || !cuts_.contains({std::min(a, b), std::max(a, b)}));
}

void Cluster::inject(uint64_t from, uint64_t to, core::Bytes bytes) {
    send(from, {NodeId{to}, address_text(nodes_[to].address), std::move(bytes)});
}

void Cluster::send(uint64_t from, const core::gossip::OutgoingPacket& packet) {
    if (nodes_[from].pause_when_sending > Duration{0}) {
        pause(from, std::exchange(nodes_[from].pause_when_sending, Duration{0}));
    }
    ++traffic_.packets;
    traffic_.packet_bytes += packet.bytes.size() + kUdpBytes + kSealBytes;
    SMACK_ASSERT(packet.bytes.size() <= core::gossip::kPayloadBytesMax);
    const uint64_t address = address_of(packet.address);
    const uint64_t to = address < at_address_.size() ? at_address_[address] : 0;
    if (to == 0 || !reachable(from, to) || lost()) return;
    Inbound inbound{nodes_[from].address, packet.bytes};
    if (recorded_.size() < record_packets_max) recorded_.emplace_back(address, inbound);
    uint64_t place = packets_.size();
    if (free_packets_.empty()) {
        packets_.push_back(std::move(inbound));
    } else {
        place = free_packets_.back();
        free_packets_.pop_back();
        packets_[place] = std::move(inbound);
    }
    push(now_ + latency(), Kind::kPacket, address, place);
}

void Cluster::open_stream(uint64_t from, const core::gossip::StreamWanted& wanted) {
    const uint64_t address = address_of(wanted.address);
    const uint64_t to = address < at_address_.size() ? at_address_[address] : 0;
    const uint64_t life = nodes_[from].lives;
    if (to == 0 || to == from || !reachable(from, to)) return;
    if (wanted.node.value != 0 && wanted.node.value != to) return;  // its certificate names another
    const Instant there = std::max(now_ + stream_latency() + stream_latency(), nodes_[to].paused_until);
    if (wanted.use == core::gossip::StreamUse::kPing) {
        if (!network.stream_ping) return;
        at(there + stream_latency(), [this, from, to, life] {
            if (!up(from) || nodes_[from].lives != life || !up(to) || !reachable(from, to) || paused(from))
                return;
            node(from).on_direct_evidence(NodeId{to}, true, now_);
            drain(from);
        });
        return;
    }
    sync(from, life, to, node(from).sync_request());
}

/// One call of the exchange: request there, answer back.
void Cluster::sync(uint64_t from, uint64_t from_life, uint64_t to, core::Bytes request) {
    ++traffic_.syncs;
    traffic_.sync_bytes += request.size();
    const Instant there = std::max(now_ + stream_latency(), nodes_[to].paused_until);
    at(there, [this, from, from_life, to, request = std::move(request)] {
        if (!up(to) || !reachable(from, to) || paused(to)) return;
        const auto answer = node(to).on_sync_request(NodeId{from}, request, now_);
        drain(to);
        if (!answer) return;
        traffic_.sync_bytes += answer->size();
        const Instant back = std::max(now_ + stream_latency(), nodes_[from].paused_until);
        at(back, [this, from, from_life, to, body = *answer] {
            if (!up(from) || nodes_[from].lives != from_life || paused(from)) return;
            const auto more = node(from).on_sync_reply(NodeId{to}, body, now_);
            drain(from);
            if (more && *more && up(to)) sync(from, from_life, to, **more);
        });
    });
}

void Cluster::drain(uint64_t id) {
    // Deliveries are never immediate, so this is not entered again from within.
    core::gossip::Effects& effects = effects_;
    node(id).take(effects);
    for (const auto& packet : effects.packets) send(id, packet);
    for (const auto& wanted : effects.streams) open_stream(id, wanted);
    if (on_event) {
        for (const MemberEvent& event : effects.events) on_event(id, event);
    }
    arrange_timer(id);
}

}  // namespace smackd::sim::gossip
