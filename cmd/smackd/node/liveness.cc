#include "cmd/smackd/node/liveness.h"

#include "cmd/smackd/data_directory.h"
#include "core/gossip/keys.h"

namespace smackd::cmd {

using core::Bytes;
using core::NodeId;
using core::Result;
using core::gossip::MemberEvent;
using core::gossip::Membership;

namespace {

inline constexpr core::Duration kFarewellStep = core::milliseconds(20);

std::vector<Bytes> keys_of(const wire::GossipKeys& keys) {
    return {keys.keys().begin(), keys.keys().end()};
}

}  // namespace

core::Callback<void(Bytes)> keep_known_members(net::WorkerPool& workers, std::string path,
                                               core::Logger logger) {
    return [&workers, path = std::move(path), logger = std::move(logger)](Bytes known) {
        workers.submit([path, known = std::move(known), logger] {
            auto written = replace_file(path, known, 0600);
            if (!written) logger.warning("known members", {{"error", written.error().message}});
        });
    };
}

Result<std::shared_ptr<Liveness>> Liveness::start(LivenessOptions options, Hooks hooks, core::Logger logger) {
    std::shared_ptr<Liveness> liveness(new Liveness(std::move(hooks), std::move(logger)));
    liveness->thread_.start();
    auto begun = liveness->thread_.call<Result<void>>([&] { return liveness->begin(std::move(options)); });
    if (!begun) {
        liveness->stop();
        return core::pass(std::move(begun));
    }
    return liveness;
}

Liveness::Liveness(Hooks hooks, core::Logger logger)
    : hooks_(std::move(hooks)), logger_(std::move(logger)), thread_("liveness", logger_) {}

Liveness::~Liveness() {
    stop();
}

Result<void> Liveness::begin(LivenessOptions options) {
    TRY(core::gossip::check_keys(options.keys));
    net::gossip::EndpointOptions endpoint;
    endpoint.self = std::move(options.self);
    endpoint.self.incarnation = static_cast<uint64_t>(clock_.wall().unix_ms / 1000);
    TRY_ASSIGN(endpoint.bind, net::Address::parse(options.bind));
    endpoint.sealing = {std::move(options.cluster_id), options.epoch, endpoint.self.id,
                        static_cast<uint64_t>(clock_.wall().unix_ms)};
    endpoint.keys = keys_of(options.keys);
    net::gossip::EndpointHooks hooks;
    hooks.on_event = [this](const MemberEvent& event) { this->event(event); };
    hooks.on_stream_wanted = [this](const auto& wanted) { hooks_.stream_wanted(wanted); };
    hooks.on_stream_packet = [this](NodeId to, const Bytes& packet) { hooks_.stream_packet(to, packet); };
    hooks.on_refused = [this](const std::string& from, const core::Error& why, uint64_t more) {
        logger_.warning("gossip packet refused", {{"peer", from}, {"why", why.message}, {"more", more}});
        hooks_.refused(from, why);
    };
    TRY_ASSIGN(endpoint_, net::gossip::Endpoint::open(thread_.loop(), std::move(endpoint), clock_, random_,
                                                      std::move(hooks), logger_));
    {
        std::lock_guard lock(mutex_);
        keys_version_ = options.keys.version();
    }
    handed_out_ = options.known_members;
    if (!options.known_members.empty()) {
        auto restored = endpoint_->step([&](Membership& membership, core::Instant now) {
            return membership.restore(options.known_members, now);
        });
        if (!restored) logger_.warning("known members", {{"error", restored.error().message}});
    }
    hand_out_timer_ =
        thread_.loop().start(kKnownMembersEvery, [this] { hand_out_known_members(); }, "known members");
    publish();
    return {};
}

void Liveness::event(const MemberEvent& event) {
    logger_.info("member", {{"what", core::gossip::member_event_name(event.kind)},
                            {"node", event.member.id.value},
                            {"name", event.member.name}});
    // The membership is in the middle of its step: look at it afterwards.
    thread_.loop().post([this] { publish(); }, "members");
}

void Liveness::publish() {
    if (!endpoint_) return;
    std::vector<Row> rows;
    const auto add = [&](const core::gossip::Member& member) {
        rows.push_back({{member.id, member.name, member.state, {}}, member.since});
    };
    const Membership& membership = endpoint_->membership();
    add(membership.self());
    for (const auto& record : membership.members().records()) add(record.member);
    std::lock_guard lock(mutex_);
    rows_ = std::move(rows);
}

std::vector<LivenessRow> Liveness::members() const {
    const core::Instant now = clock_.now();
    std::lock_guard lock(mutex_);
    std::vector<LivenessRow> rows;
    for (const Row& known : rows_) {
        rows.push_back(known.row);
        rows.back().since = now - known.since;
    }
    return rows;
}

uint64_t Liveness::keys_version() const {
    std::lock_guard lock(mutex_);
    return keys_version_;
}

template <class Input>
void Liveness::input(Input input) {
    thread_.loop().post(
        [this, input = std::move(input)]() mutable {
            if (endpoint_) endpoint_->step(input);
        },
        "gossip input");
}

void Liveness::set_keys(wire::GossipKeys keys, uint64_t epoch) {
    thread_.loop().post(
        [this, keys = std::move(keys), epoch] {
            if (!endpoint_) return;
            auto set = core::gossip::check_keys(keys);
            if (set) set = endpoint_->set_keys(keys_of(keys));
            if (!set) return logger_.error("gossip keys", {{"error", set.error().message}});
            endpoint_->set_epoch(epoch);
            std::lock_guard lock(mutex_);
            keys_version_ = keys.version();
        },
        "gossip keys");
}

void Liveness::set_allowed(std::unordered_map<NodeId, uint64_t> generations) {
    input([generations = std::move(generations)](Membership& membership, core::Instant now) mutable {
        membership.set_allowed(std::move(generations), now);
    });
}

void Liveness::join(std::vector<std::string> seeds) {
    input([seeds = std::move(seeds)](Membership& membership, core::Instant now) mutable {
        membership.join(std::move(seeds), now);
    });
}

void Liveness::set_holder(NodeId server) {
    input([server](Membership& membership, core::Instant now) { membership.set_holder(server, now); });
}

void Liveness::heard(NodeId node, bool alive) {
    input([node, alive](Membership& membership, core::Instant now) {
        membership.on_direct_evidence(node, alive, now);
    });
}

void Liveness::stream_packet(NodeId from, Bytes packet) {
    thread_.loop().post(
        [this, from, packet = std::move(packet)] {
            if (endpoint_) static_cast<void>(endpoint_->on_stream_packet(from, packet));
        },
        "gossip packet");
}

void Liveness::answer_sync(NodeId peer, Bytes request, core::Callback<void(Result<Bytes>)> done) {
    thread_.loop().post(
        [this, peer, request = std::move(request), done = std::move(done)]() mutable {
            if (!endpoint_) return done(core::fail(core::Errc::kUnavailable, "this node stops"));
            done(endpoint_->step([&](Membership& membership, core::Instant now) {
                return membership.on_sync_request(peer, request, now);
            }));
        },
        "gossip sync");
}

void Liveness::sync_request(core::Callback<void(Bytes)> done) {
    thread_.loop().post(
        [this, done = std::move(done)]() mutable {
            if (endpoint_) done(endpoint_->membership().sync_request());
        },
        "gossip sync");
}

void Liveness::sync_reply(NodeId peer, Bytes reply, core::Callback<void(Result<std::optional<Bytes>>)> done) {
    thread_.loop().post(
        [this, peer, reply = std::move(reply), done = std::move(done)]() mutable {
            if (!endpoint_) return done(core::fail(core::Errc::kUnavailable, "this node stops"));
            auto next = endpoint_->step([&](Membership& membership, core::Instant now) {
                return membership.on_sync_reply(peer, reply, now);
            });
            if (!next) logger_.warning("push-pull", {{"peer", peer.value}, {"error", next.error().message}});
            done(std::move(next));
        },
        "gossip sync");
}

void Liveness::hand_out_known_members() {
    core::Bytes known = endpoint_->membership().snapshot();
    if (known != handed_out_) hooks_.known_members(known);
    handed_out_ = std::move(known);
    hand_out_timer_ =
        thread_.loop().start(kKnownMembersEvery, [this] { hand_out_known_members(); }, "known members");
}

void Liveness::stop() {
    if (std::exchange(stopped_, true)) return;
    thread_.await<bool>([this] {
        return [](Liveness& own) -> net::Task<bool> {
            if (!own.endpoint_) co_return true;
            own.hand_out_known_members();
            own.thread_.loop().cancel(own.hand_out_timer_);
            own.endpoint_->step([](Membership& membership, core::Instant now) { membership.leave(now); });
            const core::Instant end = own.clock_.now() + kFarewellLimit;
            while (!own.endpoint_->membership().left() && own.clock_.now() < end) {
                auto slept = co_await net::sleep(own.thread_.loop(), kFarewellStep);
                if (!slept) break;
            }
            co_await own.endpoint_->close();
            own.endpoint_.reset();
            co_return true;
        }(*this);
    });
    thread_.stop();
}

std::vector<services::LiveMember> live_members(const std::shared_ptr<Liveness>& liveness) {
    std::vector<services::LiveMember> members;
    if (!liveness) return members;
    for (const LivenessRow& row : liveness->members())
        members.push_back({row.id, core::gossip::member_state_name(row.state), row.since});
    return members;
}

}  // namespace smackd::cmd
