#include "tests/sim/cluster/administrator.h"

#include <algorithm>
#include <format>

#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/site.h"

namespace smackd::sim::cluster {
namespace {

constexpr core::milliseconds kLevelLook{1500};  // a recovery may have lost it
constexpr uint64_t kFirstRequester = 9000;
constexpr size_t kRequesters = 4;

/// No server of the configuration, for good.
bool is_out(Machine& machine, Machine& leader) {
    const storage::ReplicaStatus status = leader.node->status();
    return status.commit_index == status.last_index &&
           !std::ranges::contains(status.servers, machine.id(), &storage::Server::id);
}

}  // namespace

Administrator::Administrator(Site& site) : site_(site) {
    for (size_t i = 0; i < kRequesters; ++i)
        requesters_.push_back(std::make_unique<Requester>(site_, kFirstRequester + i));
}

bool Administrator::idle() const {
    return asking_ == 0 && !disaster_ &&
           std::ranges::all_of(requesters_, [](const auto& one) { return one->idle(); });
}

/// A refusal is an answer: the next look at the machine decides anew.
void Administrator::send(wire::Command command, After done) {
    Requester& requester = *requesters_[site_.below(requesters_.size())];
    requester.request(std::move(command), [done = std::move(done)](const wire::CommandResult&) { done(); });
}

// ---- the registry ----

void Administrator::bootstrap(size_t servers, uint32_t feature_level) {
    std::vector<storage::Server> voters;
    wire::Command command = new_command();
    command.add_changes()->mutable_init_cluster()->set_cluster_id(kClusterId);
    command.mutable_changes(0)->mutable_init_cluster()->set_realm("R.TEST");
    for (size_t i = 0; i < servers; ++i) {
        Machine& machine = *site_.machines[i];
        machine.wanted = Wanted::kMember;
        machine.install(i + 1, new_key(site_));
        voters.push_back({machine.id(), machine.address, storage::ServerRole::kVoter});
        wire::PutMachine& row = *command.add_changes()->mutable_put_machine();
        row.set_name(machine.name);
        row.add_roles("server");
        row.set_state(wire::MACHINE_ALLOWED);
        wire::PutNode& node = *command.add_changes()->mutable_put_node();
        node.set_node_id(i + 1);
        node.set_machine(machine.name);
        node.set_address(machine.address);
    }
    if (feature_level > 1) command.add_changes()->mutable_raise_feature_level()->set_level(feature_level);
    for (size_t i = 0; i < servers; ++i) {
        Machine& machine = *site_.machines[i];
        if (auto made = machine.installation->process->bootstrap(voters); !made)
            site_.world.violate("bootstrap: " + made.error().to_string());
        machine.boot();
    }
    setup_ = command;
    send(std::move(command), [] {});
}

void Administrator::put(Machine& machine, bool allowed, uint64_t generation, After done) {
    wire::Command command = new_command();
    wire::PutMachine& row = *command.add_changes()->mutable_put_machine();
    row.set_name(machine.name);
    row.add_roles("server");
    row.set_state(allowed ? wire::MACHINE_ALLOWED : wire::MACHINE_SUSPENDED);
    row.set_generation(generation);
    send(std::move(command), std::move(done));
}

void Administrator::drop(Machine& machine, After done) {
    wire::Command command = new_command();
    command.add_changes()->mutable_remove_machine()->set_name(machine.name);
    send(std::move(command), std::move(done));
}

void Administrator::drop_node(uint64_t node, After done) {
    wire::Command command = new_command();
    command.add_changes()->mutable_remove_node()->set_node_id(node);
    send(std::move(command), std::move(done));
}

void Administrator::add(Machine& machine) {
    site_.note(Event::kMachineAdded, machine.name);
    machine.wanted = Wanted::kMember;
    machine.busy = true;
    const auto join_later = [this, &machine] {
        site_.world.schedule(site_.between(0, 200), [this, &machine] {
            join(machine, new_key(site_), false, [&machine] { machine.busy = false; });
        });
    };
    if (site_.one_in(4)) {
        put(machine, true, 0, [] {});  // the machine does not wait for it
        return join_later();
    }
    put(machine, true, 0, join_later);
}

void Administrator::suspend(Machine& machine) {
    site_.note(Event::kMachineSuspended, machine.name);
    machine.wanted = Wanted::kSuspended;
    const uint64_t generation = site_.checker.registry().machines.at(machine.name).generation;
    if (machine.busy) return put(machine, false, generation, [] {});  // as it joins
    machine.busy = true;
    put(machine, false, generation, [&machine] { machine.busy = false; });
}

void Administrator::raise_generation(Machine& machine) {
    site_.note(Event::kGenerationRaised, machine.name);
    machine.busy = true;
    put(machine, true, site_.checker.registry().machines.at(machine.name).generation + 1,
        [&machine] { machine.busy = false; });
}

void Administrator::remove(Machine& machine) {
    site_.note(Event::kMachineRemoved, machine.name);
    machine.wanted = Wanted::kNothing;
    machine.busy = true;
    drop(machine, [&machine] { machine.busy = false; });
}

void Administrator::remove_node(Machine& machine) {
    site_.note(Event::kNodeRemoved, machine.name);
    machine.busy = true;
    drop_node(machine.installation->id, [&machine] { machine.busy = false; });
}

void Administrator::raise_level() {
    site_.world.schedule(kLevelLook, [this] { raise_level(); });
    Machine* leader = site_.leader();
    // A cluster that is set up only after it was raised has rows that no version of before could have.
    const bool set_up = leader != nullptr && leader->node->registry() != nullptr;
    if (!set_up) return;
    auto view = leader->node->process().reader().view();
    if (!view || view->point().feature_level >= storage::state::kFeatureLevelMax) return;
    site_.note(Event::kLevelRaised, "");
    wire::Command command = new_command();
    command.add_changes()->mutable_raise_feature_level()->set_level(storage::state::kFeatureLevelMax);
    send(std::move(command), [] {});
}

void Administrator::copy_keytab(Machine& machine) {
    site_.note(Event::kKeytabCopied, machine.name);
    join(machine, new_key(site_), true, [] {});
}

// ---- one step towards what is wanted ----

void Administrator::tend(Machine& machine) {
    if (machine.busy || machine.held_down || disaster_) return;
    Machine* leader = site_.leader();
    const core::cluster::Registry* registry = leader != nullptr ? leader->node->registry() : nullptr;
    if (registry == nullptr || registry->epoch() != site_.checker.epoch()) {
        if (!machine.left_behind) machine.boot();
        return;
    }
    if (machine.wanted == Wanted::kMember) return tend_member(machine, *leader);
    if (machine.wanted == Wanted::kSuspended) return;
    const bool registered = site_.checker.registry().machines.contains(machine.name);
    if (registered) return remove(machine);
    if (machine.installation && is_out(machine, *leader)) machine.empty();
}

void Administrator::tend_member(Machine& machine, Machine& leader) {
    const Model& registry = site_.checker.registry();
    const auto row = registry.machines.find(machine.name);
    if (row == registry.machines.end() || !row->second.allowed) {
        machine.busy = true;
        const uint64_t generation = row == registry.machines.end() ? 0 : row->second.generation;
        return put(machine, true, generation, [&machine] { machine.busy = false; });
    }
    if (machine.installation) return tend_installed(machine, leader);
    join_anew(machine);
}

/// Its node in the registry, if any, is another one's (a thief's, or what was emptied): it goes first.
void Administrator::join_anew(Machine& machine) {
    const uint64_t node = site_.checker.registry().node_of(machine.name);
    machine.busy = true;
    if (node != 0) {
        site_.note(Event::kNodeRemoved, std::format("{}, to join anew", machine.name));
        return drop_node(node, [&machine] { machine.busy = false; });
    }
    join(machine, new_key(site_), false, [&machine] { machine.busy = false; });
}

/// With the data it has.
void Administrator::join_again(Machine& machine) {
    machine.crash(false);
    machine.busy = true;
    join(machine, machine.installation->key, false, [&machine] { machine.busy = false; });
}

void Administrator::tend_installed(Machine& machine, Machine& leader) {
    const Model& registry = site_.checker.registry();
    const auto row = registry.nodes.find(machine.installation->id);
    const bool ours = row != registry.nodes.end() && row->second.machine == machine.name &&
                      (row->second.key.empty() || row->second.key == machine.installation->key);
    // Also when it did join again and the answer was lost: the certificate it has is of before.
    const bool outdated = ours && row->second.generation != machine.installation->generation;
    const bool renews =
        outdated || (ours && row->second.generation != registry.machines.at(machine.name).generation);
    // What a bootstrap made has no key in the registry and cannot prove that it is that node.
    const bool keyless = renews && row->second.key.empty();
    const bool of_before = ours && std::max<uint64_t>(row->second.epoch, 1) != site_.checker.epoch();
    if (is_out(machine, leader) && (!ours || of_before || keyless || machine.left_behind)) {
        // Some try it with what they have, before they are emptied.
        if (machine.running() && site_.one_in(2)) return join_again(machine);
        return machine.empty();
    }
    if (renews && !keyless && !of_before) return join_again(machine);
    machine.boot();
}

}  // namespace smackd::sim::cluster
