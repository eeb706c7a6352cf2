#include "tests/sim/gossip/measure.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>

namespace smackd::sim::gossip {
namespace {

using core::gossip::MemberEventKind;
using std::chrono::milliseconds;
using std::chrono::seconds;

double to_seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

double quantile(std::vector<double> values, double q) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const auto last = static_cast<double>(values.size() - 1);
    return values[static_cast<size_t>(q * last + 0.5)];
}

class Measurement {
 public:
    explicit Measurement(const MeasureOptions& options)
        : options_(options), cluster_(options.seed), killed_(options.nodes + 1), told_(options.nodes + 1) {
        cluster_.network = options.network;
        cluster_.on_event = [this](uint64_t observer, const MemberEvent& event) { note(observer, event); };
    }

    int run() {
        const std::clock_t start = std::clock();
        join();
        const std::clock_t begin = std::clock();
        join_cpu_s_ = static_cast<double>(begin - start) / CLOCKS_PER_SEC;
        const Traffic before = cluster_.traffic();
        measured_ = true;
        if (options_.kill_every > Duration{0}) kill_later();
        if (options_.pausing > 0) begin_pauses();
        cluster_.run_for(Duration(static_cast<int64_t>(options_.hours * 3600e9)));
        measured_ = false;
        const double cpu = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
        print(before, cpu);
        return false_deaths_ == 0 ? 0 : 1;
    }

 private:
    void join() {
        for (uint64_t id = 1; id <= options_.nodes; ++id) {
            cluster_.at(Instant{milliseconds(cluster_.random().below(1000))}, [this, id] { enter(id); });
        }
        cluster_.run_for(seconds(1));
        converged_ = cluster_.run_until([this] { return cluster_.converged(); }, seconds(300));
        convergence_s_ = to_seconds(cluster_.now().since_start) - 1;
        cluster_.run_for(seconds(60));
    }

    void enter(uint64_t id) {
        cluster_.start(id);
        cluster_.node(id).join({Cluster::address_text(1), Cluster::address_text(2), Cluster::address_text(3)},
                               cluster_.now());
        cluster_.drain(id);
    }

    /// One is killed, found, and comes back half an interval later.
    void kill_later() {
        cluster_.at(cluster_.now() + options_.kill_every, [this] {
            kill_later();
            const uint64_t id = 1 + cluster_.random().below(options_.nodes);
            if (!cluster_.up(id)) return;
            cluster_.kill(id);
            ++kills_;
            killed_[id] = cluster_.now();
            told_[id].clear();
            cluster_.at(cluster_.now() + options_.kill_every / 2, [this, id] {
                unnoticed_ += options_.nodes - 1 - told_[id].size();
                if (!told_[id].empty()) {
                    firsts_.push_back(told_[id].front());
                    lasts_.push_back(told_[id].back());
                }
                enter(id);
            });
        });
    }

    void begin_pauses() {
        const auto count = static_cast<uint64_t>(options_.pausing * static_cast<double>(options_.nodes));
        for (uint64_t i = 0; i < std::max<uint64_t>(count, 1); ++i)
            pause_later(1 + i * (options_.nodes / std::max<uint64_t>(count, 1)));
    }

    void pause_later(uint64_t id) {
        const auto mean = static_cast<uint64_t>(options_.pause_every.count());
        const Duration wait(static_cast<int64_t>(mean / 2 + cluster_.random().below(mean)));
        cluster_.at(cluster_.now() + wait, [this, id] {
            pause_later(id);
            if (!cluster_.up(id) || cluster_.paused(id)) return;
            const uint64_t length = options_.pauses_ms[cluster_.random().below(options_.pauses_ms.size())];
            cluster_.pause(id, milliseconds(length));
            ++pauses_;
            longest_ms_ = std::max(longest_ms_, length);
        });
    }

    void note(uint64_t, const MemberEvent& event) {
        if (!measured_) return;
        const uint64_t about = event.member.id.value;
        const bool up = cluster_.up(about);
        if (event.kind == MemberEventKind::kSuspected && up && !cluster_.paused(about)) ++false_suspicions_;
        if (event.kind != MemberEventKind::kUnreachable) return;
        if (up) {
            ++false_deaths_;
            false_victims_[about] += 1;
            return;
        }
        const double took = to_seconds(cluster_.now() - killed_[about]);
        told_[about].push_back(took);
        detections_.push_back(took);
    }

    void print(const Traffic& before, double cpu) const {
        const auto nodes = static_cast<double>(options_.nodes);
        const double node_hours = nodes * options_.hours;
        const double node_seconds = node_hours * 3600;
        const Traffic& now = cluster_.traffic();
        std::printf("nodes                         %llu\n", static_cast<unsigned long long>(options_.nodes));
        std::printf("loss                          %.2f\n", options_.network.loss);
        std::printf("stream_ping                   %s\n", options_.network.stream_ping ? "yes" : "no");
        std::printf("node_hours                    %.0f\n", node_hours);
        std::printf("convergence_s                 %.2f%s\n", convergence_s_,
                    converged_ ? "" : " (not reached)");
        std::printf("kills                         %llu\n", static_cast<unsigned long long>(kills_));
        std::printf("detection_first_median_s      %.2f\n", quantile(firsts_, 0.5));
        std::printf("detection_median_s            %.2f\n", quantile(detections_, 0.5));
        std::printf("detection_p99_s               %.2f\n", quantile(detections_, 0.99));
        std::printf("detection_worst_s             %.2f\n", quantile(detections_, 1));
        std::printf("detection_last_median_s       %.2f\n", quantile(lasts_, 0.5));
        std::printf("unnoticed_in_half_interval    %llu\n", static_cast<unsigned long long>(unnoticed_));
        std::printf("pauses                        %llu (longest %llu ms)\n",
                    static_cast<unsigned long long>(pauses_), static_cast<unsigned long long>(longest_ms_));
        std::printf("false_suspicion_events        %llu (%.4f per node and node-hour)\n",
                    static_cast<unsigned long long>(false_suspicions_),
                    static_cast<double>(false_suspicions_) / nodes / node_hours);
        std::printf("false_death_events            %llu (%.6f per node-hour), %zu victims\n",
                    static_cast<unsigned long long>(false_deaths_),
                    static_cast<double>(false_deaths_) / node_hours, false_victims_.size());
        const double packet_rate = static_cast<double>(now.packet_bytes - before.packet_bytes) / node_seconds;
        const double sync_rate = static_cast<double>(now.sync_bytes - before.sync_bytes) / node_seconds;
        std::printf("udp_bytes_per_node_second     %.0f (%.2f packets)\n", packet_rate,
                    static_cast<double>(now.packets - before.packets) / node_seconds);
        std::printf("stream_bytes_per_node_second  %.0f (%llu exchanges)\n", sync_rate,
                    static_cast<unsigned long long>(now.syncs - before.syncs));
        std::printf("cpu_s                         %.1f (%.0f node-hours a minute; joining %.1f)\n", cpu,
                    node_hours / cpu * 60, join_cpu_s_);
    }

    MeasureOptions options_;
    Cluster cluster_;
    bool measured_ = false;
    bool converged_ = false;
    double convergence_s_ = 0;
    double join_cpu_s_ = 0;
    std::vector<Instant> killed_;
    std::vector<std::vector<double>> told_;
    std::vector<double> firsts_, lasts_, detections_;
    uint64_t kills_ = 0, unnoticed_ = 0, pauses_ = 0, longest_ms_ = 0;
    uint64_t false_suspicions_ = 0, false_deaths_ = 0;
    std::map<uint64_t, uint64_t> false_victims_;
};

}  // namespace

int measure(const MeasureOptions& options) {
    return Measurement(options).run();
}

}  // namespace smackd::sim::gossip
