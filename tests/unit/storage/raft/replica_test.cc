#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <format>
#include <map>

#include "core/wire/command.pb.h"
#include "core/wire/raft.pb.h"
#include "storage/log/metadata.h"
#include "storage/log/record.h"
#include "tests/sim/process.h"

using namespace smackd;

namespace {

/// Some servers in virtual time, without faults but those a test brings about.
struct Cluster {
    explicit Cluster(uint64_t count, uint64_t snapshot_log_bytes = 32 * 1024, uint64_t seed = 42)
        : world(seed) {
        std::vector<storage::Server> servers;
        for (uint64_t id = 1; id <= count; ++id) {
            servers.push_back(
                {.id = {id}, .address = std::format("n{}:1", id), .role = storage::ServerRole::kVoter});
        }
        for (const storage::Server& server : servers) {
            sim::ProcessOptions options;
            options.id = server.id.value;
            options.snapshot_log_bytes = snapshot_log_bytes;
            processes[options.id] = std::make_unique<sim::Process>(world, network, options);
            REQUIRE(processes[options.id]->bootstrap(servers).has_value());
            REQUIRE(processes[options.id]->boot().has_value());
        }
    }
    sim::Process& operator[](uint64_t id) { return *processes[id]; }

    void run(core::Duration duration) {
        const core::Instant end = world.now() + duration;
        bool over = false;
        world.schedule(duration, [&over] { over = true; });
        while (!over && world.now() <= end) world.run_one();
    }
    uint64_t leader() {
        for (int i = 0; i < 200; ++i) {
            for (auto& [id, process] : processes) {
                if (process->up() && process->replica().status().may_plan) return id;
            }
            run(core::milliseconds{50});
        }
        return 0;
    }
    /// An empty server that server 1 is told to add; it is not waited for.
    void begin_standby(uint64_t id) {
        sim::ProcessOptions options;
        options.id = id;
        processes[id] = std::make_unique<sim::Process>(world, network, options);
        REQUIRE(processes[id]->boot().has_value());
        processes[1]->replica().add_server(
            {.id = {id}, .address = std::format("n{}:1", id), .role = storage::ServerRole::kStandby},
            [](core::Result<void>) {});
    }
    using Answer = std::shared_ptr<std::optional<core::Result<core::Bytes>>>;
    Answer propose(uint64_t id, const std::string& name, const std::string& value) {
        wire::Command command;
        command.mutable_actor()->set_kind(wire::Actor::SYSTEM);
        command.add_changes()->mutable_put_setting()->set_name(name);
        command.mutable_changes(0)->mutable_put_setting()->set_value(value);
        auto answer = std::make_shared<std::optional<core::Result<core::Bytes>>>();
        processes[id]->replica().propose(
            command.SerializeAsString(),
            [answer](core::Result<core::Bytes> result) { *answer = std::move(result); });
        return answer;
    }
    /// Proposes on `id` and waits for the answer.
    core::Result<wire::CommandResult> put(uint64_t id, const std::string& name, const std::string& value) {
        const Answer answer = propose(id, name, value);
        for (int i = 0; i < 400 && !*answer; ++i) run(core::milliseconds{10});
        if (!*answer) return core::fail(core::Errc::kTimeout, "no answer");
        if (!**answer) return core::pass(std::move(**answer));
        wire::CommandResult parsed;
        parsed.ParseFromString(***answer);
        return parsed;
    }

    sim::World world;
    sim::Network network{world};
    std::map<uint64_t, std::unique_ptr<sim::Process>> processes;
};

bool has_alarm(sim::Process& process, std::string_view name) {
    for (const storage::Alarm& alarm : process.replica().status().alarms) {
        if (alarm.name == name) return true;
    }
    return false;
}

/// Mean milliseconds until another one leads after the leader was cut off, over clusters of three.
double mean_election_ms(bool hears, bool is_heard) {
    constexpr uint64_t kClusters = 40;
    int64_t sum = 0;
    for (uint64_t seed = 1; seed <= kClusters; ++seed) {
        Cluster cluster(3, 32 * 1024, seed);
        const uint64_t old = cluster.leader();
        cluster.run(core::milliseconds{static_cast<int64_t>(1000 + seed * 7)});
        for (const uint64_t other : {1U, 2U, 3U}) {
            if (other == old) continue;
            if (!is_heard) cluster.network.cut(old, other);
            if (!hears) cluster.network.cut(other, old);
        }
        const int64_t begin = cluster.world.now_ms();
        const auto another_leads = [&] {
            return std::ranges::any_of(cluster.processes, [&](const auto& one) {
                return one.first != old &&
                       one.second->replica().status().role == storage::ReplicaRole::kLeader;
            });
        };
        for (int i = 0; i < 1000 && !another_leads(); ++i) cluster.run(core::milliseconds{5});
        REQUIRE(another_leads());
        sum += cluster.world.now_ms() - begin;
    }
    return static_cast<double>(sum) / static_cast<double>(kClusters);
}

}  // namespace

// Timeouts are drawn from 450 to 900 ms: the earlier of two comes after 600 ms on average, the later after
// 750.
TEST_CASE("replica: the first follower that misses its leader is helped by the others") {
    CHECK(mean_election_ms(false, false) < 700);
    CHECK(mean_election_ms(true, false) < 700);
}

TEST_CASE("replica: a leader that hears nobody for one election timeout says so to those who hear it") {
    CHECK(mean_election_ms(false, true) < 600);
}

TEST_CASE("replica: one server alone leads at once, and what it acknowledged survives a power failure") {
    Cluster cluster(1);
    REQUIRE(cluster.leader() == 1);
    CHECK(cluster.world.now_ms() < 200);
    for (int i = 0; i < 50; ++i) {
        const auto result = cluster.put(1, "a", std::to_string(i));
        REQUIRE(result.has_value());
        REQUIRE(result->code() == 0);
        if (i % 7 != 0) continue;
        const uint64_t revision = result->revision();
        cluster[1].crash(true);
        REQUIRE(cluster[1].boot().has_value());
        REQUIRE(cluster.leader() == 1);
        REQUIRE(cluster[1].state().revision().number >= revision);
    }
}

TEST_CASE("replica: alone, a damaged log is refused with what is lost, until recover accepts it") {
    Cluster cluster(1, 1 << 20U);
    REQUIRE(cluster.leader() == 1);
    for (int i = 0; i < 20; ++i) REQUIRE(cluster.put(1, "a", std::to_string(i)).has_value());
    cluster[1].crash(true);
    auto file = cluster[1].disk().open("/data/raft/log/log-00000000000000000001", core::OpenMode::kReadWrite);
    REQUIRE(file.has_value());
    char byte = 0;
    REQUIRE((*file)->read_at(512 * 9 + 100, &byte, 1).has_value());
    byte = static_cast<char>(byte ^ 0x20);
    REQUIRE((*file)->write_at(512 * 9 + 100, core::BytesView(&byte, 1)).has_value());
    const auto refused = cluster[1].boot();
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == core::Errc::kCorrupt);
    CHECK(refused.error().message.contains("of the log may be lost"));
    CHECK(refused.error().message.contains("recover"));
    REQUIRE_FALSE(cluster[1].boot().has_value());  // nothing was changed by trying

    const auto report =
        cluster[1].recover({.id = {1}, .address = "n1:1", .role = storage::ServerRole::kVoter});
    REQUIRE(report.has_value());
    CHECK(report->lost.size() == 1);
    CHECK(report->revision.epoch == 2);
    REQUIRE(cluster[1].boot().has_value());
    REQUIRE(cluster.leader() == 1);
    const auto after = cluster.put(1, "b", "new");
    REQUIRE(after.has_value());
    CHECK(after->code() == 0);
}

TEST_CASE("replica: the survivor of three goes on alone after recover") {
    Cluster cluster(3);
    const uint64_t leader = cluster.leader();
    REQUIRE(leader != 0);
    const auto before = cluster.put(leader, "a", "1");
    REQUIRE(before.has_value());
    for (auto& [id, process] : cluster.processes) process->crash(true);
    const auto report =
        cluster[leader].recover({.id = {leader}, .address = "x:1", .role = storage::ServerRole::kVoter});
    REQUIRE(report.has_value());
    CHECK(report->lost.empty());
    CHECK(report->servers.size() == 3);
    CHECK(report->revision.epoch == before->epoch() + 1);
    CHECK(report->revision.number == before->revision() + 1);
    REQUIRE(cluster[leader].boot().has_value());
    REQUIRE(cluster.leader() == leader);
    CHECK(cluster[leader].state().revision() == report->revision);
    CHECK(cluster[leader].replica().status().servers.size() == 1);
}

TEST_CASE("replica: a majority left behind by recover cannot pull the recovered server back") {
    Cluster cluster(3);
    const uint64_t leader = cluster.leader();
    const uint64_t alone = leader == 1 ? 2 : 1;
    REQUIRE(cluster.put(leader, "a", "1").has_value());
    cluster.run(core::seconds{1});
    for (auto& [id, process] : cluster.processes) process->crash(true);
    REQUIRE(cluster[alone].recover({.id = {alone}, .address = "x:1", .role = storage::ServerRole::kVoter}));
    for (auto& [id, process] : cluster.processes) REQUIRE(process->boot().has_value());
    cluster.run(core::seconds{5});
    // The others elect one of them and send it entries; it hears none of that.
    const auto own = cluster.put(alone, "b", "own");
    REQUIRE(own.has_value());
    CHECK(own->epoch() == 2);
    uint64_t theirs = 0;
    for (auto& [id, process] : cluster.processes) {
        if (id != alone && process->replica().status().may_plan) theirs = id;
    }
    REQUIRE(theirs != 0);
    for (int i = 0; i < 20; ++i) REQUIRE(cluster.put(theirs, "c", std::to_string(i)).has_value());
    cluster.run(core::seconds{5});
    CHECK(cluster[alone].replica().status().role == storage::ReplicaRole::kLeader);
    CHECK(storage::recoveries_of(cluster[alone].replica().status().epoch) == 1);
    CHECK(cluster[alone].state().revision().number == own->revision());

    // Asked in with its old data, one of them refuses and says so; with an empty disk it joins.
    std::optional<core::Result<void>> outcome;
    const auto note = [&](core::Result<void> result) { outcome = std::move(result); };
    cluster[alone].replica().add_server(
        {.id = {theirs}, .address = "y:1", .role = storage::ServerRole::kVoter}, note);
    cluster.run(core::seconds{3});
    CHECK(has_alarm(cluster[theirs], "older_epoch"));
    CHECK(cluster[theirs].state().revision().epoch == 1);
}

TEST_CASE("replica: two servers recovered apart from each other stay two clusters") {
    Cluster cluster(3);
    REQUIRE(cluster.put(cluster.leader(), "a", "1").has_value());
    cluster.run(core::seconds{1});
    for (auto& [id, process] : cluster.processes) process->crash(true);
    for (const uint64_t id : {uint64_t{1}, uint64_t{2}}) {
        REQUIRE(cluster[id].recover({.id = {id}, .address = "x:1", .role = storage::ServerRole::kVoter}));
        REQUIRE(cluster[id].boot().has_value());
    }
    cluster.run(core::seconds{5});
    REQUIRE(cluster.put(1, "b", "of the first").has_value());
    REQUIRE(cluster.put(2, "b", "of the second").has_value());
    CHECK(storage::recoveries_of(cluster[1].replica().status().epoch) == 1);
    CHECK(storage::recoveries_of(cluster[2].replica().status().epoch) == 1);

    // One asks the other in: nothing of it is heard, and both say why.
    const std::string first = cluster[1].state().digest().value();
    const std::string second = cluster[2].state().digest().value();
    cluster[1].replica().add_server({.id = {2}, .address = "y:1", .role = storage::ServerRole::kVoter},
                                    [](core::Result<void>) {});
    cluster.run(core::seconds{5});
    CHECK(has_alarm(cluster[2], "recovered_apart"));
    CHECK(cluster[1].state().digest().value() == first);
    CHECK(cluster[2].state().digest().value() == second);
    CHECK(cluster[2].replica().status().servers.size() == 1);
    CHECK(cluster[2].replica().status().role == storage::ReplicaRole::kLeader);
}

TEST_CASE("replica: an empty server joins a recovered one") {
    Cluster cluster(3);
    const uint64_t leader = cluster.leader();
    for (auto& [id, process] : cluster.processes) process->crash(true);
    REQUIRE(cluster[leader].recover({.id = {leader}, .address = "x:1", .role = storage::ServerRole::kVoter}));
    REQUIRE(cluster[leader].boot().has_value());
    REQUIRE(cluster.leader() == leader);
    sim::ProcessOptions options;
    options.id = 4;
    cluster.processes[4] = std::make_unique<sim::Process>(cluster.world, cluster.network, options);
    REQUIRE(cluster[4].boot().has_value());
    std::optional<core::Result<void>> outcome;
    cluster[leader].replica().add_server({.id = {4}, .address = "n4:1", .role = storage::ServerRole::kVoter},
                                         [&](core::Result<void> result) { outcome = std::move(result); });
    cluster.run(core::seconds{5});
    REQUIRE(outcome.has_value());
    CHECK(outcome->has_value());
    CHECK(cluster[4].replica().status().epoch == cluster[leader].replica().status().epoch);
    CHECK(storage::recoveries_of(cluster[4].replica().status().epoch) == 1);
    cluster[4].crash(true);
    REQUIRE(cluster[4].boot().has_value());
    cluster.run(core::seconds{2});
    CHECK(cluster[4].state().revision() == cluster[leader].state().revision());
}

TEST_CASE("replica: a newcomer whose power fails in its first moments starts again") {
    for (int cut = 0; cut < 40; ++cut) {
        CAPTURE(cut);
        Cluster cluster(1);
        REQUIRE(cluster.leader() == 1);
        cluster.begin_standby(2);
        cluster.run(std::chrono::microseconds{250 * cut});
        cluster[2].crash(true);
        REQUIRE(cluster[2].boot().has_value());
        cluster.run(core::seconds{2});
        CHECK(cluster[2].state().revision() == cluster[1].state().revision());
    }
}

TEST_CASE("replica: a sole voter that lost what its standby holds already begins a new term") {
    const auto value = [](sim::Process& process) -> std::string {
        auto view = process.reader().view();
        REQUIRE(view.has_value());
        const auto row = view->setting("a");
        REQUIRE(row.has_value());
        return *row ? (*row)->put.value() : "";
    };
    for (int cut = 0; cut < 40; ++cut) {
        CAPTURE(cut);
        Cluster cluster(1);
        REQUIRE(cluster.leader() == 1);
        cluster.begin_standby(2);
        cluster.run(core::seconds{2});
        cluster.propose(1, "a", "of before the power failure");
        cluster.run(std::chrono::microseconds{100 * cut});
        cluster[1].crash(true);
        cluster.run(core::milliseconds{100});
        REQUIRE(cluster[1].boot().has_value());
        REQUIRE(cluster.leader() == 1);
        REQUIRE(cluster.put(1, "a", "of after it").has_value());
        cluster.run(core::seconds{2});
        CHECK(value(cluster[2]) == "of after it");
        CHECK(cluster[2].state().revision() == cluster[1].state().revision());
    }
}

TEST_CASE("replica: recover goes on from the newest snapshot when the state is lost") {
    Cluster cluster(1, 8 * 1024);
    REQUIRE(cluster.leader() == 1);
    uint64_t revision = 0;
    for (int i = 0; i < 300; ++i) {
        const auto put = cluster.put(1, std::format("k{}", i), std::string(200, 'x'));
        REQUIRE(put.has_value());
        revision = put->revision();
    }
    cluster[1].crash(true);
    for (const char* name : {"state.db", "state.db-wal", "secrets.db", "realm/realm.db"})
        (void)cluster[1].disk().remove(std::format("/data/state/{}", name));
    const auto report =
        cluster[1].recover({.id = {1}, .address = "x:1", .role = storage::ServerRole::kVoter});
    REQUIRE(report.has_value());
    CHECK(report->applied == core::Index{0});
    CHECK(report->snapshot.value > 0);
    CHECK(report->revision == core::Revision{2, revision + 1});
    REQUIRE(cluster[1].boot().has_value());
    REQUIRE(cluster.leader() == 1);
    CHECK(cluster[1].state().revision() == report->revision);
}

TEST_CASE("replica: recover keeps a state that is ahead of a damaged log, also when it is repeated") {
    Cluster cluster(1, 1 << 20U);
    REQUIRE(cluster.leader() == 1);
    uint64_t revision = 0;
    for (int i = 0; i < 20; ++i) revision = cluster.put(1, "a", std::to_string(i))->revision();
    cluster[1].crash(false);  // the state's files keep what the log is about to lose
    auto file = cluster[1].disk().open("/data/raft/log/log-00000000000000000001", core::OpenMode::kReadWrite);
    REQUIRE(file.has_value());
    REQUIRE((*file)->write_at(512 * 9 + 100, "damage").has_value());
    REQUIRE_FALSE(cluster[1].boot().has_value());
    const storage::Server self{.id = {1}, .address = "n1:1", .role = storage::ServerRole::kVoter};
    const auto report = cluster[1].recover(self);
    REQUIRE(report.has_value());
    CHECK(report->lost.size() == 1);
    CHECK(report->applied == report->last);
    CHECK(report->revision == core::Revision{2, revision + 1});
    const auto again = cluster[1].recover(self);
    REQUIRE(again.has_value());
    CHECK(again->lost.empty());
    CHECK(again->revision == core::Revision{3, revision + 2});
    REQUIRE(cluster[1].boot().has_value());
    REQUIRE(cluster.leader() == 1);
    CHECK(cluster.put(1, "b", "new").has_value());
}

TEST_CASE("replica: a follower names the leader, and another leads when it is gone") {
    Cluster cluster(3);
    const uint64_t first = cluster.leader();
    REQUIRE(first != 0);
    const uint64_t follower = first == 1 ? 2 : 1;
    cluster.run(core::milliseconds{300});
    const auto refused = cluster.put(follower, "a", "1");
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == core::Errc::kUnavailable);
    CHECK(refused.error().message.contains(std::format("server {}", first)));
    REQUIRE(cluster.put(first, "a", "1").has_value());
    cluster[first].crash(true);
    cluster.run(core::milliseconds{2500});
    const uint64_t second = cluster.leader();
    CHECK(second != 0);
    CHECK(second != first);
    CHECK(cluster.put(second, "a", "2").has_value());
}

TEST_CASE("replica: a server far behind is brought back by a snapshot in chunks") {
    Cluster cluster(3, 8 * 1024);
    const uint64_t leader = cluster.leader();
    const uint64_t behind = leader == 3 ? 2 : 3;
    cluster[behind].crash(false);
    for (int i = 0; i < 300; ++i)
        REQUIRE(cluster.put(leader, std::format("k{}", i), std::string(200, 'x')).has_value());
    REQUIRE(cluster[behind].boot().has_value());
    cluster.run(core::seconds{5});
    CHECK(cluster[behind].state().revision() == cluster[leader].state().revision());
    CHECK(cluster[behind].counts().installs == 1);
}

TEST_CASE("replica: a snapshot that is damaged between its check and its installation is fetched anew") {
    Cluster cluster(3, 8 * 1024);
    const uint64_t leader = cluster.leader();
    const uint64_t behind = leader == 3 ? 2 : 3;
    cluster[behind].crash(false);
    for (int i = 0; i < 300; ++i)
        REQUIRE(cluster.put(leader, std::format("k{}", i), std::string(200, 'x')).has_value());
    std::string flipped;
    cluster[behind].after_event = [&](sim::Process& process) {
        if (flipped.empty()) flipped = process.disk().flip_bit("snapshots/snap-");
        if (flipped.contains("MANIFEST")) flipped.clear();  // read at the next start only
    };
    REQUIRE(cluster[behind].boot().has_value());
    cluster.run(core::seconds{5});
    CHECK_FALSE(flipped.empty());
    CHECK(cluster[behind].state().revision() == cluster[leader].state().revision());
    CHECK(cluster[behind].replica().status().alarms.empty());
}

TEST_CASE("replica: a late rejection of what a follower has acknowledged since does not stop its entries") {
    Cluster cluster(3);
    const uint64_t leader = cluster.leader();
    const uint64_t follower = leader == 3 ? 2 : 3;
    REQUIRE(cluster.put(leader, "a", "1").has_value());
    cluster.run(core::seconds{1});
    const storage::ReplicaStatus status = cluster[leader].replica().status();
    const auto reject = [&](uint64_t index) {
        wire::RaftMessage message;
        message.mutable_append_entries_result()->set_term(status.term.value);
        message.mutable_append_entries_result()->set_rejected(index);
        message.mutable_append_entries_result()->set_last_log_index(index);
        cluster.network.send(follower, leader, message.SerializeAsString());
        cluster.run(core::milliseconds{5});
    };
    // The follower misses an entry and says so: it is probed. Then comes what it said before it had the
    // others.
    cluster.network.cut(leader, follower);
    REQUIRE(cluster.put(leader, "a", "2").has_value());
    reject(status.last_index.value + 1);
    reject(status.last_index.value);
    cluster.network.heal();
    cluster.run(core::seconds{1});
    REQUIRE(cluster.put(leader, "a", "3").has_value());
    cluster.run(core::seconds{1});
    CHECK(cluster[leader].replica().status().term == status.term);
    CHECK(cluster[follower].state().revision() == cluster[leader].state().revision());
}

TEST_CASE("replica: a standby that hears no leader votes for who needs it by a newer configuration") {
    Cluster cluster(2);
    const uint64_t leader = cluster.leader();
    const uint64_t other = 3 - leader;
    sim::ProcessOptions options;
    options.id = 3;
    cluster.processes[3] = std::make_unique<sim::Process>(cluster.world, cluster.network, options);
    REQUIRE(cluster[3].boot().has_value());
    std::optional<core::Result<void>> outcome;
    const auto note = [&](core::Result<void> result) { outcome = std::move(result); };
    cluster[leader].replica().add_server(
        {.id = {3}, .address = "n3:1", .role = storage::ServerRole::kStandby}, note);
    cluster.run(core::seconds{2});
    REQUIRE((outcome.has_value() && outcome->has_value()));
    // The configuration that makes it a voter reaches the other server only, and then the leader dies.
    cluster.network.sniffer = [&](uint64_t from, uint64_t to, core::BytesView bytes) {
        wire::RaftMessage message;
        if (from != leader || to != 3 || !message.ParseFromString(std::string(bytes))) return;
        for (const wire::LogRecord& record : message.append_entries().entries()) {
            if (record.type() == static_cast<uint32_t>(storage::EntryType::kConfiguration))
                cluster.network.cut(leader, 3);
        }
    };
    cluster[leader].replica().assign_role({3}, storage::ServerRole::kVoter, [](const core::Result<void>&) {});
    cluster.run(core::seconds{1});
    REQUIRE(cluster[other].replica().status().servers.back().role == storage::ServerRole::kVoter);
    REQUIRE(cluster[3].replica().status().servers.back().role == storage::ServerRole::kStandby);
    cluster[leader].crash(false);
    cluster.run(core::seconds{5});
    CHECK(cluster.leader() == other);
    CHECK(cluster[3].replica().status().servers.back().role == storage::ServerRole::kVoter);
}

TEST_CASE("replica: leadership is handed over on request") {
    Cluster cluster(3);
    const uint64_t first = cluster.leader();
    const uint64_t second = first == 1 ? 2 : 1;
    std::optional<core::Result<void>> outcome;
    cluster[first].replica().transfer_leadership(
        {second}, [&](core::Result<void> result) { outcome = std::move(result); });
    cluster.run(core::seconds{2});
    REQUIRE(outcome.has_value());
    CHECK(outcome->has_value());
    CHECK(cluster.leader() == second);
}

TEST_CASE("replica: a server joins, becomes a voter, and is removed") {
    Cluster cluster(3);
    const uint64_t leader = cluster.leader();
    sim::ProcessOptions options;
    options.id = 4;
    cluster.processes[4] = std::make_unique<sim::Process>(cluster.world, cluster.network, options);
    REQUIRE(cluster[4].boot().has_value());
    std::optional<core::Result<void>> outcome;
    const auto note = [&](core::Result<void> result) { outcome = std::move(result); };
    cluster[leader].replica().add_server({.id = {4}, .address = "n4:1", .role = storage::ServerRole::kVoter},
                                         note);
    cluster.run(core::seconds{5});
    REQUIRE(outcome.has_value());
    CHECK(outcome->has_value());
    CHECK(cluster[4].replica().status().servers.size() == 4);
    CHECK(cluster[4].replica().status().servers.back().role == storage::ServerRole::kVoter);
    outcome.reset();
    cluster[leader].replica().remove_server({4}, note);
    cluster.run(core::seconds{2});
    REQUIRE(outcome.has_value());
    CHECK(outcome->has_value());
    CHECK(cluster[leader].replica().status().servers.size() == 3);
}

TEST_CASE("replica: a full disk is refused as such, and work goes on when space returns") {
    Cluster cluster(1, 1 << 20U);
    REQUIRE(cluster.leader() == 1);
    cluster[1].disk().set_capacity(cluster[1].disk().used() + 4096);
    core::Errc code{};
    for (int i = 0; i < 200 && code != core::Errc::kDiskFull; ++i) {
        const auto result = cluster.put(1, std::format("k{}", i), std::string(1000, 'x'));
        if (!result) code = result.error().code;
    }
    CHECK(code == core::Errc::kDiskFull);
    CHECK((has_alarm(cluster[1], "log_write") || has_alarm(cluster[1], "apply_stopped")));
    cluster[1].disk().set_capacity(0);
    cluster.run(core::seconds{3});
    const auto after = cluster.put(1, "b", "1");
    REQUIRE(after.has_value());
    CHECK(after->code() == 0);
    CHECK(cluster[1].replica().status().alarms.empty());
}
