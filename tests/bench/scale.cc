// Figures of a large cluster on the real core and the real state, with simulated nodes.
//
// Usage: scale decide              placements a second, in memory
//        scale durable DIRECTORY   the same through log and state on disk; fills DIRECTORY for the next two
//        scale steady DIRECTORY    what a leader pays per event, and the API per question
// Options behind it: --nodes N --tasks N --apps N --seconds S (limit of a measurement; what is missing then
// is placed anyhow). Each figure is a line "NAME VALUE"; those per second or in ms of `decide` and `steady`
// are of this thread's processor time.
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <format>
#include <fstream>
#include <functional>
#include <string>

#include "core/apps/plan.h"
#include "services/api/marathon_json.h"
#include "services/apps/scheduler.h"
#include "services/apps/warm_plan.h"
#include "tests/bench/scale/store.h"
#include "tests/bench/scale/world.h"

namespace smackd::bench {
namespace {

constexpr core::NodeId kSelf{1};
constexpr core::Term kTerm{1};

struct Options {
    WorldSize size;
    double seconds = 60;
};

void figure(const char* name, double value) {
    std::printf("%s %.6g\n", name, value);
    std::fflush(stdout);
}

double percentile(std::vector<double> values, double share) {
    std::ranges::sort(values);
    return values[std::min(values.size() - 1,
                           static_cast<size_t>(static_cast<double>(values.size()) * share))];
}

void percentiles(const std::string& name, const std::vector<double>& seconds) {
    figure((name + "_p50_ms").c_str(), percentile(seconds, 0.5) * 1000);
    figure((name + "_p95_ms").c_str(), percentile(seconds, 0.95) * 1000);
}

/// Proportional share of this process's memory.
uint64_t pss_bytes() {
    ::malloc_trim(0);
    std::ifstream file("/proc/self/smaps_rollup");
    for (std::string word; file >> word;) {
        uint64_t kib = 0;
        if (word == "Pss:" && file >> kib) return kib * 1024;
    }
    return 0;
}

uint64_t launches_in(const apps::Decision& decision) {
    return static_cast<uint64_t>(std::ranges::count_if(decision.actions, [](const apps::Action& action) {
        return std::holds_alternative<apps::LaunchTask>(action);
    }));
}

/// What the API asks: everything, from nothing.
apps::Decision ask(const services::AppsModel& model, const std::vector<services::LiveMember>& members,
                   int64_t now_ms, core::Random& random) {
    return apps::decide(services::plan_view(model, members, kSelf, now_ms), {}, now_ms, random);
}

/// The leader's plan of a model, as the scheduler keeps it.
class Leader {
 public:
    Leader(const services::AppsModel& model, const World& world)
        : members_(world.members()), plan_(model, kSelf) {}

    apps::Decision look(int64_t now_ms) {
        return plan_.decide(members_, leases_, core::Instant(core::milliseconds(now_ms)), now_ms, random_);
    }
    void take(const std::vector<services::ChangedRow>& changed) { plan_.take(changed); }

 private:
    std::vector<services::LiveMember> members_;
    services::WarmPlan plan_;
    apps::LeaseWatch leases_;
    core::SeededRandom random_{1};
};

/// Rounds as the scheduler makes them until nothing is launched any more or `limit_s` is over; `carry_out`
/// brings the actions into the model and says which rows have changed. Placements.
uint64_t rounds(Leader& leader, double limit_s,
                const std::function<std::vector<services::ChangedRow>(const apps::Decision&)>& carry_out) {
    uint64_t placed = 0;
    const double end = seconds_now() + limit_s;
    for (int64_t now_ms = kWorldMs + 1'000'000; seconds_now() < end; now_ms += 10) {
        const apps::Decision decision = leader.look(now_ms);
        const uint64_t launched = launches_in(decision);
        leader.take(carry_out(decision));
        if (launched == 0) break;
        placed += launched;
    }
    return placed;
}

int decide(const Options& options) {
    const World world = World::make(options.size, 1);
    services::AppsModel model = world.model();
    Leader leader(model, world);
    double deciding = 0;
    double begun = cpu_seconds_now();
    const uint64_t placed = rounds(leader, options.seconds, [&](const apps::Decision& decision) {
        deciding += cpu_seconds_now() - begun;
        std::vector<services::ChangedRow> changed;
        for (const apps::Action& action : decision.actions) {
            if (const auto* launch = std::get_if<apps::LaunchTask>(&action)) {
                model.tasks[launch->task.id()] = {.put = launch->task, .version = 1};
                changed.emplace_back("task", launch->task.id());
            } else if (const auto* update = std::get_if<apps::UpdateDeployment>(&action)) {
                model.deployments[update->deployment.id()] = {.put = update->deployment, .version = 1};
                changed.emplace_back("deployment", update->deployment.id());
            }
        }
        begun = cpu_seconds_now();
        return changed;
    });
    figure("placed", static_cast<double>(placed));
    figure("wanted", options.size.tasks);
    figure("placements_per_s", static_cast<double>(placed) / deciding);
    return 0;
}

void put_world(Store& store, const World& world) {
    const uint64_t refused = store.propose(world.commands(), kWorldMs);
    if (refused != 0) stop(std::format("{} commands of the world are refused", refused));
}

constexpr size_t kBatch = 1000;

void propose_all(Store& store, services::AppsModel& model, const std::vector<wire::Command>& commands) {
    for (size_t first = 0; first < commands.size(); first += kBatch) {
        const auto from = commands.begin() + static_cast<ptrdiff_t>(first);
        const auto count = static_cast<ptrdiff_t>(std::min(kBatch, commands.size() - first));
        if (store.propose({from, from + count}, kWorldMs + 3'000'000) != 0) stop("a command is refused");
        store.follow(model);
    }
}

wire::Task task_at(const wire::AppDefinition& app, const wire::PutNode& node, core::Random& random) {
    wire::Task task;
    task.set_instance_id(apps::make_instance_id(app.id(), random));
    task.set_id(apps::make_task_id(task.instance_id(), 1));
    task.set_app_id(app.id());
    task.set_app_version_ms(app.version_ms());
    task.set_config_version_ms(app.config_version_ms());
    task.set_node_id(node.node_id());
    task.set_machine(node.machine());
    task.set_zone(node.zone());
    task.set_role("*");
    *task.mutable_resources() = app.resources();
    task.set_staged_ms(kWorldMs);
    return task;
}

/// What the limit of time left over goes where there is room, constraints or not: the sizes are right, the
/// places are not.
void place_the_rest(Store& store, services::AppsModel& model, const World& world) {
    std::map<std::string, uint32_t> there;
    std::vector<wire::Resources> used(world.nodes.size());
    for (const auto& [id, row] : model.tasks) {
        ++there[row.put.app_id()];
        apps::add(used[row.put.node_id() - 1], row.put.resources());
    }
    core::SeededRandom random(2);
    std::vector<wire::Command> commands;
    for (const auto& [id, row] : model.apps) {
        const wire::Resources& needs = row.put.resources();
        for (uint32_t i = there[id]; i < row.put.instances(); ++i) {
            size_t at = random.below(used.size());
            const auto lacks = [&](size_t node) {
                const wire::Resources& total = world.capacities[node].total();
                return used[node].cpus_milli() + needs.cpus_milli() > total.cpus_milli() ||
                       used[node].memory_bytes() + needs.memory_bytes() > total.memory_bytes();
            };
            while (lacks(at)) at = (at + 1) % used.size();
            apps::add(used[at], needs);
            commands.push_back(system_command());
            *commands.back().add_changes()->mutable_put_task()->mutable_task() =
                task_at(row.put, world.nodes[at], random);
        }
    }
    figure("placed_anyhow", static_cast<double>(commands.size()));
    propose_all(store, model, commands);
}

/// The nodes say that their tasks run and are healthy.
void start_all(Store& store, services::AppsModel& model) {
    std::vector<wire::Command> commands;
    for (const auto& [id, row] : model.tasks) {
        commands.push_back(system_command());
        auto& update = *commands.back().add_changes()->mutable_update_task_status();
        update.set_task_id(id);
        wire::TaskStatus& status = *update.mutable_status();
        status.set_state(wire::TASK_RUNNING);
        status.set_time_ms(kWorldMs + 2'000'000);
        status.set_started_ms(kWorldMs + 2'000'000);
        status.set_uuid("0123456789abcdef");
        status.set_task_address("10.88.3.17");
        status.set_pid(4711);
        status.add_health()->set_alive(true);
        status.mutable_health(0)->set_first_success_ms(kWorldMs + 2'000'100);
    }
    const double begun = seconds_now();
    const double cpu_begun = cpu_seconds_now();
    propose_all(store, model, commands);
    const auto updates = static_cast<double>(commands.size());
    figure("status_updates_per_s", updates / (seconds_now() - begun));
    figure("status_updates_per_cpu_s", updates / (cpu_seconds_now() - cpu_begun));
}

int durable(const std::string& directory, const Options& options) {
    const World world = World::make(options.size, 1);
    Store store(directory);
    put_world(store, world);
    const uint64_t before = store.database_bytes();
    services::AppsModel model = store.load();
    const double log_before = store.log_s();
    const double apply_before = store.apply_s();
    uint64_t refused = 0;
    Leader leader(model, world);
    const double begun = seconds_now();
    const double cpu_begun = cpu_seconds_now();
    const uint64_t placed = rounds(leader, options.seconds, [&](const apps::Decision& decision) {
        refused +=
            store.propose(services::commands_of(decision, model, kTerm, kWorldMs), kWorldMs + 1'000'000);
        return store.follow(model);
    });
    const double took = seconds_now() - begun;
    figure("placed", static_cast<double>(placed));
    figure("refused", static_cast<double>(refused));
    figure("durable_per_s", static_cast<double>(placed) / took);
    figure("durable_per_cpu_s", static_cast<double>(placed) / (cpu_seconds_now() - cpu_begun));
    figure("log_share", (store.log_s() - log_before) / took);
    figure("apply_share", (store.apply_s() - apply_before) / took);
    place_the_rest(store, model, world);
    figure("database_bytes_per_task",
           static_cast<double>(store.database_bytes() - before) / options.size.tasks);
    start_all(store, model);
    return 0;
}

/// Seconds of a processor of each run: what others do on this machine does not count.
std::vector<double> timed(int runs, const std::function<void()>& what) {
    std::vector<double> seconds;
    for (int i = 0; i < runs; ++i) {
        const double begun = cpu_seconds_now();
        what();
        seconds.push_back(cpu_seconds_now() - begun);
    }
    return seconds;
}

/// GET /v2/apps: the code behind it.
void list_apps(const services::AppsModel& model) {
    core::Json list = core::Json::array();
    for (const auto& [id, row] : model.apps) list.push(services::app_info_json(model, row.put, {}, kWorldMs));
    if (services::marathon_reply(200, core::Json::object().set("apps", std::move(list))).body.size() < 1000)
        stop("an empty list");
}

int steady(const std::string& directory, const Options& options) {
    Store store(directory);
    const uint64_t before = pss_bytes();
    services::AppsModel model;
    percentiles("model_load", timed(1, [&] { model = store.load(); }));
    figure("tasks", static_cast<double>(model.tasks.size()));
    figure("model_mib", static_cast<double>(pss_bytes() - before) / (1 << 20));
    const World world = World::make(options.size, 1);
    Leader leader(model, world);
    int64_t now_ms = kWorldMs + 4'000'000;
    percentiles("look_first", timed(1, [&] { leader.look(now_ms); }));
    // Deployments end first.
    for (apps::Decision decision; !(decision = leader.look(now_ms)).actions.empty(); ++now_ms) {
        if (launches_in(decision) > 0) stop("something is launched in a cluster at rest");
        store.propose(services::commands_of(decision, model, kTerm, now_ms), now_ms);
        leader.take(store.follow(model));
    }
    figure("leader_mib", static_cast<double>(pss_bytes() - before) / (1 << 20));
    percentiles("look_idle", timed(50, [&] { leader.look(now_ms); }));
    auto task = model.tasks.begin();
    percentiles("look_one_change", timed(50, [&] {
                    std::advance(task, 997);
                    auto* status = task->second.put.mutable_status();
                    status->mutable_health(0)->set_last_success_ms(++now_ms);
                    leader.take({{"task", task->first}});
                    leader.look(now_ms);
                }));
    percentiles("list_apps", timed(20, [&] { list_apps(model); }));
    // One that fits nowhere.
    wire::AppDefinition app = model.apps.begin()->second.put;
    app.set_id("/team0/too-large");
    app.mutable_resources()->set_cpus_milli(1'000'000);
    app.set_instances(1);
    model.apps[app.id()] = {.put = app, .version = 1};
    const auto members = world.members();
    core::SeededRandom random(3);
    percentiles("explain", timed(10, [&] {
                    if (!ask(model, members, now_ms, random).waiting.contains(app.id()))
                        stop("nothing is explained");
                }));
    return 0;
}

int usage() {
    std::fprintf(
        stderr,
        "usage: scale decide | durable DIRECTORY | steady DIRECTORY  [--nodes N] [--tasks N] [--apps N] "
        "[--seconds S]\n");
    return 2;
}

int run(int argc, char** argv) {
    const std::string part = argc > 1 ? argv[1] : "";
    int at = part == "decide" ? 2 : 3;
    if (argc < at) return usage();
    Options options;
    for (; at + 1 < argc; at += 2) {
        const std::string name = argv[at];
        const auto number = static_cast<uint32_t>(std::strtoul(argv[at + 1], nullptr, 10));
        if (name == "--nodes")
            options.size.nodes = number;
        else if (name == "--tasks")
            options.size.tasks = number;
        else if (name == "--apps")
            options.size.apps = number;
        else if (name == "--seconds")
            options.seconds = number;
        else
            return usage();
    }
    if (part == "decide") return decide(options);
    if (part == "durable") return durable(argv[2], options);
    if (part == "steady") return steady(argv[2], options);
    return usage();
}

}  // namespace
}  // namespace smackd::bench

int main(int argc, char** argv) {
    return smackd::bench::run(argc, argv);
}
