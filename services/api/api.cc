#include "services/api/api.h"

#include <map>
#include <utility>

#include "net/scope.h"
#include "services/api/call.h"
#include "services/api/directory.h"
#include "services/api/marathon_json.h"
#include "services/api/pages.h"
#include "services/api/reply.h"
#include "services/api/router.h"
#include "services/api/routes.h"
#include "services/api/task_caller.h"
#include "services/api/task_request.h"

namespace smackd::services {

using core::Errc;
using core::Error;
using core::fail;
using core::Result;
using net::Task;
using net::http::ConnectionInfo;
using net::http::Request;
using net::http::Response;

struct Api::State {
    State(ApiEnvironment environment, ApiOptions options)
        : context(std::move(environment), std::move(options)), router(routes()) {}
    ApiContext context;
    Router router;
    std::map<core::NodeId, size_t> of_tasks;  // requests that are answered now, by node
};

namespace {

constexpr int kBadRequest = 400;
constexpr int kMethodNotAllowed = 405;
constexpr std::string_view kUnixDoor = "unix";
constexpr std::string_view kTaskDoor = "task";
constexpr uint32_t kTaskRetryMs = 1000;

bool is_local(const ConnectionInfo& connection) {
    return connection.credentials || connection.listener == kUnixDoor ||
           connection.peer.starts_with("127.") || connection.peer.starts_with("[::1]") ||
           connection.peer.starts_with("unix:");
}

/// Passwords and tokens travel in requests: in clear they stay on this machine.
Result<void> check_transport(const ConnectionInfo& connection) {
    if (connection.tls != nullptr || is_local(connection)) return {};
    return fail(Errc::kDenied, "plain HTTP is answered on this machine only; use https");
}

/// A wrong name means that a page of somebody else speaks to us under theirs. Through the Unix socket none
/// can.
Result<void> check_host(const Request& request, const ConnectionInfo& connection,
                        const auth::HostRules& rules) {
    if (connection.credentials || connection.listener == kUnixDoor) return {};
    return auth::check_host(request.headers.get("Host"), rules);
}

/// What a client that is not signed in may do about it. A failed password must not make a browser try its
/// ticket.
void add_challenges(Response& response, const Call& call) {
    if (!call.no_negotiate)
        response.headers.add("WWW-Authenticate", auth::format_negotiate(call.refusal_token));
    response.headers.add("WWW-Authenticate", "Bearer realm=\"smackd\"");
}

Response refused_reply(const Call& call, const Error& error, ErrorForm form) {
    Response response = form == ErrorForm::kMarathon ? marathon_error_reply(error) : error_reply(error);
    if (response.status == 401) add_challenges(response, call);
    return response;
}

Task<SignInResult<Proof>> prove(Call& call) {
    if (!call.task) co_return co_await call.api.sign_in.prove(call.request, call.connection);
    Proof proof;
    proof.identity = auth::task_identity(call.task->task);
    proof.method = SignInMethod::kTaskSocket;
    co_return proof;
}

Task<SignInResult<Caller>> admit(Call& call, Proof proof) {
    if (proof.identity.kind == auth::IdentityKind::kTask)
        co_return co_await admit_task(call, std::move(proof));
    auto followed = co_await follow_directory(call, proof);
    if (!followed) co_return std::unexpected(std::move(followed.error()));
    co_return SignIn::admit(std::move(proof), call.view->policy);
}

/// Finds the caller of a route that wants one; refusals are recorded here.
Task<Result<void>> authenticate(Call& call) {
    ApiContext& api = call.api;
    // First what the state says now: a token that was revoked a moment ago must not pass.
    call.view = api.cache.fresh();
    if (call.view == nullptr) {
        CO_TRY_ASSIGN(call.view, co_await api.cache.current());
    }
    auto proof = co_await prove(call);
    SignInResult<Caller> caller = std::unexpected(SignInRefusal{});
    if (proof) {
        call.reply_token = proof->reply_token;
        caller = co_await admit(call, std::move(*proof));
    } else {
        caller = std::unexpected(std::move(proof.error()));
    }
    if (caller) {
        call.caller = std::move(*caller);
        co_return Result<void>();
    }
    SignInRefusal& refusal = caller.error();
    api.record_refusal(refusal.reason, refusal.principal, call.request, call.connection, refusal.error);
    call.refusal_token = std::move(refusal.gss_token);
    co_return std::unexpected(std::move(refusal.error));
}

/// What is about people, machines and rules, and what streams, is not for tasks.
Result<void> check_task_route(const Call& call, const Route& route) {
    if (!call.caller || !call.caller->subject.is_task() || route.access == Access::kTask) return {};
    return fail(Errc::kDenied, "{} {} is for users: no rule lets a task do this", route.method,
                route.pattern);
}

Task<Result<Response>> run_handler(Call& call, const Route& route) {
    CO_TRY(check_task_route(call, route));
    co_return co_await route.handler(call);
}

Task<Response> answer(Call& call, const Route& route) {
    // A task's socket leads to no sign-in.
    if (route.access != Access::kAnonymous || call.task) {
        auto authenticated = co_await authenticate(call);
        if (!authenticated) co_return refused_reply(call, authenticated.error(), route.errors);
    }
    auto answered = co_await run_handler(call, route);
    Response response = answered ? std::move(*answered) : refused_reply(call, answered.error(), route.errors);
    // Denied to somebody who is known: the policy's refusals are recorded like those at the door.
    if (!answered && answered.error().code == Errc::kDenied && call.caller) {
        call.api.record_refusal(RefusalClass::kPolicy, call.principal(), call.request, call.connection,
                                answered.error());
    }
    if (!call.reply_token.empty() && response.status != 401) {
        response.headers.add("WWW-Authenticate", auth::format_negotiate(call.reply_token));
    }
    co_return response;
}

Response no_route_reply(const Request& request, const RouteMatch& match) {
    const bool marathon = route_path(request.path()).starts_with("/v2/");
    if (match.allow.empty()) {
        const Error error{Errc::kNotFound, std::format("no such path: {}", request.path().substr(0, 128)), 0};
        return marathon ? marathon_error_reply(error) : error_reply(error);
    }
    const Error error{Errc::kInvalid,
                      std::format("{} is not known here; known: {}", request.method, match.allow), 0};
    Response response = marathon ? marathon_error_reply(error) : error_reply(error);
    response.status = kMethodNotAllowed;
    response.headers.add("Allow", match.allow);
    return response;
}

/// Answers what must not even reach a route: plain HTTP from elsewhere, and foreign host names.
std::optional<Response> refuse_at_door(ApiContext& context, const Request& request,
                                       const ConnectionInfo& connection, RequestClass request_class) {
    if (auto transport = check_transport(connection); !transport) {
        context.record_refusal(RefusalClass::kTransport, {}, request, connection, transport.error());
        return error_reply(transport.error());
    }
    // Load balancers ask for health by address.
    if (request_class == RequestClass::kHealth) return std::nullopt;
    auto host = check_host(request, connection, context.options.hosts);
    if (host) return std::nullopt;
    context.record_refusal(RefusalClass::kHost, {}, request, connection, host.error());
    return host.error().code == Errc::kInvalid ? error_reply(host.error(), kBadRequest)
                                               : error_reply(host.error());
}

Task<Response> answer_route(ApiContext& context, Request& request, ConnectionInfo& connection,
                            RouteMatch match, std::optional<TaskPeer> task = std::nullopt) {
    Call call{.api = context,
              .request = request,
              .connection = connection,
              .arguments = std::move(match.arguments),
              .view = nullptr,
              .caller = std::nullopt,
              .body = {},
              .reply_token = {},
              .refusal_token = {},
              .task = std::move(task)};
    auto response = co_await answer(call, *match.route);
    co_return response;
}

/// Counts itself among what runs for a node.
class TaskTurn {
 public:
    TaskTurn(std::map<core::NodeId, size_t>& running, core::NodeId node) : running_(running), node_(node) {
        ++running_[node_];
    }
    ~TaskTurn() {
        if (--running_[node_] == 0) running_.erase(node_);
    }
    TaskTurn(const TaskTurn&) = delete;
    TaskTurn& operator=(const TaskTurn&) = delete;
    Result<void> check() const {
        if (running_.at(node_) <= kTaskRequestsPerNodeMax) return {};
        return std::unexpected(
            Error{Errc::kBusy,
                  std::format("{} requests of tasks of node {} are being answered, which is the most",
                              kTaskRequestsPerNodeMax, node_.value),
                  kTaskRetryMs});
    }

 private:
    std::map<core::NodeId, size_t>& running_;
    core::NodeId node_;
};

}  // namespace

Api::Api(ApiEnvironment environment, ApiOptions options)
    : state_(std::make_unique<State>(std::move(environment), std::move(options))) {}
Api::~Api() = default;

Task<Response> Api::handle(Request& request, ConnectionInfo& connection) {
    ApiContext& context = state_->context;
    const core::Instant began = context.environment.clock.now();
    RouteMatch match = state_->router.match(request.method, route_path(request.path()));
    const RequestClass request_class =
        match.route != nullptr ? match.route->request_class : RequestClass::kStatic;
    const bool reads = request.method == "GET" || request.method == "HEAD";
    Response response;
    if (auto refused = refuse_at_door(context, request, connection, request_class)) {
        response = std::move(*refused);
    } else if (match.route != nullptr) {
        response = co_await answer_route(context, request, connection, std::move(match));
    } else if (match.allow.empty() && reads && is_page(request.path())) {
        response = page(request.path());
    } else {
        response = no_route_reply(request, match);
    }
    context.metrics.request(request_class, response.status, context.environment.clock.now() - began);
    co_return response;
}

// Neither host names nor pages: nobody but a task is at the other end.
Task<Result<wire::TaskResponse>> Api::answer_task(core::NodeId node, wire::TaskRequest asked) {
    ApiContext& context = state_->context;
    const TaskTurn turn(state_->of_tasks, node);
    CO_TRY(turn.check());
    const core::Instant began = context.environment.clock.now();
    TaskPeer task{node, asked.task()};
    ConnectionInfo connection;
    connection.peer = std::format("node {}", node.value);
    connection.listener = kTaskDoor;
    CO_TRY_ASSIGN(TaskHttpRequest made, http_request_of(std::move(asked)));
    RouteMatch match = state_->router.match(made.request.method, route_path(made.request.path()));
    if (match.route == nullptr) co_return task_response_of(no_route_reply(made.request, match));
    const RequestClass request_class = match.route->request_class;
    auto answering = [](Task<Response> answer) -> Task<Result<Response>> {
        co_return co_await std::move(answer);
    };
    CO_TRY_ASSIGN(Response response,
                  co_await net::with_deadline(context.environment.loop, kTaskAnswerLimit, "the answer",
                                              answering(answer_route(context, made.request, connection,
                                                                     std::move(match), std::move(task)))));
    context.metrics.request(request_class, response.status, context.environment.clock.now() - began);
    co_return task_response_of(std::move(response));
}

Task<Result<wire::TaskToken>> Api::task_token(core::NodeId node, std::string task) {
    const TaskTurn turn(state_->of_tasks, node);
    CO_TRY(turn.check());
    CO_TRY_ASSIGN(auth::IssuedToken issued,
                  co_await issue_task_token(state_->context, node, std::move(task)));
    wire::TaskToken token;
    token.set_expires_s(issued.claims.expires_s);
    token.set_token(std::move(issued.text));
    co_return token;
}

void Api::note_refusal(auth::Refusal refusal) {
    state_->context.note_refusal(std::move(refusal));
}

void Api::set_token_keys(std::vector<auth::TokenKey> keys) {
    state_->context.options.token_keys = std::move(keys);
    state_->context.tokens.set_keys(state_->context.options.token_keys);
}

}  // namespace smackd::services
