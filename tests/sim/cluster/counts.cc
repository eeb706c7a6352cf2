#include "tests/sim/cluster/counts.h"

namespace smackd::sim::cluster {
namespace {

constexpr std::array<const char*, kEvents> kNames = {
    "kill",
    "power_failure",
    "pause",
    "partition",
    "one_way_partition",
    "loss_delay_double",
    "clock_step",
    "slow_disk",
    "outage_of_all",
    "majority_lost",
    "machine_added",
    "machine_suspended",
    "machine_resumed",
    "machine_removed",
    "node_removed",
    "generation_raised",
    "machine_emptied",
    "leader_handed_over",
    "recovered",
    "left_behind_returned",
    "version_installed",
    "level_raised",
    "join_asked",
    "joined",
    "joined_again",
    "join_raced",
    "join_unanswered",
    "keytab_copied",
    "thief_admitted",
    "refused_not_registered",
    "refused_suspended",
    "refused_joined_already",
    "refused_removed",
    "refused_older_epoch",
    "refused_feature_level",
    "refused_by_apply",
    "caller_refused_registry",
    "caller_refused_no_server",
    "newcomer_heard",
    "registry_told",
    "connections_cut",
    "leadership",
    "standby_added",
    "voter_made",
    "voter_demoted",
    "voter_replaced",
    "voter_moved",
    "spare_filled",
    "server_removed",
    "refused_leader_hands_over",
    "change_failed",
    "stopped_by_newer_level",
    "written",
    "unknown_outcome",
    "written_to_left_behind",
    "lost_by_recover",
};

}  // namespace

const char* event_name(Event event) {
    return kNames[static_cast<size_t>(event)];
}

}  // namespace smackd::sim::cluster
