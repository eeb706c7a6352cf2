#include "tests/sim/cluster/machine.h"

#include <format>

#include "tests/sim/cluster/node.h"
#include "tests/sim/cluster/site.h"

namespace smackd::sim::cluster {
namespace {

constexpr core::milliseconds kBootRetry{300};

}  // namespace

std::string new_key(Site& site) {
    std::string key;
    for (int i = 0; i < 4; ++i) key += std::format("{:016x}", site.world.random().next());
    return key;
}

std::string zone_of(const std::string& machine) {
    return std::format("z{}", machine.back() % 3);
}

Machine::Machine(Site& site, std::string machine_name)
    : name(std::move(machine_name)), address(name + ":5055"), site_(site) {}

Machine::~Machine() {
    if (running()) site_.checker.forget_life(*this);
    node.reset();
}

core::cluster::CertifiedNode Machine::certificate() const {
    return {kClusterId, core::NodeId{installation->id}, installation->generation, true};
}

void Machine::install(uint64_t id, std::string key) {
    ProcessOptions options;
    options.id = id;
    options.log = site_.log;
    options.segment_bytes = (8 + site_.below(56)) * 1024;
    options.snapshot_log_bytes = (6 + site_.below(40)) * 1024;
    options.feed_ring_records = 16 + site_.below(60);
    options.feature_level_max = feature_level_max;
    if (installation) emptied_.push_back(std::move(installation->process));
    installation = std::make_unique<Installation>();
    installation->id = id;
    installation->key = std::move(key);
    installation->process = std::make_unique<Process>(site_.world, site_.network, options);
    installation->process->after_event = [this](Process&) { site_.checker.look(*this); };
    recoveries_ = 0;
}

void Machine::boot() {
    if (running() || !installation) return;
    Process& process = *installation->process;
    process.options().feature_level_max = feature_level_max;
    addresses.clear();
    if (auto booted = process.boot(); !booted) return boot_failed(booted.error());
    node = std::make_unique<Node>(site_, *this);
    site_.world.trace(std::format("{} is up as n{}", name, installation->id));
    site_.checker.look(*this);
}

void Machine::boot_failed(const core::Error& error) {
    site_.world.trace(std::format("{} does not start: {}", name, error.to_string()));
    if (error.code == core::Errc::kUnsupported) {
        feature_level_max = storage::state::kFeatureLevelMax;
        site_.note(Event::kVersionInstalled, name);
    } else if (error.code != core::Errc::kDiskFull && error.code != core::Errc::kIo) {
        return site_.world.violate(std::format("{} does not start: {}", name, error.to_string()));
    }
    site_.world.schedule(kBootRetry, [this] {
        if (!held_down) boot();
    });
}

void Machine::crash(bool power) {
    if (!running()) return;
    recoveries_ = node->status().recoveries;
    site_.checker.forget_life(*this);
    node.reset();
    installation->process->crash(power);
    // A machine without power resets nothing.
    if (!power) site_.network.lose(installation->id);
    site_.mesh.gone(installation->id);
    site_.world.trace(std::format("{} is down", name));
}

void Machine::restart(bool power, core::Duration after) {
    crash(power);
    site_.world.schedule(after, [this] {
        if (!held_down) boot();
    });
}

void Machine::empty() {
    crash(false);
    if (installation) {
        site_.note(Event::kMachineEmptied, name);
        site_.checker.forget_disk(*this);
        emptied_.push_back(std::move(installation->process));
    }
    installation.reset();
    left_behind = false;
}

core::Result<storage::RecoveryReport> Machine::recover() {
    feature_level_max = storage::state::kFeatureLevelMax;
    installation->process->options().feature_level_max = feature_level_max;
    const storage::Server self{
        .id = {installation->id}, .address = address, .role = storage::ServerRole::kVoter};
    TRY_ASSIGN(auto report, installation->process->recover(self));
    installation->epoch = report.revision.epoch;
    ++recoveries_;
    return report;
}

}  // namespace smackd::sim::cluster
