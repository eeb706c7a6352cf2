// A cluster for stories: it applies what decide() answers and plays the nodes, one tick of a second at a
// time.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/apps/deployment.h"
#include "core/apps/leases.h"
#include "core/apps/plan.h"
#include "core/random.h"

namespace smackd::apps {

class Cluster {
 public:
    explicit Cluster(uint64_t seed = 1) : random(seed) {}

    /// A node with this many cpus and as many GiB.
    Node& add_node(const std::string& machine, uint64_t cpus,
                   std::map<std::string, std::string> attributes = {});
    /// The definition from Marathon's JSON; it must be right.
    static wire::AppDefinition app(const std::string& json);
    /// POST or PUT: stamps it, makes a deployment of it and puts both in the state.
    void put(wire::AppDefinition app, bool restart = false);
    void put_all(std::vector<wire::AppDefinition> list, bool restart = false);
    void remove(const std::string& id);
    /// A state of apps with whatever version fields it has (a rollback).
    void replace(Apps after);

    /// One decision, applied; then the nodes move on by a second.
    void tick();
    void run(int ticks);
    /// Ticks until no deployment is left, at most `ticks`; how many it took, or -1.
    int settle(int ticks = 200);

    std::vector<const wire::Task*> tasks(const std::string& app_id, bool ended = false) const;
    size_t running(const std::string& app_id) const;
    std::map<std::string, uint32_t> per_machine(const std::string& app_id) const;
    const wire::Task& only(const std::string& app_id) const;

    Apps apps;
    Groups groups;
    std::map<std::string, wire::Task> task_rows;
    std::map<std::string, wire::Deployment> deployments;
    std::map<std::string, wire::AppBackoff> backoffs;
    std::vector<Node> nodes;
    Parameters parameters;
    LeaseWatch leases;
    Decision last;
    std::vector<std::string> log;  ///< what was done, for golden traces
    int64_t now_ms = 1'000'000;
    core::SeededRandom random;
    int start_ticks = 1;  ///< from launch to running
    int kill_ticks = 1;
    /// What becomes of a task when it has started; the default runs it and its health checks succeed.
    std::function<void(wire::Task&)> on_start;

 private:
    View view();
    void apply(const Action& action);
    void advance(wire::Task& task);
    bool is_up(uint64_t node_id) const;
    int64_t next_version();

    uint64_t deployments_made_ = 0;
    int64_t last_version_ms_ = 0;
};

}  // namespace smackd::apps
