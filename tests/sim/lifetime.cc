#include "tests/sim/lifetime.h"

#include <format>

#include "core/wire/command.pb.h"
#include "core/wire/raft.pb.h"
#include "tests/sim/subscriber.h"
#include "tests/sim/trace_sink.h"

namespace smackd::sim {
namespace {

constexpr core::seconds kFaultsMax{120};   // virtual; whoever has not done its work by then does it without
constexpr core::seconds kConvergeMax{60};  // virtual, after everything works again
constexpr uint64_t kClients = 10;

class Lifetime {
 public:
    explicit Lifetime(const LifetimeOptions& options)
        : options_(options), world_(options.seed), network_(world_), sink_(world_), checker_(world_) {
        world_.set_trace(options.trace);
    }

    LifetimeResult run() {
        storage::sqlite::seed_sqlite_for_simulation(static_cast<int>(options_.seed % 1'000'000'007) + 1);
        build();
        work();
        if (world_.violation().empty()) converge();
        if (!world_.violation().empty()) trace_servers();
        return collect();
    }

 private:
    void build() {
        const uint64_t die = world_.random().below(8);
        const uint64_t count = die == 0 ? 1 : die < 3 ? 5 : 3;
        std::vector<storage::Server> servers;
        for (uint64_t id = 1; id <= count; ++id) {
            servers.push_back(storage::Server{
                .id = {id}, .address = std::format("n{}:1", id), .role = storage::ServerRole::kVoter});
        }
        ProcessOptions process;
        process.log = &sink_;
        process.segment_bytes = (8 + world_.random().below(56)) * 1024;
        process.feed_ring_records = 2 + world_.random().below(60);
        process.snapshot_log_bytes = (6 + world_.random().below(90)) * 1024;
        network_.sniffer = [this](uint64_t from, uint64_t to, core::BytesView bytes) {
            sniff(from, bytes);
            if (options_.messages) trace_message(from, to, bytes);
        };
        for (const storage::Server& server : servers) {
            process.id = server.id.value;
            auto made = std::make_unique<Process>(world_, network_, process);
            if (auto begun = made->bootstrap(servers); !begun)
                world_.violate("bootstrap: " + begun.error().to_string());
            made->after_event = [this](Process& p) { after_event(p); };
            processes_[server.id.value] = std::move(made);
        }
        faults_ = std::make_unique<Faults>(world_, network_, processes_, checker_);
        faults_->start();
        for (auto& [id, made] : processes_) faults_->boot(*made);
    }

    void after_event(Process& process) {
        if (process.disk().stopped()) return faults_->check(process);
        checker_.look(process);
    }

    void trace_message(uint64_t from, uint64_t to, core::BytesView bytes) {
        wire::RaftMessage message;
        if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
        std::string text = std::format("kind {}", static_cast<int>(message.body_case()));
        if (message.has_append_entries()) {
            const auto& append = message.append_entries();
            text = std::format("append term {} prev {}^{} entries {} commit {}", append.term(),
                               append.prev_log_index(), append.prev_log_term(), append.entries_size(),
                               append.leader_commit());
        } else if (message.has_append_entries_result()) {
            const auto& result = message.append_entries_result();
            text = std::format("append result term {} rejected {} last {}", result.term(), result.rejected(),
                               result.last_log_index());
        } else if (message.has_request_vote()) {
            const auto& vote = message.request_vote();
            text = std::format("vote? term {} last {}^{} pre {}", vote.term(), vote.last_log_index(),
                               vote.last_log_term(), vote.pre_vote());
        } else if (message.has_request_vote_result()) {
            const auto& result = message.request_vote_result();
            text = std::format("vote result term {} granted {} pre {}", result.term(), result.vote_granted(),
                               result.pre_vote());
        }
        world_.trace(std::format("n{} > n{} {}", from, to, text));
    }

    /// An append request names its leader: field 3 of the message, field 1 of the request is the term.
    void sniff(uint64_t from, core::BytesView bytes) {
        if (bytes.empty() || bytes[0] != 0x1A) return;
        size_t at = 1;
        while (at < bytes.size() && (static_cast<unsigned char>(bytes[at]) & 0x80U) != 0) ++at;
        ++at;
        if (at >= bytes.size() || bytes[at] != 0x08) return;
        uint64_t term = 0;
        for (unsigned shift = 0; ++at < bytes.size(); shift += 7) {
            term |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[at]) & 0x7FU) << shift;
            if ((static_cast<unsigned char>(bytes[at]) & 0x80U) == 0) break;
        }
        checker_.leads(from, term);
    }

    void work() {
        for (uint64_t i = 1; i <= kClients; ++i) {
            clients_.push_back(std::make_unique<Client>(world_, processes_, checker_, i));
            clients_.back()->start([this] { return acknowledged_ >= options_.operations; },
                                   [this] { on_acknowledged(); });
        }
        for (const char* kind : {"", "user"}) {
            subscribers_.push_back(std::make_unique<Subscriber>(world_, processes_, checker_, kind));
            subscribers_.back()->start();
        }
        if (work_until(world_.now() + kFaultsMax)) return;
        faults_->heal();
        if (work_until(world_.now() + kConvergeMax) || !world_.violation().empty()) return;
        world_.violate(
            std::format("only {} of {} operations are acknowledged {} s after everything was healed",
                        acknowledged_, options_.operations, kConvergeMax.count()));
    }

    bool work_until(core::Instant limit) {
        while (world_.violation().empty() && acknowledged_ < options_.operations && world_.now() < limit)
            world_.run_one();
        return acknowledged_ >= options_.operations;
    }

    void on_acknowledged() {
        ++acknowledged_;
        if (acknowledged_ == options_.operations / 2 && faults_->has(Fault::kOldVersion)) {
            wire::Command raise;
            raise.mutable_actor()->set_kind(wire::Actor::SYSTEM);
            raise.mutable_actor()->set_door("sim");
            raise.set_client(1000);
            raise.set_sequence(1);
            raise.add_changes()->mutable_raise_feature_level()->set_level(2);
            clients_.front()->push(raise.SerializeAsString());
        }
    }

    /// Without faults the cluster must come together again, whoever was damaged or far behind.
    void converge() {
        faults_->heal();
        const core::Instant limit = world_.now() + kConvergeMax;
        core::Instant next_look{};
        while (world_.violation().empty() && world_.now() < limit) {
            world_.run_one();
            if (world_.now() < next_look) continue;
            next_look = world_.now() + core::milliseconds{50};
            promote_standbys();
            if (converged()) {
                compare();
                return;
            }
        }
        if (!world_.violation().empty()) return;
        world_.violate(
            std::format("no convergence within {} s after everything was healed", kConvergeMax.count()));
    }

    void compare() {
        checker_.compare_all(processes_);
        Process& one = *processes_.begin()->second;
        for (const auto& subscriber : subscribers_) {
            subscriber->visit(one);
            if (subscriber->position() != one.state().revision().number)
                world_.violate(std::format("a watch ends at revision {}, the state at {}",
                                           subscriber->position(), one.state().revision().number));
        }
    }

    /// For whoever reads a failure: where everybody stood.
    void trace_servers() {
        for (auto& [id, process] : processes_) {
            if (!process->up()) {
                world_.trace(std::format("n{}: down", id));
                continue;
            }
            const auto status = process->replica().status();
            std::string line = std::format("n{}: role {} term {} last {} commit {} applied {} revision {}",
                                           id, static_cast<int>(status.role), status.term.value,
                                           status.last_index.value, status.commit_index.value,
                                           status.applied_index.value, process->state().revision().number);
            for (const auto& server : status.servers)
                line += std::format(" {}={}", server.id.value, static_cast<int>(server.role));
            for (const auto& alarm : status.alarms)
                line += std::format(" [{}: {}]", alarm.name, alarm.message);
            world_.trace(line);
        }
    }

    void promote_standbys() {
        for (auto& [id, process] : processes_) {
            if (!process->up() || process->replica().status().role != storage::ReplicaRole::kLeader) continue;
            for (const auto& server : process->replica().status().servers) {
                if (server.role == storage::ServerRole::kVoter) continue;
                process->replica().assign_role(server.id, storage::ServerRole::kVoter,
                                               [](core::Result<void>) {});
                return;
            }
        }
    }

    bool converged() {
        for (const auto& client : clients_) {
            if (!client->idle()) return false;
        }
        bool leader = false;
        core::Index applied;
        for (auto& [id, process] : processes_) {
            if (!process->up()) return false;
            const auto status = process->replica().status();
            leader = leader || (status.role == storage::ReplicaRole::kLeader && status.may_plan);
            if (!status.alarms.empty() || status.applied_index != status.commit_index ||
                status.last_index != status.commit_index)
                return false;
            if (applied.value != 0 && status.applied_index != applied) return false;
            applied = status.applied_index;
            for (const auto& server : status.servers) {
                if (server.role != storage::ServerRole::kVoter) return false;
            }
        }
        return leader;
    }

    LifetimeResult collect() {
        LifetimeResult result;
        result.violation = world_.violation();
        result.lines = world_.lines();
        result.faults = faults_->counts();
        result.network = network_.counts();
        result.servers = processes_.size();
        result.acknowledged = acknowledged_;
        for (const auto& subscriber : subscribers_) result.feed_visits += subscriber->visits();
        result.events = world_.events();
        result.virtual_ms = static_cast<uint64_t>(world_.now_ms());
        result.revisions = checker_.revisions();
        for (const auto& client : clients_) {
            result.clients.writes += client->counts().writes;
            result.clients.reads += client->counts().reads;
            result.clients.retries += client->counts().retries;
            result.clients.unknown += client->counts().unknown;
            result.clients.refused += client->counts().refused;
            result.clients.invalid += client->counts().invalid;
        }
        for (auto& [id, process] : processes_) {
            result.lives += process->lives();
            result.torn += process->disk().torn_writes();
            result.lost += process->disk().lost_writes();
            result.full_writes += process->disk().full_writes();
            checker_.forget_life(*process);
            const LifeCounts& counts = process->counts();
            result.elections += counts.elections;
            result.installs += counts.installs;
            result.snapshots += counts.snapshots;
        }
        return result;
    }

    const LifetimeOptions options_;
    World world_;
    Network network_;
    TraceSink sink_;
    Checker checker_;
    Processes processes_;
    std::unique_ptr<Faults> faults_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::vector<std::unique_ptr<Subscriber>> subscribers_;
    uint64_t acknowledged_ = 0;
};

}  // namespace

LifetimeResult run_lifetime(const LifetimeOptions& options) {
    return Lifetime(options).run();
}

}  // namespace smackd::sim
