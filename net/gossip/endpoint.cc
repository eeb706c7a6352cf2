#include "net/gossip/endpoint.h"

#include <sys/socket.h>

#include <algorithm>
#include <format>
#include <utility>

namespace smackd::net::gossip {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::NodeId;
using core::Result;
using core::gossip::Membership;

namespace {

constexpr core::Duration kRefusalEvery = std::chrono::seconds(1);
constexpr core::Duration kReceiveRetry = std::chrono::milliseconds(100);
constexpr core::Duration kLookUpRetry = std::chrono::seconds(1);

SealingOptions sealing_of(const EndpointOptions& options) {
    SealingOptions sealing = options.sealing;
    sealing.self = options.self.id;
    return sealing;
}

}  // namespace

Result<std::unique_ptr<Endpoint>> Endpoint::open(Loop& loop, EndpointOptions options, core::Clock& clock,
                                                 core::Random& random, EndpointHooks hooks,
                                                 core::Logger logger) {
    TRY(Membership::check(options.self));
    Sealing sealing(sealing_of(options));
    TRY(sealing.set_keys(options.keys));
    TRY_ASSIGN(auto socket, UdpSocket::bind(loop, options.bind));
    if (options.advertise_bound) options.self.addresses = {socket->address().to_string()};
    std::unique_ptr<Endpoint> endpoint(new Endpoint(loop, std::move(options), clock, random, std::move(hooks),
                                                    std::move(logger), std::move(socket),
                                                    std::move(sealing)));
    endpoint->scope_.spawn(endpoint->receive());
    endpoint->act();
    return endpoint;
}

Endpoint::Endpoint(Loop& loop, EndpointOptions options, core::Clock& clock, core::Random& random,
                   EndpointHooks hooks, core::Logger logger, std::unique_ptr<UdpSocket> socket,
                   Sealing sealing)
    : loop_(loop),
      clock_(clock),
      hooks_(std::move(hooks)),
      logger_(std::move(logger)),
      socket_(std::move(socket)),
      sealing_(std::move(sealing)),
      membership_(
          std::make_unique<Membership>(std::move(options.self), options.parameters, random, loop.now())),
      scope_(loop) {}

Endpoint::~Endpoint() {
    SMACK_ASSERT(closing_ && scope_.running() == 0);
}

Task<void> Endpoint::close() {
    closing_ = true;
    loop_.cancel(std::exchange(timer_, 0));
    co_await socket_->close();
    co_await scope_.close();
}

Task<void> Endpoint::receive() {
    while (!closing_) {
        auto datagram = co_await socket_->receive();
        if (closing_) break;
        if (datagram) {
            on_datagram(*datagram);
            continue;
        }
        logger_.warning("gossip socket cannot receive", {{"error", datagram.error().message}});
        auto waited = co_await sleep(loop_, kReceiveRetry);
        if (!waited) break;
    }
}

void Endpoint::on_datagram(const UdpSocket::Datagram& datagram) {
    ++counts_.received;
    const std::string from = datagram.from.to_string();
    auto opened = sealing_.open(datagram.bytes, clock_.wall());
    if (!opened) return refuse(from, opened.error());
    auto taken = membership_->on_packet(from, opened->payload, loop_.now());
    if (!taken) refuse(from, taken.error());
    act();
}

Result<void> Endpoint::on_stream_packet(NodeId from, BytesView packet) {
    wire::GossipPacket read;
    if (!read.ParseFromArray(packet.data(), static_cast<int>(packet.size())) || read.sender() != from.value) {
        const core::Error why{Errc::kDenied,
                              std::format("a packet on the stream of node {} is not by it", from.value), 0};
        refuse(std::to_string(from.value), why);
        return std::unexpected(why);
    }
    return step([&](Membership& membership, core::Instant now) -> Result<void> {
        auto taken = membership.on_packet("", packet, now);
        if (!taken) refuse(std::to_string(from.value), taken.error());
        return taken;
    });
}

/// Does what the membership wants, then sleeps until its next deadline.
void Endpoint::act() {
    if (closing_) return;
    core::gossip::Effects effects;
    std::swap(effects, effects_);
    membership_->take(effects);
    for (const auto& packet : effects.packets) send(packet);
    for (const auto& wanted : effects.streams) {
        if (hooks_.on_stream_wanted) hooks_.on_stream_wanted(wanted);
    }
    for (const auto& event : effects.events) {
        if (hooks_.on_event) hooks_.on_event(event);
    }
    std::swap(effects, effects_);
    arrange_timer();
}

void Endpoint::send(const core::gossip::OutgoingPacket& packet) {
    if (packet.address.empty()) {
        if (hooks_.on_stream_packet) hooks_.on_stream_packet(packet.to, packet.bytes);
        return;
    }
    const auto address = address_of(packet.address, packet.bytes);
    if (address) send_to(*address, packet.bytes);
}

void Endpoint::send_to(const Address& address, BytesView packet) {
    const Bytes sealed = sealing_.seal(packet, clock_.wall());
    if (auto sent = socket_->send(address, sealed); !sent) {
        ++counts_.send_failed;  // full buffer, no route: as if lost on the way
        return;
    }
    ++counts_.sent;
    counts_.sent_bytes += sealed.size();
}

/// None while the name is looked up, or when it is none; the packet then waits, or is as if lost on the way.
std::optional<Address> Endpoint::address_of(const std::string& text, const Bytes& packet) {
    if (auto literal = Address::parse(text)) return *literal;
    if (resolved_.size() >= kResolvedMax && !resolved_.contains(text)) resolved_.clear();
    Resolved& entry = resolved_[text];
    if (!entry.asking && loop_.now() >= entry.until) {
        auto at = parse_host_port(text);
        if (at) {
            entry.asking = true;
            scope_.spawn(look_up(text, std::move(*at)));
        }
    }
    if (entry.address) return entry.address;
    if (entry.asking && entry.waiting.size() < kLookUpPacketsMax) {
        entry.waiting.push_back(packet);
    } else {
        ++counts_.send_failed;
    }
    return std::nullopt;
}

/// A name that is not found now is asked for again as soon as somebody wants it; its old address is kept.
Task<void> Endpoint::look_up(std::string text, HostPort at) {
    auto found = co_await resolve(loop_, std::move(at.host), at.port, kResolveLimit);
    Resolved& entry = resolved_[text];
    entry.asking = false;
    entry.until = loop_.now() + (found ? kResolvedFor : kLookUpRetry);
    const std::vector<Bytes> waiting = std::exchange(entry.waiting, {});
    if (!found || closing_) co_return;
    const int family = socket_->address().raw()->sa_family;
    const auto usable = std::ranges::find(
        *found, family, [](const Address& address) -> int { return address.raw()->sa_family; });
    if (usable == found->end()) co_return;
    entry.address = *usable;
    for (const Bytes& packet : waiting) send_to(*usable, packet);
}

void Endpoint::arrange_timer() {
    const core::Instant deadline = membership_->deadline();
    if (timer_ != 0 && timer_at_ == deadline) return;
    loop_.cancel(timer_);
    timer_at_ = deadline;
    const core::Duration after = std::max(deadline - loop_.now(), core::Duration{0});
    timer_ = loop_.start(
        after,
        [this] {
            timer_ = 0;
            membership_->on_timer(loop_.now());
            act();
        },
        "gossip timer");
}

void Endpoint::refuse(const std::string& from, const core::Error& why) {
    ++counts_.refused;
    ++refusals_unsaid_;
    if (!hooks_.on_refused || loop_.now() < refusals_silent_until_) return;
    refusals_silent_until_ = loop_.now() + kRefusalEvery;
    hooks_.on_refused(from, why, std::exchange(refusals_unsaid_, 0) - 1);
}

}  // namespace smackd::net::gossip
