#include "services/api/status_metrics.h"

#include <algorithm>
#include <format>

namespace smackd::services {
namespace {

constexpr std::string_view kMemberStates[] = {"alive", "suspect", "dead", "left"};

class Text {
 public:
    void gauge(std::string_view name, std::string_view help) {
        out_ += std::format("# HELP {} {}\n# TYPE {} gauge\n", name, help, name);
        name_ = name;
    }
    template <class Number>
    void value(Number number) {
        out_ += std::format("{} {}\n", name_, number);
    }
    template <class Number>
    void value(std::string_view label, std::string_view of, Number number) {
        out_ += std::format("{}{{{}=\"{}\"}} {}\n", name_, label, of, number);
    }
    std::string take() { return std::move(out_); }

 private:
    std::string out_;
    std::string_view name_;
};

double in_seconds(core::Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

void add_servers(Text& text, const storage::ReplicaStatus& replica) {
    const auto count = [&](storage::ServerRole role) {
        return std::ranges::count(replica.servers, role, &storage::Server::role);
    };
    text.gauge("smackd_servers", "Servers of the cluster by their role");
    text.value("role", "voter", count(storage::ServerRole::kVoter));
    text.value("role", "standby", count(storage::ServerRole::kStandby));
    text.value("role", "spare", count(storage::ServerRole::kSpare));
}

void add_members(Text& text, const std::vector<LiveMember>& members) {
    text.gauge("smackd_members", "Nodes by what this server hears of them");
    for (const std::string_view state : kMemberStates)
        text.value("state", state, std::ranges::count(members, state, &LiveMember::state));
}

}  // namespace

std::string render_standing(const StandingFigures& figures) {
    const storage::ReplicaStatus& replica = figures.replica;
    Text text;
    text.gauge("smackd_build_info", "1, with the version of this server");
    text.value("version", figures.version, 1);
    text.gauge("smackd_uptime_seconds", "Time since this server began");
    text.value(in_seconds(figures.uptime));
    text.gauge("smackd_leader", "1 while this server leads");
    text.value(replica.role == storage::ReplicaRole::kLeader ? 1 : 0);
    text.gauge("smackd_has_leader", "1 while this server knows of a leader");
    text.value(replica.leader.value != 0 ? 1 : 0);
    text.gauge("smackd_leader_contact_seconds", "Time since this server heard from the leader");
    text.value(in_seconds(replica.since_leader_contact));
    text.gauge("smackd_raft_term", "Term of the last election");
    text.value(replica.term.value);
    text.gauge("smackd_raft_last_index", "Last entry of this server's log");
    text.value(replica.last_index.value);
    text.gauge("smackd_raft_commit_index", "Last entry that this server knows to be committed");
    text.value(replica.commit_index.value);
    text.gauge("smackd_feature_level", "Feature level of the state");
    text.value(figures.feature_level);
    add_servers(text, replica);
    add_members(text, figures.members);
    text.gauge("smackd_alarms", "How many alarms are raised on this server");
    text.value(replica.alarms.size());
    text.gauge("smackd_alarm", "1 for each alarm that is raised on this server, by its name");
    for (const storage::Alarm& alarm : replica.alarms) text.value("name", alarm.name, 1);
    return text.take();
}

}  // namespace smackd::services
