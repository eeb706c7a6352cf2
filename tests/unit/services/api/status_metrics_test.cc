#include "services/api/status_metrics.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::services {
namespace {

TEST_CASE("how a server stands, as metrics") {
    storage::ReplicaStatus replica;
    replica.role = storage::ReplicaRole::kLeader;
    replica.leader = core::NodeId{1};
    replica.servers = {{core::NodeId{1}, "n1:5055", storage::ServerRole::kVoter},
                       {core::NodeId{2}, "n2:5055", storage::ServerRole::kStandby}};
    replica.alarms = {{"log_write", "no room"}};
    const std::string text = render_standing({core::NodeId{1},
                                              "1.2.3",
                                              core::seconds(90),
                                              7,
                                              replica,
                                              {{core::NodeId{1}, "alive"}, {core::NodeId{2}, "dead"}}});
    for (const char* line :
         {"smackd_build_info{version=\"1.2.3\"} 1\n", "smackd_uptime_seconds 90\n", "smackd_leader 1\n",
          "smackd_has_leader 1\n", "smackd_servers{role=\"voter\"} 1\n", "smackd_servers{role=\"spare\"} 0\n",
          "smackd_members{state=\"dead\"} 1\n", "smackd_members{state=\"left\"} 0\n", "smackd_alarms 1\n",
          "smackd_alarm{name=\"log_write\"} 1\n", "smackd_feature_level 7\n"})
        CHECK(text.contains(line));
}

TEST_CASE("without a leader and without gossip") {
    const storage::ReplicaStatus replica{};
    const std::string text = render_standing({core::NodeId{1}, "1", {}, 1, replica, {}});
    CHECK(text.contains("smackd_has_leader 0\n"));
    CHECK(text.contains("smackd_leader 0\n"));
    CHECK(text.contains("smackd_alarms 0\n"));
    CHECK_FALSE(text.contains("smackd_alarm{"));
}

}  // namespace
}  // namespace smackd::services
