#include "services/apps/warm_plan.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>

namespace smackd::services {

namespace {

apps::Liveness liveness_of(const LiveMember& member) {
    if (member.state == "alive") return apps::Liveness::kAlive;
    return member.state == "suspect" ? apps::Liveness::kSuspect : apps::Liveness::kUnreachable;
}

int64_t since_ms(const LiveMember& member, int64_t now_ms) {
    return now_ms - std::chrono::duration_cast<core::milliseconds>(member.since).count();
}

void add_capacity(apps::Node& node, const wire::NodeCapacity& capacity) {
    node.total = capacity.total();
    node.address = capacity.address();
    node.region = capacity.region();
    node.draining = capacity.draining();
    node.host_network = capacity.host_network();
    if (capacity.ports_size() == 0) return;
    node.ports.clear();
    for (const wire::PortRange& range : capacity.ports()) {
        node.ports.push_back({static_cast<uint16_t>(range.first()), static_cast<uint16_t>(range.last())});
    }
}

bool same_liveness(const std::vector<LiveMember>& a, const std::vector<LiveMember>& b) {
    return std::ranges::equal(a, b, [](const LiveMember& one, const LiveMember& other) {
        return one.id == other.id && one.state == other.state;
    });
}

uint64_t number(const std::string& key) {
    uint64_t value = 0;
    std::from_chars(key.data(), key.data() + key.size(), value);
    return value;
}

}  // namespace

std::optional<apps::Node> plan_node(const AppsModel& model, uint64_t id, int64_t now_ms) {
    const auto row = model.nodes.find(id);
    const auto capacity = model.capacities.find(id);
    if (row == model.nodes.end() || capacity == model.capacities.end()) return std::nullopt;
    apps::Node node;
    node.id = core::NodeId{id};
    node.machine = row->second.machine();
    node.zone = row->second.zone();
    if (std::ranges::contains(row->second.roles(), "public")) node.roles.emplace_back("slave_public");
    if (const auto machine = model.machines.find(node.machine); machine != model.machines.end()) {
        for (const auto& [name, value] : machine->second.attributes()) node.attributes[name] = value;
    }
    add_capacity(node, capacity->second);
    if (const auto drain = model.drains.find(id); drain != model.drains.end())
        apps::set_drain(node, drain->second, now_ms);
    return node;
}

std::vector<apps::Node> plan_nodes(const AppsModel& model, const std::vector<LiveMember>& members,
                                   core::NodeId self, int64_t now_ms) {
    std::unordered_map<core::NodeId, const LiveMember*> heard;
    for (const LiveMember& member : members) heard.emplace(member.id, &member);
    std::vector<apps::Node> nodes;
    for (const auto& [id, row] : model.nodes) {
        auto node = plan_node(model, id, now_ms);
        if (!node) continue;
        if (node->id != self) {
            const auto found = heard.find(node->id);
            node->liveness = found == heard.end() ? apps::Liveness::kSuspect : liveness_of(*found->second);
            node->liveness_since_ms = found == heard.end() ? now_ms : since_ms(*found->second, now_ms);
        }
        nodes.push_back(*std::move(node));
    }
    return nodes;
}

apps::View plan_view(const AppsModel& model, const std::vector<LiveMember>& members, core::NodeId self,
                     int64_t now_ms) {
    apps::View view;
    for (const auto& [id, row] : model.apps) view.apps.push_back(&row.put);
    for (const auto& [id, row] : model.tasks) view.tasks.push_back(&row.put);
    for (const auto& [id, row] : model.deployments) view.deployments.push_back(&row.put);
    for (const auto& [id, row] : model.backoffs) view.backoffs.push_back(&row.put);
    view.nodes = plan_nodes(model, members, self, now_ms);
    return view;
}

WarmPlan::WarmPlan(const AppsModel& model, core::NodeId self) : model_(model), self_(self) {
    for (const auto& [id, row] : model.apps) planner_.put_app(row.put);
    for (const auto& [id, row] : model.tasks) planner_.put_task(row.put);
    for (const auto& [id, row] : model.deployments) planner_.put_deployment(row.put);
    for (const auto& [id, row] : model.backoffs) planner_.put_backoff(row.put);
    for (const auto& [id, row] : model.nodes) stale_.insert(id);
}

void WarmPlan::take(const std::vector<ChangedRow>& changed) {
    for (const ChangedRow& row : changed) take(row);
}

void WarmPlan::take(const ChangedRow& row) {
    const auto& [kind, key] = row;
    const auto follow = [&](const auto& table, auto put, auto remove) {
        const auto found = table.find(key);
        if (found == table.end()) {
            (planner_.*remove)(key);
        } else {
            (planner_.*put)(found->second.put);
        }
    };
    using apps::Planner;
    if (kind == "task") return follow(model_.tasks, &Planner::put_task, &Planner::remove_task);
    if (kind == "app") return follow(model_.apps, &Planner::put_app, &Planner::remove_app);
    if (kind == "backoff") return follow(model_.backoffs, &Planner::put_backoff, &Planner::remove_backoff);
    if (kind == "deployment")
        return follow(model_.deployments, &Planner::put_deployment, &Planner::remove_deployment);
    if (kind == "node" || kind == "capacity" || kind == "drain") {
        stale_.insert(number(key));
    } else if (kind == "machine") {
        for (const auto& [id, entry] : nodes_) {
            if (entry.node.machine == key) stale_.insert(id);
        }
    }
}

apps::Decision WarmPlan::decide(std::vector<LiveMember> members, apps::LeaseWatch& leases, core::Instant now,
                                int64_t now_ms, core::Random& random) {
    update_nodes(now_ms);
    update_liveness(std::move(members), now_ms);
    planner_.set_hold_percent(model_.hold_percent);
    planner_.set_leases_over(leases.over(planner_.leased_unreachable(), now));
    return planner_.decide(now_ms, random);
}

void WarmPlan::update_nodes(int64_t now_ms) {
    for (const uint64_t id : timed_) {
        if (nodes_.at(id).node.drain_changes_ms <= now_ms) stale_.insert(id);
    }
    for (const uint64_t id : std::exchange(stale_, {})) update_node(id, now_ms);
}

void WarmPlan::update_node(uint64_t id, int64_t now_ms) {
    auto node = plan_node(model_, id, now_ms);
    timed_.erase(id);
    if (!node) {
        planner_.remove_node(core::NodeId{id});
        nodes_.erase(id);
        return;
    }
    const auto [found, fresh] = nodes_.try_emplace(id);
    Entry& entry = found->second;
    if (fresh) {
        members_stale_ = true;
        if (node->id != self_) node->liveness = apps::Liveness::kSuspect;
    } else {
        node->liveness = entry.node.liveness;
        node->liveness_since_ms = entry.node.liveness_since_ms;
    }
    entry.node = *std::move(node);
    if (entry.node.drain_changes_ms != 0) timed_.insert(id);
    planner_.put_node(entry.node);
}

void WarmPlan::update_liveness(std::vector<LiveMember> members, int64_t now_ms) {
    if (!members_stale_ && same_liveness(members, members_)) return;
    members_stale_ = false;
    members_ = std::move(members);
    for (auto& [id, entry] : nodes_) entry.heard_of = false;
    for (const LiveMember& member : members_) {
        const auto found = nodes_.find(member.id.value);
        if (found == nodes_.end()) continue;
        found->second.heard_of = true;
        set_liveness(found->second, liveness_of(member), since_ms(member, now_ms));
    }
    for (auto& [id, entry] : nodes_) {
        if (!entry.heard_of) set_liveness(entry, apps::Liveness::kSuspect, now_ms);
    }
}

void WarmPlan::set_liveness(Entry& entry, apps::Liveness liveness, int64_t since_ms) {
    if (entry.node.id == self_ || entry.node.liveness == liveness) return;
    entry.node.liveness = liveness;
    entry.node.liveness_since_ms = since_ms;
    planner_.put_node(entry.node);
}

}  // namespace smackd::services
