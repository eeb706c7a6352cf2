// A network between processes that loses, delays, reorders and doubles messages, and can be cut one way or
// both.
#pragma once

#include <map>
#include <set>

#include "core/transport.h"
#include "tests/sim/world.h"

namespace smackd::sim {

struct NetworkCounts {
    uint64_t sent = 0, dropped = 0, doubled = 0, delayed = 0, reordered = 0, cut = 0;
};

class Network {
 public:
    explicit Network(World& world) : world_(world) {}

    /// Of 1000 messages how many are lost, doubled, or delayed by up to a second.
    unsigned drop_permille = 0;
    unsigned double_permille = 0;
    unsigned delay_permille = 0;

    void cut(uint64_t from, uint64_t to) { cuts_.insert({from, to}); }
    void heal() { cuts_.clear(); }
    /// The connections of `node` break, as when its process dies; who cannot be reached now does not hear of
    /// it.
    void lose(uint64_t node);
    void send(uint64_t from, uint64_t to, core::Bytes message);
    /// Who takes messages for `node`; replaced at each life.
    void attach(uint64_t node, std::shared_ptr<Life> life,
                std::shared_ptr<core::Callback<void(core::NodeId, core::Bytes)>> receiver,
                std::shared_ptr<core::Callback<void(core::NodeId)>> lost);
    const NetworkCounts& counts() const { return counts_; }
    /// False: `from` knows no way to `to`, or `to` does not let it in. Asked as a message leaves, and as it
    /// arrives.
    core::Callback<bool(uint64_t from, uint64_t to)> may_leave;
    core::Callback<bool(uint64_t from, uint64_t to)> may_arrive;
    /// `self` was told an address of `peer`.
    core::Callback<void(uint64_t self, uint64_t peer, const std::string& address)> addressed;
    bool is_cut(uint64_t from, uint64_t to) const { return cuts_.contains({from, to}); }
    /// Looks at each message as it is sent.
    core::Callback<void(uint64_t from, uint64_t to, core::BytesView)> sniffer;

 private:
    struct Port {
        std::shared_ptr<Life> life;
        std::shared_ptr<core::Callback<void(core::NodeId, core::Bytes)>> receiver;
        std::shared_ptr<core::Callback<void(core::NodeId)>> lost;
    };
    void deliver(uint64_t from, uint64_t to, const std::shared_ptr<core::Bytes>& message,
                 core::Duration after);
    World& world_;
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> newest_;  ///< message delivered, by way
    std::map<uint64_t, Port> ports_;
    std::set<std::pair<uint64_t, uint64_t>> cuts_;
    NetworkCounts counts_;
};

class Transport final : public core::Transport {
 public:
    Transport(Network& network, uint64_t self, std::shared_ptr<Life> life)
        : network_(network),
          self_(self),
          receiver_(std::make_shared<core::Callback<void(core::NodeId, core::Bytes)>>()),
          lost_(std::make_shared<core::Callback<void(core::NodeId)>>()) {
        network_.attach(self, std::move(life), receiver_, lost_);
    }
    void set_address(core::NodeId peer, const std::string& address) override {
        if (network_.addressed) network_.addressed(self_, peer.value, address);
    }
    void send(core::NodeId peer, core::Bytes message) override {
        network_.send(self_, peer.value, std::move(message));
    }
    void set_receiver(core::Callback<void(core::NodeId, core::Bytes)> receiver) override {
        *receiver_ = std::move(receiver);
    }
    void set_lost(core::Callback<void(core::NodeId)> lost) override { *lost_ = std::move(lost); }

 private:
    Network& network_;
    uint64_t self_;
    std::shared_ptr<core::Callback<void(core::NodeId, core::Bytes)>>
        receiver_;  ///< also held by messages under way
    std::shared_ptr<core::Callback<void(core::NodeId)>> lost_;
};

}  // namespace smackd::sim
