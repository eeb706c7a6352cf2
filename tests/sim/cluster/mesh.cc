#include "tests/sim/cluster/mesh.h"

#include <algorithm>
#include <memory>

#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/node.h"
#include "tests/sim/cluster/site.h"

namespace smackd::sim::cluster {
namespace {

constexpr core::milliseconds kBackoffMin{50};
constexpr core::milliseconds kBackoffMax{1000};
constexpr core::milliseconds kCallLimit{3000};

core::Duration hop(Site& site) {
    return core::Duration{static_cast<int64_t>(200'000 + site.below(600'000))};
}

}  // namespace

void Mesh::attach() {
    site_.network.may_leave = [this](uint64_t from, uint64_t to) { return may_leave(from, to); };
    site_.network.may_arrive = [this](uint64_t from, uint64_t to) { return may_arrive(from, to); };
    site_.network.addressed = [this](uint64_t self, uint64_t peer, const std::string& address) {
        if (Machine* machine = site_.installed(self)) machine->addresses[peer] = address;
    };
}

/// Nobody is dialled whose address is not known; at an address answers whoever lives there now.
bool Mesh::may_leave(uint64_t from, uint64_t to) {
    Machine* sender = site_.running(from);
    if (sender == nullptr) return false;
    const auto known = sender->addresses.find(to);
    if (known == sender->addresses.end()) return false;
    const Machine* there = site_.at(known->second);
    return there != nullptr && there->running() && there->installation->id == to;
}

bool Mesh::may_arrive(uint64_t from, uint64_t to) {
    Machine* sender = site_.running(from);
    Machine* receiver = site_.running(to);
    if (sender == nullptr || receiver == nullptr) return false;
    const bool lets_in = connect(*sender, *receiver).has_value();
    if (lets_in) site_.checker.delivered(*sender, *receiver);
    return lets_in;
}

core::Result<void> Mesh::connect(Machine& from, Machine& to) {
    const Way way{from.installation->id, to.installation->id};
    if (open_.contains(way)) return {};
    Backoff& backoff = refused_[way];
    if (site_.world.now() < backoff.until) return core::fail(core::Errc::kUnavailable, "refused just before");
    auto admitted = to.node->check(from.certificate());
    if (admitted && !admitted->server)
        admitted = core::fail(core::Errc::kDenied, "node {} is no server", way.first);
    if (!admitted) {
        backoff.next = std::clamp<core::Duration>(backoff.next * 2, kBackoffMin, kBackoffMax);
        backoff.until = site_.world.now() + backoff.next;
        return core::pass(std::move(admitted));
    }
    refused_.erase(way);
    open_.insert(way);
    // As the first that it says, a caller names its address.
    to.node->note_address(way.first, from.address);
    if (to.addresses.emplace(way.first, from.address).second)
        site_.note(Event::kNewcomerHeard, std::format("n{} by n{}", way.first, way.second));
    return {};
}

void Mesh::call(Node& from, uint64_t to, std::string address, core::Callback<void(Node&, Reply)> work,
                Reply done) {
    auto call = std::make_shared<Reply>(std::move(done));
    const auto life = from.life();
    const uint64_t self = from.id();
    const auto answer = [this, call, life, self, to](core::Result<core::Bytes> result) {
        if (site_.network.is_cut(to, self)) return;
        life->schedule(
            hop(site_),
            [call, moved = std::move(result)]() mutable {
                if (*call) std::exchange(*call, {})(std::move(moved));
            },
            life);
    };
    life->schedule(
        kCallLimit,
        [call] {
            if (*call)
                std::exchange(*call, {})(core::fail(core::Errc::kTimeout, "no answer from the leader"));
        },
        life);
    if (site_.network.is_cut(self, to)) return;
    site_.world.schedule(hop(site_), [this, self, to, address, work = std::move(work), answer]() mutable {
        Machine* caller = site_.running(self);
        Machine* machine = site_.at(address);
        if (caller == nullptr) return;
        if (machine == nullptr || !machine->running() || machine->installation->id != to)
            return answer(core::fail(core::Errc::kUnavailable, "server {} is not there", to));
        if (auto connected = connect(*caller, *machine); !connected)
            return answer(core::pass(std::move(connected)));
        const auto there = machine->node->life();
        there->schedule(
            core::Duration{0},
            [machine, work = std::move(work), answer]() mutable { work(*machine->node, Reply(answer)); },
            there);
    });
}

void Mesh::dial(uint64_t from, uint64_t to, const std::string& address) {
    if (open_.contains({from, to}) || site_.network.is_cut(from, to)) return;
    site_.world.schedule(hop(site_), [this, from, to, address] {
        Machine* caller = site_.running(from);
        Machine* machine = site_.at(address);
        if (caller == nullptr || machine == nullptr || !machine->running()) return;
        if (machine->installation->id == to) static_cast<void>(connect(*caller, *machine));
    });
}

void Mesh::cut(uint64_t self, uint64_t peer) {
    open_.erase({peer, self});
}

void Mesh::gone(uint64_t node) {
    std::erase_if(open_, [node](const Way& way) { return way.first == node || way.second == node; });
    std::erase_if(refused_, [node](const auto& one) { return one.first.second == node; });
}

}  // namespace smackd::sim::cluster
