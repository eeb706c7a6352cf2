// The liveness thread of a node: gossip, and nothing else, so that its answers never wait for other work.
//
// What it believes is a hint for people, for routing and for placement; the registry and the state change by
// commands only.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cmd/smackd/node/loop_thread.h"
#include "core/wire/gossip.pb.h"
#include "net/gossip/endpoint.h"
#include "net/system_clock.h"
#include "net/system_random.h"
#include "net/worker_pool.h"
#include "services/api/liveness_door.h"

namespace smackd::cmd {

/// The sealed value of the state that holds a wire.GossipKeys.
inline constexpr std::string_view kGossipKeysSecret = "gossip/keys";
/// How long a good-bye may take when the node stops.
inline constexpr core::Duration kFarewellLimit = core::milliseconds(400);
/// How often the known members are handed out to be kept, for a start without any seed.
inline constexpr core::Duration kKnownMembersEvery = core::seconds(60);

/// How long after a failed start, or a failed change of the keys, it is tried again.
inline constexpr core::Duration kGossipRetry = core::seconds(2);

/// A copy of what one member is believed to be, for other threads.
struct LivenessRow {
    core::NodeId id;
    std::string name;
    core::gossip::MemberState state = core::gossip::MemberState::kAlive;
    core::Duration since{0};  ///< ago
};

struct LivenessOptions {
    core::gossip::Identity self;
    std::string bind;  ///< HOST:PORT of the UDP socket
    std::string cluster_id;
    uint64_t epoch = 0;
    wire::GossipKeys keys;
    core::Bytes known_members{};  ///< of an earlier life; empty: none
};

/// A Liveness::Hooks::known_members that writes them to a file, on a worker.
core::Callback<void(core::Bytes)> keep_known_members(net::WorkerPool& workers, std::string path,
                                                     core::Logger logger);

class Liveness {
 public:
    /// Called on the liveness thread; they post elsewhere and return at once.
    struct Hooks {
        core::Callback<void(const core::gossip::StreamWanted&)> stream_wanted;
        core::Callback<void(core::NodeId to, const core::Bytes& packet)> stream_packet;
        core::Callback<void(const std::string& from, const core::Error& why)> refused;
        /// To be kept for the next life, when they have changed; now and then, and at the end.
        core::Callback<void(core::Bytes)> known_members;
    };
    /// kInvalid (identity, keys), or why the UDP address cannot be bound. Starts the thread.
    static core::Result<std::shared_ptr<Liveness>> start(LivenessOptions options, Hooks hooks,
                                                         core::Logger logger);
    /// stop() when that was not called.
    ~Liveness();
    Liveness(const Liveness&) = delete;
    Liveness& operator=(const Liveness&) = delete;
    /// Says good-bye to the others, then ends the thread. Idempotent; inputs are dropped from here on.
    void stop();

    // Inputs, from any thread.
    void set_keys(wire::GossipKeys keys, uint64_t epoch);
    /// Who is in the registry, with the generation of each.
    void set_allowed(std::unordered_map<core::NodeId, uint64_t> generations);
    /// Addresses of members to ask; again while nobody else is here.
    void join(std::vector<std::string> seeds);
    /// This node has no address that others reach: its stream is now dialled to `server`.
    void set_holder(core::NodeId server);
    /// A heartbeat came over the stream of `node` (alive), or the stream ended.
    void heard(core::NodeId node, bool alive);
    void stream_packet(core::NodeId from, core::Bytes packet);
    /// Push-pull, asked by `peer`; `done` on the liveness thread.
    void answer_sync(core::NodeId peer, core::Bytes request,
                     core::Callback<void(core::Result<core::Bytes>)> done);
    /// The first message to a peer; `done` on the liveness thread.
    void sync_request(core::Callback<void(core::Bytes)> done);
    /// What came back; `done` gets a second message when one is wanted. On the liveness thread.
    void sync_reply(core::NodeId peer, core::Bytes reply,
                    core::Callback<void(core::Result<std::optional<core::Bytes>>)> done);

    // Outputs, for any thread.
    std::vector<LivenessRow> members() const;
    uint64_t keys_version() const;

 private:
    Liveness(Hooks hooks, core::Logger logger);
    core::Result<void> begin(LivenessOptions options);
    void event(const core::gossip::MemberEvent& event);
    template <class Input>
    void input(Input input);
    void publish();
    void hand_out_known_members();

    Hooks hooks_;
    core::Logger logger_;
    net::SystemClock clock_;
    net::SystemRandom random_;
    LoopThread thread_;
    std::unique_ptr<net::gossip::Endpoint> endpoint_;
    core::TimerId hand_out_timer_ = 0;
    core::Bytes handed_out_;
    bool stopped_ = false;
    struct Row {
        LivenessRow row;
        core::Instant since;
    };
    mutable std::mutex mutex_;  // guards the two below
    std::vector<Row> rows_;
    uint64_t keys_version_ = 0;
};

/// The same for services; empty for no gossip.
std::vector<services::LiveMember> live_members(const std::shared_ptr<Liveness>& liveness);

}  // namespace smackd::cmd
