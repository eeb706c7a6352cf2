// A member on the network: UDP socket, sealing and timer around core::gossip::Membership, on the liveness
// loop.
//
// The loop belongs to a thread that does nothing else: time spent elsewhere looks like a dead network to the
// detector.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/gossip/membership.h"
#include "core/logger.h"
#include "net/gossip/sealing.h"
#include "net/scope.h"
#include "net/socket.h"

namespace smackd::net::gossip {

/// Members may advertise names; an answer of the resolver is used for so long, and while the next is waited
/// for.
inline constexpr core::Duration kResolvedFor = std::chrono::seconds(30);
inline constexpr core::Duration kResolveLimit = std::chrono::seconds(5);
inline constexpr size_t kResolvedMax = 2 * core::gossip::kMembersMax;
/// Packets that wait for the first answer about a name: the news in them is not repeated for long.
inline constexpr size_t kLookUpPacketsMax = 16;

struct EndpointOptions {
    core::gossip::Identity self;
    bool advertise_bound = false;  ///< self.addresses becomes the bound address
    core::gossip::Parameters parameters;
    Address bind;
    SealingOptions sealing;         ///< its `self` is taken from above
    std::vector<core::Bytes> keys;  ///< see Sealing::set_keys
};

/// What the endpoint needs of its owner. Called on the loop; must not call back into the endpoint at once:
/// post.
struct EndpointHooks {
    core::Callback<void(const core::gossip::MemberEvent&)> on_event;
    core::Callback<void(const core::gossip::StreamWanted&)> on_stream_wanted;
    /// A packet for a member that has no address: over the stream it has dialled to us (or we to it).
    core::Callback<void(core::NodeId to, const core::Bytes& packet)> on_stream_packet;
    /// A packet was refused; at most one call a second, `more` counts those in between.
    core::Callback<void(const std::string& from, const core::Error& why, uint64_t more)> on_refused;
};

struct EndpointCounts {
    uint64_t sent = 0;
    uint64_t sent_bytes = 0;
    uint64_t send_failed = 0;
    uint64_t received = 0;
    uint64_t refused = 0;
};

/// Loop thread only.
class Endpoint {
 public:
    /// kInvalid (identity, keys), or why the address cannot be bound. All references outlive the endpoint.
    static core::Result<std::unique_ptr<Endpoint>> open(Loop& loop, EndpointOptions options,
                                                        core::Clock& clock, core::Random& random,
                                                        EndpointHooks hooks, core::Logger logger = {});
    /// close() has returned.
    ~Endpoint();
    Endpoint(const Endpoint&) = delete;
    Endpoint& operator=(const Endpoint&) = delete;

    /// Gives `input` the membership and the time, then does what follows from it: `endpoint.step([&](auto&
    /// membership, auto now) { membership.join(seeds, now); })`.
    template <class Input>
    auto step(Input input) {
        if constexpr (std::is_void_v<decltype(input(*membership_, loop_.now()))>) {
            input(*membership_, loop_.now());
            act();
        } else {
            auto result = input(*membership_, loop_.now());
            act();
            return result;
        }
    }
    const core::gossip::Membership& membership() const { return *membership_; }

    /// A packet that came over the stream of `from`, whose certificate names it. It is not sealed.
    core::Result<void> on_stream_packet(core::NodeId from, core::BytesView packet);
    core::Result<void> set_keys(const std::vector<core::Bytes>& keys) { return sealing_.set_keys(keys); }
    void set_epoch(uint64_t epoch) { sealing_.set_epoch(epoch); }

    Address address() const { return socket_->address(); }
    const EndpointCounts& counts() const { return counts_; }
    const SealingCounts& sealing_counts() const { return sealing_.counts(); }

    /// Stops without a word (leave() is the membership's). Idempotent.
    Task<void> close();

 private:
    Endpoint(Loop& loop, EndpointOptions options, core::Clock& clock, core::Random& random,
             EndpointHooks hooks, core::Logger logger, std::unique_ptr<UdpSocket> socket, Sealing sealing);
    Task<void> receive();
    void on_datagram(const UdpSocket::Datagram& datagram);
    void act();
    void send(const core::gossip::OutgoingPacket& packet);
    void send_to(const Address& address, core::BytesView packet);
    std::optional<Address> address_of(const std::string& text, const core::Bytes& packet);
    Task<void> look_up(std::string text, HostPort at);
    void arrange_timer();
    void refuse(const std::string& from, const core::Error& why);

    Loop& loop_;
    core::Clock& clock_;
    EndpointHooks hooks_;
    core::Logger logger_;
    std::unique_ptr<UdpSocket> socket_;
    Sealing sealing_;
    std::unique_ptr<core::gossip::Membership> membership_;
    core::gossip::Effects effects_;
    EndpointCounts counts_;
    core::TimerId timer_ = 0;
    core::Instant timer_at_;
    struct Resolved {
        std::optional<Address> address;
        core::Instant until;
        bool asking = false;
        std::vector<core::Bytes> waiting;  ///< not sealed yet
    };
    std::unordered_map<std::string, Resolved> resolved_;
    core::Instant refusals_silent_until_;
    uint64_t refusals_unsaid_ = 0;
    bool closing_ = false;
    Scope scope_;
};

}  // namespace smackd::net::gossip
