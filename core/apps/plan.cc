#include "core/apps/plan.h"

#include "core/apps/planner.h"

namespace smackd::apps {

Decision decide(const View& view, const Parameters& parameters, int64_t now_ms, core::Random& random) {
    Planner planner(parameters);
    for (const Node& node : view.nodes) planner.put_node(node);
    for (const wire::AppDefinition* app : view.apps) planner.put_app(*app);
    for (const wire::AppBackoff* backoff : view.backoffs) planner.put_backoff(*backoff);
    for (const wire::Task* task : view.tasks) planner.put_task(*task);
    for (const wire::Deployment* deployment : view.deployments) planner.put_deployment(*deployment);
    planner.set_leases_over(view.leases_over);
    return planner.decide(now_ms, random, true);
}

}  // namespace smackd::apps
