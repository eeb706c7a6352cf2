#include "services/api/task_caller.h"

#include "core/apps/task_rules.h"
#include "core/names.h"
#include "core/planted.h"
#include "services/apps/tenant_rows.h"

namespace smackd::services {

using core::Errc;
using core::fail;
using core::Result;

namespace {

/// The row of a task that runs, on `node` where that is given.
Result<const wire::Task*> running_task(const AppsModel& model, const std::string& id,
                                       std::optional<core::NodeId> node) {
    const auto row = model.tasks.find(id);
    if (row == model.tasks.end() || apps::has_ended(row->second.put))
        return fail(Errc::kUnauthenticated, "the task '{}' does not run: its identity has ended with it",
                    id.substr(0, 255));
    const wire::Task& task = row->second.put;
    if (node && task.node_id() != node->value && !SMACK_BUG("task_of_another_node"))
        return fail(Errc::kDenied, "the task '{}' does not run on node {}, which speaks for it", id,
                    node->value);
    return &task;
}

}  // namespace

net::Task<SignInResult<Caller>> admit_task(Call& call, Proof proof) {
    const std::string principal = proof.identity.principal;
    auto model = co_await call.api.apps.current();
    if (!model)
        co_return std::unexpected(
            SignInRefusal{std::move(model.error()), RefusalClass::kRegistry, principal, {}});
    const auto node = call.task ? std::optional(call.task->node) : std::nullopt;
    auto task = running_task(**model, proof.identity.name, node);
    if (!task)
        co_return std::unexpected(
            SignInRefusal{std::move(task.error()), RefusalClass::kRegistry, principal, {}});
    core::Subject subject;
    subject.app = (*task)->app_id();
    subject.tenants = std::make_shared<const apps::Tenants>(tenants_of(**model));
    co_return Caller{std::move(proof), std::move(subject)};
}

net::Task<Result<auth::IssuedToken>> issue_task_token(ApiContext& api, core::NodeId node, std::string task) {
    if (api.options.token_keys.empty())
        co_return fail(Errc::kUnavailable, "this server has no key to sign tokens with yet");
    CO_TRY_ASSIGN(const AppsModel* model, co_await api.apps.current());
    CO_TRY(running_task(*model, task, node));
    // A copy: the keys may be rotated while the worker signs.
    const auth::TokenKey key = api.options.token_keys.front();
    auto issued = co_await api.environment.workers.run<auth::IssuedToken>(api.environment.loop, [&] {
        return auth::issue_token(key, api.options.cluster_id, core::task_principal(task),
                                 api.environment.clock.wall(), auth::kTaskTokenLifeSeconds,
                                 auth::TokenKind::kTask);
    });
    if (issued) api.metrics.tokens_issued.add();
    co_return issued;
}

}  // namespace smackd::services
