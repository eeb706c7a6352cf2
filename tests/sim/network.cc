#include "tests/sim/network.h"

#include <algorithm>

namespace smackd::sim {

void Network::attach(uint64_t node, std::shared_ptr<Life> life,
                     std::shared_ptr<core::Callback<void(core::NodeId, core::Bytes)>> receiver,
                     std::shared_ptr<core::Callback<void(core::NodeId)>> lost) {
    ports_[node] = Port{.life = std::move(life), .receiver = std::move(receiver), .lost = std::move(lost)};
}

void Network::lose(uint64_t node) {
    for (const auto& [to, port] : ports_) {
        if (to == node || cuts_.contains({node, to})) continue;
        world_.schedule(core::Duration{static_cast<int64_t>(200'000 + world_.random().below(600'000))},
                        [this, to, node] {
                            const Port target = ports_.at(to);
                            if (!target.life->alive) return;
                            const auto tell = [target, node] {
                                if (*target.lost) (*target.lost)(core::NodeId{node});
                            };
                            target.life->schedule(core::Duration{0}, tell, target.life);
                        });
    }
}

void Network::send(uint64_t from, uint64_t to, core::Bytes message) {
    if (may_leave && !may_leave(from, to)) return;
    ++counts_.sent;
    if (sniffer) sniffer(from, to, message);
    if (cuts_.contains({from, to})) {
        ++counts_.cut;
        return;
    }
    core::Random& random = world_.random();
    if (random.below(1000) < drop_permille) {
        ++counts_.dropped;
        return;
    }
    auto shared = std::make_shared<core::Bytes>(std::move(message));
    core::Duration after = core::Duration{static_cast<int64_t>(200'000 + random.below(600'000))};
    if (random.below(1000) < delay_permille) {
        ++counts_.delayed;
        after = core::Duration{static_cast<int64_t>(random.below(1'000'000'000))};
    }
    deliver(from, to, shared, after);
    if (random.below(1000) < double_permille) {
        ++counts_.doubled;
        deliver(from, to, shared, core::Duration{static_cast<int64_t>(random.below(3'000'000'000))});
    }
}

void Network::deliver(uint64_t from, uint64_t to, const std::shared_ptr<core::Bytes>& message,
                      core::Duration after) {
    world_.schedule(after, [this, from, to, message, number = counts_.sent] {
        uint64_t& newest = newest_[{from, to}];
        if (number < newest) ++counts_.reordered;
        newest = std::max(newest, number);
        const auto port = ports_.find(to);
        if (port == ports_.end() || !port->second.life->alive) return;
        if (may_arrive && !may_arrive(from, to)) return;
        const Port target = port->second;
        target.life->schedule(
            core::Duration{0},
            [target, from, message] {
                if (*target.receiver) (*target.receiver)(core::NodeId{from}, *message);
            },
            target.life);
    });
}

}  // namespace smackd::sim
