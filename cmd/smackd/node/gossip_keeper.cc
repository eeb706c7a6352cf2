#include "cmd/smackd/node/gossip_keeper.h"

#include <algorithm>

#include "cmd/smackd/data_directory.h"
#include "core/gossip/keys.h"
#include "core/wire/command.pb.h"
#include "net/crypto/random.h"

namespace smackd::cmd {

using core::Result;

namespace {

const wire::PutNode* row_of(const std::vector<wire::PutNode>& nodes, core::NodeId id) {
    const auto found = std::ranges::find(nodes, id.value, &wire::PutNode::node_id);
    return found == nodes.end() ? nullptr : &*found;
}

}  // namespace

void GossipKeeper::update(Facts facts) {
    facts_ = std::move(facts);
    auto keys = open_keys();
    if (keys) {
        keys_ = std::move(*keys);
        if (liveness()) {
            tell(*keys_);
        } else {
            start(*keys_);
        }
    } else if (keys.error().code != core::Errc::kNotFound) {
        parts_.logger.error("alarm gossip keys", {{"what", keys.error().message}});
    }
    decide();
}

void GossipKeeper::lead(bool leads) {
    if (leads_ == leads) return;
    leads_ = leads;
    decide();
}

Result<wire::GossipKeys> GossipKeeper::open_keys() const {
    if (facts_->sealed_keys.empty()) return core::fail(core::Errc::kNotFound, "no gossip keys");
    TRY_ASSIGN(core::Bytes plain, parts_.cluster_key.open(kGossipKeysSecret, facts_->sealed_keys));
    wire::GossipKeys keys;
    const bool parsed = keys.ParseFromString(plain);
    auth::wipe(plain);
    if (!parsed) return core::fail(core::Errc::kCorrupt, "the secret {} is no GossipKeys", kGossipKeysSecret);
    TRY(core::gossip::check_keys(keys));
    return keys;
}

void GossipKeeper::start(const wire::GossipKeys& keys) {
    const std::vector<wire::PutNode> nodes = facts_->registry->nodes();
    const wire::PutNode* own = row_of(nodes, parts_.self);
    if (own == nullptr) return;  // the state has not come so far
    LivenessOptions options;
    options.self.id = parts_.self;
    options.self.generation = own->generation();
    options.self.name = own->machine();
    options.self.addresses = {own->address()};
    options.cluster_id = parts_.cluster_id;
    options.epoch = facts_->registry->epoch();
    options.keys = keys;
    if (auto known = read_small_file(parts_.known_members)) options.known_members = std::move(*known);
    options.bind = parts_.bind;
    auto started = Liveness::start(std::move(options), hooks(), parts_.logger);
    if (!started) {
        parts_.logger.error("alarm gossip", {{"what", started.error().message}, {"address", parts_.bind}});
        return again_in(kGossipRetry);
    }
    {
        std::lock_guard lock(mutex_);
        liveness_ = std::move(*started);
    }
    tell(keys);
    std::vector<std::string> seeds;
    for (const auth::AdmittedNode& node : facts_->registry->admitted()) {
        if (node.server && node.id != parts_.self) seeds.push_back(node.address);
    }
    liveness()->join(std::move(seeds));
}

void GossipKeeper::tell(const wire::GossipKeys& keys) {
    const std::shared_ptr<Liveness> liveness = this->liveness();
    liveness->set_keys(keys, facts_->registry->epoch());
    std::unordered_map<core::NodeId, uint64_t> generations;
    const std::vector<wire::PutNode> nodes = facts_->registry->nodes();
    for (const auth::AdmittedNode& node : facts_->registry->admitted())
        generations[node.id] = row_of(nodes, node.id)->generation();
    liveness->set_allowed(std::move(generations));
    parts_.consensus.loop().post(
        [&consensus = parts_.consensus, liveness, keys] { consensus.peers().set_gossip(liveness, keys); },
        "gossip");
}

Liveness::Hooks GossipKeeper::hooks() {
    Consensus& consensus = parts_.consensus;
    Liveness::Hooks hooks;
    hooks.stream_wanted = [&consensus](const core::gossip::StreamWanted& wanted) {
        consensus.loop().post([&consensus, wanted] { consensus.peers().gossip_stream(wanted); }, "gossip");
    };
    hooks.stream_packet = [&consensus](core::NodeId to, const core::Bytes& packet) {
        consensus.loop().post([&consensus, to, packet] { consensus.peers().gossip_packet(to, packet); },
                              "gossip");
    };
    hooks.refused = [this](const std::string& from, const core::Error& why) {
        parts_.refused({.reason = "gossip",
                        .principal = {},
                        .source = from,
                        .door = "gossip",
                        .request = "packet",
                        .message = why.message});
    };
    hooks.known_members = keep_known_members(parts_.workers, parts_.known_members, parts_.logger);
    return hooks;
}

std::shared_ptr<Liveness> GossipKeeper::liveness() const {
    std::lock_guard lock(mutex_);
    return liveness_;
}

void GossipKeeper::again_in(core::Duration delay) {
    parts_.loop.cancel(timer_);
    timer_ = parts_.loop.start(
        delay,
        [this] {
            timer_ = 0;
            waits_for_ = 0;
            if (keys_ && !liveness()) start(*keys_);
            decide();
        },
        "gossip keys");
}

void GossipKeeper::decide() {
    if (!leads_ || !facts_ || waits_for_ > (keys_ ? keys_->version() : 0)) return;
    if (!keys_ && !facts_->sealed_keys.empty()) return;  // they cannot be opened: for an operator to mend
    core::gossip::KeysView view{
        keys_ ? &*keys_ : nullptr, {}, facts_->registry->last_node_id().value, parts_.clock.wall().unix_ms};
    for (const auth::AdmittedNode& node : facts_->registry->admitted()) view.admitted.push_back(node.id);
    auto next =
        core::gossip::next_keys(view, [] { return net::crypto::random_bytes(core::gossip::kKeyBytes); });
    if (next) return propose(*next);
    if (!keys_) return;
    if (const auto due = core::gossip::next_keys_in(*keys_, view.now_ms))
        again_in(*due + core::milliseconds(1));
}

// What is decided next needs the state that this makes: the feed tells of it, or it is tried again.
void GossipKeeper::propose(const wire::GossipKeys& keys) {
    core::Bytes plain = keys.SerializeAsString();
    auto sealed = parts_.cluster_key.seal(kGossipKeysSecret, plain);
    auth::wipe(plain);
    if (!sealed) return parts_.logger.error("gossip keys", {{"error", sealed.error().message}});
    wire::Command command;
    command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
    command.add_changes()->mutable_put_secret()->set_name(std::string(kGossipKeysSecret));
    command.mutable_changes(0)->mutable_put_secret()->set_sealed(std::move(*sealed));
    parts_.logger.info("gossip keys",
                       {{"version", keys.version()}, {"keys", static_cast<int64_t>(keys.keys_size())}});
    waits_for_ = keys.version();
    parts_.consensus.propose(command.SerializeAsString(),
                             [this, alive = alive_](const Result<core::Bytes>& result) {
                                 parts_.loop.post(
                                     [this, alive, why = result ? std::string() : result.error().message] {
                                         if (!*alive) return;
                                         if (!why.empty())
                                             parts_.logger.warning("gossip keys", {{"error", why}});
                                         again_in(kGossipRetry);
                                     },
                                     "gossip keys");
                             });
}

void GossipKeeper::end() {
    *alive_ = false;
    parts_.loop.cancel(timer_);
}

void GossipKeeper::stop() {
    std::shared_ptr<Liveness> last = liveness();
    if (last) last->stop();
}

}  // namespace smackd::cmd
