// /smack/v1/tasks/{id}/exec: a program beside a task's command, over a WebSocket (exec_message.h).
#include "core/apps/task_rules.h"
#include "core/marathon/path_id.h"
#include "net/http/websocket.h"
#include "net/scope.h"
#include "services/api/exec_note.h"
#include "services/api/exec_relay.h"
#include "services/api/handlers.h"
#include "services/api/reply.h"
#include "services/api/still_welcome.h"

namespace smackd::services::handlers {

using core::Action;
using core::Errc;
using core::fail;
using core::Result;
using net::Task;

namespace {

constexpr int kUpgradeRequired = 426;

/// One open session; owns what it needs, since the request is gone while it runs.
struct Session {
    ApiContext& api;
    Caller caller;
    std::string app;
    std::string task;
    std::string machine;  ///< where the task runs
    std::string peer;
    std::string request;
};

/// A page of another site can open a WebSocket here, and the browser adds the cookie: unlike what GET asks
/// for elsewhere, this changes something, and its answer can be read by that page. A token is added by nobody
/// but who has it.
Result<void> check_page(const Call& call) {
    const SignInMethod method = call.caller->proof.method;
    auto checked = auth::check_cross_site({.method = "POST",
                                           .content_type = "application/json",
                                           .origin = call.request.headers.get("Origin"),
                                           .sec_fetch_site = call.request.headers.get("Sec-Fetch-Site"),
                                           .host = call.request.headers.get("Host"),
                                           .tls = call.connection.tls != nullptr,
                                           .ambient = method != SignInMethod::kToken});
    if (!checked) {
        call.api.record_refusal(RefusalClass::kCrossSite, call.principal(), call.request, call.connection,
                                checked.error());
    }
    return checked;
}

/// The machine on which the task runs.
Task<Result<std::string>> place_of(Call& call, std::string task) {
    CO_TRY_ASSIGN(const AppsModel* model, co_await call.api.apps.current());
    const auto found = model->tasks.find(task);
    if (found == model->tasks.end()) co_return fail(Errc::kNotFound, "no task '{}'", task.substr(0, 256));
    const wire::Task& row = found->second.put;
    if (apps::has_ended(row)) co_return fail(Errc::kConflict, "task '{}' has ended", task);
    if (call.api.environment.tasks == nullptr) co_return fail(Errc::kUnavailable, "this node knows no tasks");
    co_return row.machine();
}

/// Still a user, and still granted it.
Task<Result<void>> check_still(Session& session) {
    CO_TRY_ASSIGN(const auto view, co_await still_welcome(session.api, session.caller));
    co_return view->policy.authorize(session.caller.subject,
                                     {.action = Action::kExec, .tenant = "*", .path = session.app});
}

/// In the audit before it begins; see exec_note.h for who may begin without.
Task<Result<void>> record(Session& session, ExecNote& note, std::string program) {
    auto recorded = co_await note.record();
    if (recorded || !is_cluster_away(recorded.error())) co_return recorded;
    CO_TRY_ASSIGN(const auto view, co_await still_welcome(session.api, session.caller));
    if (!view->policy.may(session.caller.subject, {.action = Action::kAdmin}))
        co_return fail(Errc::kUnavailable,
                       "the program is not run, since the audit cannot record it ({}); an administrator may "
                       "run one nevertheless",
                       recorded.error().message);
    session.api.note_refusal(
        {.reason = "unrecorded",
         .principal = session.caller.principal(),
         .source = session.peer,
         .door = "api",
         .request = session.request,
         .message = std::format("not refused: {} is run in the task, while the audit cannot record it ({})",
                                program, recorded.error().message)});
    co_return Result<void>();
}

Task<Result<wire::ShimExecExit>> run_recorded(Session& session, ExecRelay& relay, wire::ShimExec what,
                                              ExecNote& note, std::string program) {
    ApiEnvironment& environment = session.api.environment;
    CO_TRY(co_await record(session, note, program));
    const bool tty = what.tty();
    CO_TRY_ASSIGN(auto running,
                  co_await environment.tasks->exec(environment.loop, session.task, std::move(what)));
    environment.logger.info("exec", {{"principal", session.caller.principal()},
                                     {"task", session.task},
                                     {"machine", session.machine},
                                     {"program", program},
                                     {"tty", tty ? "true" : "false"},
                                     {"peer", session.peer}});
    net::Scope beside(environment.loop);
    if (!note.recorded()) beside.spawn(note.record_late());
    auto outcome = co_await relay.run(*running);
    co_await beside.close();
    co_return outcome;
}

Task<Result<wire::ShimExecExit>> run_program(Session& session, ExecRelay& relay) {
    CO_TRY_ASSIGN(wire::ShimExec what, co_await relay.first());
    CO_TRY(co_await check_still(session));
    // Arguments may be secret; that something was run, by whom and where is what an operator asks.
    const std::string program = shown_program(what.words(0));
    wire::NoteExec row;
    row.set_task(session.task);
    row.set_program(program);
    row.set_machine(session.machine);
    row.set_source(session.peer);
    ExecNote note(session.api, session.caller.principal(), std::move(row));
    co_return co_await run_recorded(session, relay, std::move(what), note, program);
}

std::string words_of(const Result<wire::ShimExecExit>& outcome) {
    if (!outcome) return outcome.error().message;
    if (outcome->has_failed()) return outcome->failed().message();
    if (outcome->signal() != 0) return std::format("signal {}", outcome->signal());
    return std::format("exit code {}", outcome->code());
}

Task<void> serve(std::shared_ptr<Session> shared, net::Stream& stream, core::Bytes rest) {
    Session& session = *shared;
    ApiEnvironment& environment = session.api.environment;
    net::http::WebSocket socket(environment.loop, stream, net::http::WebSocketRole::kServer, std::move(rest));
    ExecRelay::Welcome welcome = [&session] { return check_still(session); };
    ExecRelay relay(environment.loop, socket, welcome);
    auto outcome = co_await run_program(session, relay);
    environment.logger.info(
        "exec ended",
        {{"principal", session.caller.principal()}, {"task", session.task}, {"how", words_of(outcome)}});
    co_await relay.tell(std::move(outcome));
}

net::http::Response refuse_upgrade(const net::http::WebSocketRefusal& why) {
    net::http::Response response = error_reply({Errc::kInvalid, why.message, 0}, why.status);
    if (why.status != kUpgradeRequired) return response;
    return std::move(response)
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Version", net::http::kWebSocketVersion);
}

}  // namespace

Answer task_exec(Call& call) {
    const std::string& task = call.argument();
    CO_TRY_ASSIGN(std::string app, marathon::app_of_task(task));
    CO_TRY(call.require(Action::kExec, app));
    if (auto page = check_page(call); !page) co_return error_reply(page.error());
    CO_TRY_ASSIGN(std::string machine, co_await place_of(call, task));
    if (const auto refused = net::http::check_websocket_request(call.request))
        co_return refuse_upgrade(*refused);
    // Shared, since a callback that is moved about starts a coroutine that stays.
    auto session = std::make_shared<Session>(Session{call.api, *call.caller, std::move(app), task,
                                                     std::move(machine), call.connection.peer,
                                                     call.request.method + " " + call.request.path()});
    co_return net::http::websocket_response(call.request, [session](net::Stream& stream, core::Bytes rest) {
        return serve(session, stream, std::move(rest));
    });
}

}  // namespace smackd::services::handlers
