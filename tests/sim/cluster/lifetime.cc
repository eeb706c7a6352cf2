#include "tests/sim/cluster/lifetime.h"

#include <algorithm>
#include <format>

#include "storage/sqlite/vfs.h"
#include "tests/sim/cluster/machine.h"
#include "tests/sim/cluster/site.h"
#include "tests/sim/cluster/story.h"
#include "tests/sim/trace_sink.h"

namespace smackd::sim::cluster {
namespace {

constexpr core::seconds kConvergeMax{90};  // virtual, after everything works again
constexpr core::milliseconds kLook{100};
constexpr uint64_t kWriters = 2;

/// An append request names its leader: field 3 of the message, field 1 of the request is the term. 0: none.
uint64_t leader_term(core::BytesView bytes) {
    if (bytes.empty() || bytes[0] != 0x1A) return 0;
    size_t at = 1;
    while (at < bytes.size() && (static_cast<unsigned char>(bytes[at]) & 0x80U) != 0) ++at;
    ++at;
    if (at >= bytes.size() || bytes[at] != 0x08) return 0;
    uint64_t term = 0;
    for (unsigned shift = 0; ++at < bytes.size(); shift += 7) {
        term |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[at]) & 0x7FU) << shift;
        if ((static_cast<unsigned char>(bytes[at]) & 0x80U) == 0) break;
    }
    return term;
}

class Lifetime {
 public:
    Lifetime(uint64_t seed, bool trace)
        : site_(seed), sink_(site_.world), administrator_(site_), story_(site_, administrator_) {
        storage::sqlite::seed_sqlite_for_simulation(static_cast<int>(seed % 1'000'000'007) + 1);
        site_.world.set_trace(trace);
        site_.log = &sink_;
        site_.network.sniffer = [this](uint64_t from, uint64_t, core::BytesView bytes) {
            if (const uint64_t term = leader_term(bytes)) site_.checker.leads(from, term);
        };
    }

    /// They log as they end.
    ~Lifetime() { site_.machines.clear(); }

    LifetimeResult run() {
        story_.start();
        for (uint64_t i = 1; i <= kWriters; ++i) {
            writers_.push_back(std::make_unique<Writer>(site_, i));
            writers_.back()->start();
        }
        run_for(site_.between(5000, 14'000));
        story_.end();
        run_for(site_.between(0, 1000));
        for (const auto& writer : writers_) writer->stop();
        converge();
        if (!site_.world.violation().empty()) trace_machines();
        return collect();
    }

 private:
    void run_for(core::Duration duration) {
        const core::Instant end = site_.world.now() + duration;
        while (site_.world.violation().empty() && site_.world.now() < end) site_.world.run_one();
    }

    void converge() {
        const core::Instant limit = site_.world.now() + kConvergeMax;
        while (site_.world.violation().empty() && site_.world.now() < limit) {
            run_for(kLook);
            if (!site_.world.violation().empty()) return;
            missing_ = what_is_missing();
            if (missing_.empty()) return site_.checker.compare_all(members());
        }
        if (site_.world.violation().empty()) {
            site_.world.violate(std::format("no convergence within {} s after everything was healed: {}",
                                            kConvergeMax.count(), missing_));
        }
    }

    std::vector<Machine*> members() const {
        std::vector<Machine*> members;
        for (const auto& machine : site_.machines) {
            if (machine->wanted == Wanted::kMember) members.push_back(machine.get());
        }
        return members;
    }

    /// Everybody who is wanted runs, is a server of the configuration and at the same place as the others.
    std::string what_is_missing() {
        for (const auto& writer : writers_) {
            if (!writer->idle()) return "a write is not answered";
        }
        if (!administrator_.idle()) return "the administrator waits";
        Machine* leader = site_.leader();
        if (leader == nullptr) return "there is no leader";
        const storage::ReplicaStatus led = leader->node->status();
        if (led.recoveries + 1 != site_.checker.epoch()) return "the leader is of an older epoch";
        const auto wanted = members();
        if (led.servers.size() != wanted.size())
            return std::format("{} servers instead of {}", led.servers.size(), wanted.size());
        for (Machine* machine : wanted) {
            const auto server = std::ranges::find(led.servers, machine->id(), &storage::Server::id);
            if (machine->busy || !machine->running() || server == led.servers.end())
                return machine->name + " is out";
            if (server->role == storage::ServerRole::kSpare) return machine->name + " is a spare";
            const storage::ReplicaStatus status = machine->node->status();
            const bool there = status.alarms.empty() && status.applied_index == led.last_index &&
                               status.commit_index == led.last_index && status.last_index == led.last_index;
            if (!there) return machine->name + " is not where the leader is";
        }
        const auto voters = static_cast<size_t>(
            std::ranges::count(led.servers, storage::ServerRole::kVoter, &storage::Server::role));
        const size_t enough = core::cluster::voters_wanted(wanted.size());
        const bool pair = wanted.size() == 2 && voters == 2;  // stays one
        if (voters != enough && !pair) return std::format("{} voters instead of {}", voters, enough);
        return where_voters_crowd(led);
    }

    /// A zone with two voters more than another one that has a standby.
    std::string where_voters_crowd(const storage::ReplicaStatus& led) {
        std::map<std::string, size_t> voters;
        std::set<std::string> standbys;
        for (const storage::Server& server : led.servers) {
            const std::string zone = site_.checker.registry().zone_of(server.id.value);
            voters[zone] += server.role == storage::ServerRole::kVoter ? 1 : 0;
            if (server.role != storage::ServerRole::kVoter) standbys.insert(zone);
        }
        for (const auto& [zone, count] : voters) {
            for (const std::string& other : standbys) {
                if (voters[other] + 2 <= count)
                    return std::format("{} voters in {}, {} in {}", count, zone, voters[other], other);
            }
        }
        return {};
    }

    /// For whoever reads a failure: where everybody stood.
    void trace_machines() {
        for (const auto& machine : site_.machines) {
            if (!machine->installation) continue;
            if (!machine->running()) {
                site_.world.trace(std::format("{} (n{}): down{}{}", machine->name, machine->id().value,
                                              machine->held_down ? " held" : "",
                                              machine->busy ? " busy" : ""));
                continue;
            }
            const storage::ReplicaStatus status = machine->node->status();
            std::string line = std::format(
                "{} (n{}): role {} term {} leader {} epoch {} last {} commit {} applied {} revision {}",
                machine->name, machine->id().value, static_cast<int>(status.role), status.term.value,
                status.leader.value, status.recoveries, status.last_index.value, status.commit_index.value,
                status.applied_index.value, machine->node->process().state().revision().to_string());
            for (const auto& server : status.servers)
                line += std::format(" {}={}", server.id.value, static_cast<int>(server.role));
            for (const auto& alarm : status.alarms)
                line += std::format(" [{}: {}]", alarm.name, alarm.message);
            if (machine->left_behind) line += " left behind";
            if (machine->busy) line += " busy";
            site_.world.trace(line);
        }
    }

    LifetimeResult collect() {
        LifetimeResult result;
        result.violation = site_.world.violation();
        result.lines = site_.world.lines();
        result.counts = site_.counts;
        result.members = members().size();
        result.messages = site_.network.counts().sent;
        result.events = site_.world.events();
        result.virtual_ms = static_cast<uint64_t>(site_.world.now_ms());
        return result;
    }

    Site site_;
    TraceSink sink_;
    Administrator administrator_;
    Story story_;
    std::vector<std::unique_ptr<Writer>> writers_;
    std::string missing_;
};

}  // namespace

LifetimeResult run_lifetime(uint64_t seed, bool trace) {
    return Lifetime(seed, trace).run();
}

}  // namespace smackd::sim::cluster
