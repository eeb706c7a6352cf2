// Applications as the state has them, in memory: read once, then kept up to date by the feed. Scheduler,
// agent, edge tables and the API's answers are made from it, so all of them see the same rows.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/apps/node.h"
#include "core/apps/plan.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/wire/app.pb.h"
#include "core/wire/command.pb.h"
#include "services/api/liveness_door.h"
#include "storage/feed/record.h"
#include "storage/state/reader.h"

namespace smackd::services {

struct AppsModel {
    template <class Message>
    using Table = std::map<std::string, storage::state::Row<Message>>;

    Table<wire::AppDefinition> apps;
    Table<wire::GroupDefinition> groups;
    Table<wire::AppBackoff> backoffs;  ///< by app
    Table<wire::Deployment> deployments;
    Table<wire::Task> tasks;
    std::map<uint64_t, wire::NodeCapacity> capacities;
    std::map<uint64_t, wire::DrainNode> drains;
    std::map<uint64_t, wire::PutNode> nodes;
    std::map<std::string, wire::PutMachine> machines;
    std::map<std::string, std::vector<std::string>> names;  ///< static DNS names: name -> addresses
    uint32_t hold_percent = apps::kHoldPercent;             ///< see kHoldSetting
    core::Revision revision;                                ///< everything up to here is in it

    /// Tasks of an app that have not ended, by id; of the table only the app's own part is read.
    std::vector<const wire::Task*> living_tasks_of(const std::string& app) const;

    static core::Result<AppsModel> load(storage::state::View& view);
    /// One change; those of other kinds move the revision alone. kCorrupt for a row that cannot be read.
    core::Result<void> apply(const storage::feed::Record& record);
    /// The feed's kinds that apply() looks at.
    static std::vector<std::string> kinds();
};

/// A static DNS name is the setting "dns/NAME", its addresses separated by commas.
inline constexpr std::string_view kNameSettingPrefix = "dns/";

/// More than this share of the nodes lost at once holds replacement (core/apps/outage.h), in percent.
inline constexpr std::string_view kHoldSetting = "scheduler/hold-percent";
inline constexpr uint32_t kHoldPercentMax = 100;

/// The nodes that tasks can be placed on, as plan_view() has them.
std::vector<apps::Node> plan_nodes(const AppsModel& model, const std::vector<LiveMember>& members,
                                   core::NodeId self, int64_t now_ms);

/// What the cluster's settings make of decide()'s parameters.
apps::Parameters plan_parameters(const AppsModel& model);

/// What decide() looks at. Borrows from the model. `members`: what gossip says; `self` is alive in any case.
apps::View plan_view(const AppsModel& model, const std::vector<LiveMember>& members, core::NodeId self,
                     int64_t now_ms);

}  // namespace smackd::services
