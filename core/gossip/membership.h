// Who is in the cluster and who answers: SWIM (Das, Gupta, Motivala 2002) with Lifeguard (arXiv 1707.00788)
// as a pure step: inputs come with the time, what is to be done is taken out as Effects, and deadline() says
// when to come back.
//
// A verdict here is a hint: placement and registry change by commands in storage only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/clock.h"
#include "core/gossip/awareness.h"
#include "core/gossip/broadcast_queue.h"
#include "core/gossip/members.h"
#include "core/gossip/packet.h"
#include "core/gossip/parameters.h"
#include "core/random.h"

namespace smackd::core::gossip {

/// What a node says of itself.
struct Identity {
    NodeId id;                ///< not 0
    uint64_t generation = 0;  ///< of its entry in the registry
    std::string name;         ///< at most kNameBytesMax
    std::vector<std::string>
        addresses;             ///< "HOST:PORT" of its UDP socket; none: it lives by a stream to a holder
    Bytes metadata;            ///< at most kMetadataBytesMax
    uint64_t incarnation = 1;  ///< higher than in its last life; seconds since 1970 will do
};

struct OutgoingPacket {
    NodeId to;            ///< 0 when not known by id
    std::string address;  ///< empty: over the stream that `to` has with this node, or not at all
    Bytes bytes;          ///< at most kPayloadBytesMax, to be sealed
};

enum class StreamUse : uint8_t {
    kSync,  ///< sync_request() to the peer, its answer to on_sync_reply()
    kPing,  ///< any answer at all is on_direct_evidence(node, true)
};

struct StreamWanted {
    StreamUse use = StreamUse::kSync;
    NodeId node;          ///< 0: a seed, known by address only
    std::string address;  ///< "HOST:PORT", HOST may be a name; empty: over the stream that is there
};

/// What the caller is to do, in this order.
struct Effects {
    std::vector<OutgoingPacket> packets;
    std::vector<StreamWanted> streams;
    std::vector<MemberEvent> events;
};

/// Since the start.
struct Counts {
    uint64_t packets_refused = 0;   ///< malformed, or from who is not (or no longer) in the registry
    uint64_t messages_refused = 0;  ///< about who is not in the registry, or over a limit
    uint64_t wrong_target = 0;      ///< pings meant for another node
    uint64_t probes = 0, probes_failed = 0;
    uint64_t suspicions = 0, refutations = 0;
    uint64_t pauses = 0;           ///< times in which this node itself stood still
    uint64_t effects_dropped = 0;  ///< the caller did not take them
};

class Membership {
 public:
    /// `self` has passed check(). `random` outlives it.
    Membership(Identity self, Parameters parameters, Random& random, Instant now);
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;

    /// kInvalid names the field and its limit.
    static Result<void> check(const Identity& self);

    // ---- inputs; `now` never runs backwards

    /// A datagram, opened, from `from` ("HOST:PORT"; empty: from a stream). kInvalid (malformed) and kDenied
    /// (sender not in the registry, of an older generation, or with our id) are for the refusal log; nothing
    /// of it has happened.
    Result<void> on_packet(std::string_view from, BytesView bytes, Instant now);
    /// deadline() has come. Earlier does no harm; much later is taken as a pause of this node, and nobody is
    /// judged by time in which we did not listen.
    void on_timer(Instant now);
    /// Asks `seeds` ("HOST:PORT", at most kSeedsMax count) for their state, and again while nobody else is
    /// here.
    void join(std::vector<std::string> seeds, Instant now);
    /// Says good-bye to all; left() tells when that has been sent often enough. Final.
    void leave(Instant now);
    /// kInvalid above kMetadataBytesMax.
    Result<void> update_metadata(Bytes metadata, Instant now);
    /// For a node without addresses: its stream is now dialled to `holder`.
    void set_holder(NodeId holder, Instant now);
    /// A stream heartbeat of `node` came (alive), or its stream was reset or fell silent (not alive): the
    /// first counts as an answer to a probe, the second only brings a probe forward.
    void on_direct_evidence(NodeId node, bool alive, Instant now);
    /// The registry: each node with its generation. Packets and news of others are refused from here on, and
    /// members that are not in it, or of an older generation, are removed. Before the first call everybody is
    /// welcome.
    void set_allowed(std::unordered_map<NodeId, uint64_t> generations, Instant now);
    /// Members of an earlier life (of snapshot()); they are tried as if they had been unreachable. kCorrupt.
    Result<void> restore(BytesView snapshot, Instant now);

    // ---- push-pull over a stream whose other end is proved to be `peer`

    /// The first message to a peer.
    Bytes sync_request() const;
    /// Answers a peer's message. kInvalid, kDenied as on_packet.
    Result<Bytes> on_sync_request(NodeId peer, BytesView body, Instant now);
    /// Takes the answer in; what it returns is to be sent as a second request.
    Result<std::optional<Bytes>> on_sync_reply(NodeId peer, BytesView body, Instant now);

    // ---- outputs

    /// Moves out what is to be done; to be called after each input. Buffers of `into` are reused.
    void take(Effects& into);
    Instant deadline() const { return deadline_; }

    const Member& self() const { return self_; }
    /// Null when not known. Valid until the next input.
    const Member* find(NodeId id) const;
    /// All known but this node itself, dead and departed included.
    const Members& members() const { return members_; }
    /// Alive and suspect, this node included.
    size_t live() const { return alive_ + suspects_.size() + 1; }
    bool left() const { return leaving_ && (broadcasts_.empty() || live() == 1); }
    uint32_t health_score() const { return awareness_.score(); }
    size_t broadcasts() const { return broadcasts_.size(); }
    const Counts& counts() const { return counts_; }
    /// Equal on nodes that believe the same of who lives; part of push-pull.
    uint64_t digest() const;
    /// For the caller's disk: every member worth trying after a restart.
    Bytes snapshot() const;

 private:
    struct Probe {
        NodeId target;
        uint32_t sequence = 0;
        uint32_t rounds = 0;
        uint32_t nacks_expected = 0;
        uint32_t nacks = 0;
        Instant next_round;
        Instant deadline;
    };
    struct Relay {
        uint32_t sequence = 0;        ///< of our ping
        uint32_t asker_sequence = 0;  ///< of the request
        NodeId asker;
        std::string asker_address;
        NodeId target;
        Instant nack_at;
        bool nacked = false;
    };
    struct Accusation {
        NodeId node;
        uint64_t generation = 0;
        uint64_t incarnation = 0;
        NodeId from;
    };

    // membership.cc
    void begin(Instant now);
    void finish();
    void notice_pause(Instant now);
    bool admitted(NodeId id, uint64_t generation) const;
    Result<void> check_sender(NodeId sender, uint64_t generation) const;
    void watch_streams();
    void forget_old();
    void reconnect();
    void remove(NodeId id);
    void want_stream(StreamUse use, const Member& member);
    void want_sync_with_anyone();
    void emit(MemberEventKind kind, const Member& member);
    void announce_self();

    // membership_send.cc
    std::optional<std::string_view> route(const Member& member, uint32_t attempt = 0) const;
    void send(const MemberRecord& to, BytesView first, uint32_t attempt = 0);
    void send_to(NodeId to, std::string_view address, BytesView first);
    void put_packet(NodeId to, std::string_view address, BytesView first, const MemberRecord* known);
    void gossip();
    void broadcast(NodeId about, Bytes message);
    void owe(NodeId about);
    Bytes news_of(NodeId about) const;

    // membership_probe.cc
    void probe_next();
    void start_probe(MemberRecord& record);
    void run_round(Probe& probe);
    void run_probes();
    void judge(const Probe& probe);
    void run_relays();
    bool probing(NodeId node) const;
    void on_ping(NodeId sender, std::string_view from, const wire::GossipPing& ping);
    void on_ping_request(NodeId sender, std::string_view from, const wire::GossipPingRequest& request);
    void on_ack(NodeId sender, const wire::GossipAck& ack);
    void on_nack(uint32_t sequence);

    // membership_rules.cc
    void on_alive(const wire::GossipAlive& alive, NodeId sender);
    void on_alive_of_self(const wire::GossipAlive& alive);
    void on_alive_of_new(const wire::GossipAlive& alive);
    void accept_alive(MemberRecord& record, const wire::GossipAlive& alive, NodeId sender);
    void on_suspect(const Accusation& accusation);
    void on_dead(const Accusation& accusation);
    void on_left(const wire::GossipLeft& left);
    bool accused_self(const Accusation& accusation);
    MemberRecord* accused(const Accusation& accusation);
    bool heard_lately(const MemberRecord& record) const;
    void begin_suspicion(MemberRecord& record, const Accusation& accusation);
    void become_dead(MemberRecord& record, uint64_t incarnation, NodeId from);
    void run_suspicions();
    void last_check(const MemberRecord& record);
    void refute(uint64_t incarnation);
    void set_state(MemberRecord& record, MemberState state);
    bool make_room();

    // membership_sync.cc
    template <class Message>
    void fill_state(Message& message) const;
    template <class Message>
    Result<void> merge(NodeId peer, const Message& message);
    void merge_member(const wire::GossipMemberState& remote, NodeId peer);

    Member self_;
    Parameters parameters_;
    Random& random_;
    Members members_;
    BroadcastQueue broadcasts_{kBroadcastsMax};
    Awareness awareness_;
    std::optional<std::unordered_map<NodeId, uint64_t>> allowed_;
    std::vector<std::string> seeds_;
    bool leaving_ = false;
    NodeId sender_;             ///< of the packet that is being read, else 0
    std::vector<NodeId> owed_;  ///< of whom it told old news: the answer carries the current ones

    std::vector<Probe> probes_;
    std::vector<Relay> relays_;
    std::vector<NodeId> suspects_;
    size_t alive_ = 0;  ///< members in kAlive
    size_t dead_ = 0;   ///< members in kDead
    size_t held_ = 0;   ///< members without addresses
    uint32_t sequence_ = 0;

    Instant now_;
    Instant deadline_;
    Instant next_probe_;
    Instant next_gossip_;
    Instant next_push_pull_;
    Instant next_reconnect_;
    Instant next_watch_;
    Instant next_forgetting_;
    Instant next_healing_sync_;

    Bytes head_;
    wire::GossipPacket packet_;  ///< scratch: parsing reuses its memory
    Effects effects_;
    Counts counts_;
};

}  // namespace smackd::core::gossip
