#include "tests/sim/gossip/stories.h"

#include <algorithm>
#include <cstdio>
#include <format>
#include <map>
#include <utility>

#include "tests/sim/gossip/cluster.h"

namespace smackd::sim::gossip {
namespace {

using core::gossip::Member;
using core::gossip::MemberEventKind;
using core::gossip::MemberState;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration kDetected = seconds(9);  // everywhere, also with loss; the median is below 4 s
constexpr Duration kSpread = seconds(5);    // news to everybody
constexpr Duration kMissed = seconds(60);   // news also to who missed it by chance: by push-pull
constexpr Duration kHealed = seconds(60);   // after a partition, or an outage

constexpr uint64_t kInvented = 100'000;  // ids of members that do not exist
constexpr uint64_t kInventions = 9000;

/// One cluster and the checks that run all the time: nobody who is up and reachable is declared unreachable,
/// and what a member knows of another never runs backwards.
class Story {
 public:
    Story(uint64_t seed, bool trace) : cluster_(seed), trace_(trace) {
        cluster_.network.loss = static_cast<double>(cluster_.random().below(3)) * 0.05;
        size_ = 6 + cluster_.random().below(28);
        cluster_.on_event = [this](uint64_t observer, const MemberEvent& event) { check(observer, event); };
    }

    std::string run() {
        using Step = void (Story::*)();
        static constexpr Step kSteps[] = {
            &Story::join,      &Story::metadata,      &Story::kill,    &Story::recycled,    &Story::leave,
            &Story::removed,   &Story::broken_pair,   &Story::sleeper, &Story::old_packets, &Story::pauses,
            &Story::partition, &Story::outage_of_one, &Story::overfull};
        for (const Step step : kSteps) {
            if (trace_) std::printf("step %td\n", step_++);
            (this->*step)();
            if (!violation_.empty()) break;
        }
        return violation_;
    }

 private:
    // ---- the stories

    void join() {
        for (uint64_t id = 1; id <= size_; ++id) enter(id, id);
        expect(seconds(10), "all have joined", [this] { return cluster_.converged(); });
    }

    void metadata() {
        const uint64_t id = any();
        (void)cluster_.node(id).update_metadata("roles=server", cluster_.now());
        cluster_.drain(id);
        expect(kMissed, std::format("everybody has the new metadata of {}", id), [this, id] {
            return all_others(id, [](const Member& member) { return member.metadata == "roles=server"; });
        });
    }

    void kill() {
        const uint64_t id = any();
        down(id);
        expect(kDetected, std::format("everybody knows that {} is dead", id),
               [this, id] { return gone(id); });
        cluster_.run_for(seconds(1));
        enter(id, id);
        expect(kSpread, std::format("{} is back", id), [this] { return cluster_.converged(); });
    }

    /// Another node takes over the address at once and answers there. It must not answer for the dead one.
    void recycled() {
        const double loss = std::exchange(cluster_.network.loss, 0);
        cluster_.run_for(seconds(5));
        const uint64_t id = any();
        down(id);
        cluster_.start(++size_, id);
        // It does not know the other, so it is not the one to notice.
        cluster_.node(size_).set_allowed(registry({id}), cluster_.now());
        join(size_);
        expect(kDetected, std::format("{} is dead although its address answers", id),
               [this, id] { return gone(id); });
        expect(kSpread, std::format("its successor {} is there", size_),
               [this] { return cluster_.converged(); });
        cluster_.node(size_).set_allowed(registry({}), cluster_.now());
        cluster_.drain(size_);
        cluster_.network.loss = loss;
    }

    void leave() {
        const uint64_t id = any();
        leaving_ = id;
        cluster_.node(id).leave(cluster_.now());
        cluster_.drain(id);
        expect(kMissed, std::format("everybody knows that {} left", id), [this, id] {
            return all_others(id, [](const Member& member) { return member.state == MemberState::kLeft; });
        });
        cluster_.run_for(seconds(1));
        down(id);
        cluster_.run_for(seconds(10));
        leaving_ = 0;
    }

    /// It is not told and goes on talking.
    void removed() {
        const uint64_t id = any();
        allow(id);
        outlaw_ = id;
        cluster_.run_for(seconds(15));
        if (known_anywhere(id)) return violated(std::format("{} was removed and is known again", id));
        down(id);
        for (const uint64_t other : cluster_.running()) {
            if (cluster_.node(other).counts().packets_refused == 0) continue;
            outlaw_ = 0;
            return;
        }
        violated("nobody refused a packet of a removed node");
    }

    /// Two that cannot reach each other have helpers; nobody is even suspected on a network without loss.
    void broken_pair() {
        const double loss = cluster_.network.loss;
        cluster_.run_for(seconds(20));
        cluster_.network.loss = 0;
        cluster_.run_for(seconds(10));
        const uint64_t a = any();
        uint64_t b = a;
        while (b == a) b = any();
        cluster_.cut_pair(a, b);
        no_suspicions_ = true;
        cluster_.run_for(seconds(60));
        no_suspicions_ = false;
        cluster_.heal();
        cluster_.network.loss = loss;
    }

    /// Who stood still with a question under way does not blame those who have answered meanwhile.
    void sleeper() {
        const double loss = std::exchange(cluster_.network.loss, 0);
        cluster_.run_for(seconds(20));
        sleeper_ = any();
        no_suspicions_ = true;
        for (int i = 0; i < 5; ++i) {
            cluster_.pause_when_sending(sleeper_, milliseconds(cluster_.random().between(600, 2000)));
            cluster_.run_for(seconds(10));
        }
        no_suspicions_ = false;
        sleeper_ = 0;
        cluster_.network.loss = loss;
    }

    /// Everything said during accusations comes once more, much later.
    void old_packets() {
        cluster_.record_packets_max = 5000;
        const std::vector<uint64_t> ids = cluster_.running();
        for (size_t i = 0; i < 3; ++i) {
            const uint64_t id = ids[cluster_.random().below(ids.size())];
            cluster_.pause(id, milliseconds(1500));
            cluster_.run_for(seconds(3));
        }
        cluster_.record_packets_max = 0;
        cluster_.run_for(seconds(10));
        cluster_.replay();
        cluster_.run_for(seconds(10));
        expect(kSpread, "old packets changed nothing", [this] { return cluster_.converged(); });
    }

    /// A third of all stand still again and again, up to what is promised, also at the same time.
    void pauses() {
        const std::vector<uint64_t> ids = cluster_.running();
        for (int i = 0; i < 60; ++i) {
            for (size_t j = 0; j < 1 + ids.size() / 6; ++j) {
                const uint64_t id = ids[cluster_.random().below(ids.size())];
                if (!cluster_.paused(id))
                    cluster_.pause(id, milliseconds(cluster_.random().between(500, 2000)));
            }
            cluster_.run_for(milliseconds(cluster_.random().between(1000, 5000)));
        }
        expect(kSpread, "all are there after the pauses", [this] { return cluster_.converged(); });
    }

    /// Long enough for each side to give the other up and to stop telling it so.
    void partition() {
        parted_ = true;
        for (const uint64_t id : cluster_.running())
            cluster_.set_group(id, static_cast<int>(cluster_.random().below(2)));
        cluster_.run_for(seconds(60) + seconds(cluster_.random().below(120)));
        cluster_.heal();
        expect(kHealed, "both sides are one again", [this] { return cluster_.converged(); });
        cluster_.run_for(seconds(20));
        parted_ = false;
    }

    /// Cut off for long, and the seeds are gone for good when it comes back.
    void outage_of_one() {
        parted_ = true;
        const uint64_t id = any();
        for (uint64_t seed = 1; seed <= 2; ++seed) {
            if (seed != id && cluster_.up(seed)) down(seed);
        }
        cluster_.set_group(id, 1);
        cluster_.run_for(minutes(10));
        cluster_.heal();
        expect(kHealed, std::format("{} is back without its seeds", id),
               [this] { return cluster_.converged(); });
        cluster_.run_for(seconds(20));
        parted_ = false;
    }

    /// A node invents members without end: memory stays bounded, and the real ones stay known.
    void overfull() {
        parted_ = true;  // the invented ones are declared unreachable, as they should be
        const uint64_t victim = any();
        const uint64_t noisy = any();
        for (uint64_t i = 0; i < kInventions; i += 10) {
            core::Bytes bytes = core::gossip::encode_head(NodeId{noisy}, 1);
            for (uint64_t j = 0; j < 10; ++j) {
                bytes += core::gossip::encode_alive({.id = NodeId{kInvented + i + j},
                                                     .generation = 1,
                                                     .incarnation = 1,
                                                     .name = "invented",
                                                     .addresses = {"h0"},
                                                     .metadata = {},
                                                     .holder = {},
                                                     .since = {}});
            }
            (void)cluster_.node(victim).on_packet(Cluster::address_text(noisy), bytes, cluster_.now());
        }
        const Membership& node = cluster_.node(victim);
        if (node.members().size() > core::gossip::kMembersMax) violated("more members than the limit");
        if (node.broadcasts() > core::gossip::kBroadcastsMax) violated("more broadcasts than the limit");
    }

    // ---- helpers

    void enter(uint64_t id, uint64_t address) {
        cluster_.start(id, address);
        join(id);
    }

    void join(uint64_t id) {
        cluster_.node(id).join({Cluster::address_text(1), Cluster::address_text(2)}, cluster_.now());
        cluster_.drain(id);
    }

    void down(uint64_t id) { cluster_.kill(id); }

    uint64_t any() {
        const std::vector<uint64_t> ids = cluster_.running();
        return ids[cluster_.random().below(ids.size())];
    }

    /// The registry without `id` comes to all but itself.
    void allow(uint64_t without) {
        for (const uint64_t id : cluster_.running()) {
            cluster_.node(id).set_allowed(id == without ? registry({}) : registry({without}), cluster_.now());
            cluster_.drain(id);
        }
    }

    std::unordered_map<NodeId, uint64_t> registry(std::initializer_list<uint64_t> without) const {
        std::unordered_map<NodeId, uint64_t> generations;
        for (uint64_t id = 1; id <= size_; ++id) generations[NodeId{id}] = 1;
        for (uint64_t id = kInvented; id < kInvented + kInventions; ++id) generations[NodeId{id}] = 1;
        for (const uint64_t id : without) generations.erase(NodeId{id});
        return generations;
    }

    bool all_others(uint64_t id, const std::function<bool(const Member&)>& holds) {
        for (const uint64_t other : cluster_.running()) {
            if (other == id) continue;
            const Member* member = cluster_.node(other).find(NodeId{id});
            if (member == nullptr || !holds(*member)) return false;
        }
        return true;
    }

    /// Nobody has it as live; whoever never knew it is right too.
    bool gone(uint64_t id) {
        return std::ranges::all_of(cluster_.running(), [this, id](uint64_t other) {
            const Member* member = cluster_.node(other).find(NodeId{id});
            return member == nullptr || member->state == MemberState::kDead;
        });
    }

    bool known_anywhere(uint64_t id) {
        for (const uint64_t other : cluster_.running()) {
            if (other != id && cluster_.node(other).find(NodeId{id}) != nullptr) return true;
        }
        return false;
    }

    void expect(Duration limit, const std::string& what, const std::function<bool()>& done) {
        if (!violation_.empty()) return;
        if (!cluster_.run_until(done, limit)) {
            violated(std::format("not within {}: {}", core::format_duration(limit), what));
        }
    }

    void violated(const std::string& what) {
        if (!violation_.empty()) return;
        violation_ = std::format("[{:9.3f}] {} (of {} nodes, loss {:.2f})",
                                 std::chrono::duration<double>(cluster_.now().since_start).count(), what,
                                 cluster_.running().size(), cluster_.network.loss);
    }

    void check(uint64_t observer, const MemberEvent& event) {
        const uint64_t about = event.member.id.value;
        if (about >= kInvented) return;
        if (trace_) trace(observer, event);
        uint64_t& known = known_[{observer, about}];
        if (event.kind == MemberEventKind::kRemoved) {
            known = 0;
            return;
        }
        if (event.kind == MemberEventKind::kConflict) return;
        // A node that was restarted has forgotten what it knew.
        const bool fresh = event.kind == MemberEventKind::kJoined;
        if (!fresh && event.member.incarnation < known) {
            violated(std::format("{} had {} at incarnation {} and went back to {}", observer, about, known,
                                 event.member.incarnation));
        }
        known = event.member.incarnation;
        if (event.kind == MemberEventKind::kSuspected && no_suspicions_ && about != sleeper_) {
            violated(std::format("{} suspects {} without a reason", observer, about));
        }
        const bool excused = parted_ || about == leaving_ || about == outlaw_ || observer == outlaw_;
        if (event.kind == MemberEventKind::kUnreachable && cluster_.up(about) && !excused) {
            violated(std::format("{} took {} for dead, which is up", observer, about));
        }
        if (event.kind == MemberEventKind::kUnreachable && about == leaving_) {
            violated(std::format("{} took {} for dead, which had said good-bye", observer, about));
        }
    }

    void trace(uint64_t observer, const MemberEvent& event) const {
        std::printf("%s\n", std::format("[{:9.3f}] {} > {} {} at {}",
                                        std::chrono::duration<double>(cluster_.now().since_start).count(),
                                        observer, member_event_name(event.kind), event.member.id.value,
                                        event.member.incarnation)
                                .c_str());
    }

    Cluster cluster_;
    bool trace_;
    ptrdiff_t step_ = 0;
    uint64_t size_ = 0;
    uint64_t leaving_ = 0;
    uint64_t outlaw_ = 0;
    uint64_t sleeper_ = 0;
    bool parted_ = false;
    bool no_suspicions_ = false;
    std::map<std::pair<uint64_t, uint64_t>, uint64_t> known_;
    std::string violation_;
};

}  // namespace

std::string run_stories_of(uint64_t seed, bool trace) {
    return Story(seed, trace).run();
}

}  // namespace smackd::sim::gossip
