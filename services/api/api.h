// The HTTP API of one server: routes, sign-in, and the answers.
//
// Order of checks for each request: the way it came (plain HTTP from elsewhere is refused), the Host header,
// the route, who asks (ticket, token or session cookie, with the cross-site rule for what a browser sends by
// itself), whether the cluster knows them; what they may do is the handler's question, and again apply's.
#pragma once

#include <memory>

#include "core/wire/task_door.pb.h"
#include "net/http/message.h"
#include "net/http/server.h"
#include "net/task.h"
#include "services/api/context.h"

namespace smackd::services {

/// Requests and tokens of one node's tasks that are answered at once.
inline constexpr size_t kTaskRequestsPerNodeMax = 32;
inline constexpr core::Duration kTaskAnswerLimit = core::seconds(15);

class Api {
 public:
    Api(ApiEnvironment environment, ApiOptions options);
    ~Api();
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;

    /// Answers one request; never fails. For net::http::Server:
    /// `[&api](auto& request, auto& connection) { return api.handle(request, connection); }`. All requests
    /// have ended before the API dies (Server::close).
    net::Task<net::http::Response> handle(net::http::Request& request, net::http::ConnectionInfo& connection);

    /// Answers a request that `node` relays from the socket of a task of its own; refusals are answers. An
    /// error: kBusy beyond kTaskRequestsPerNodeMax at once, kTimeout after kTaskAnswerLimit, or what
    /// services/api/task_request.h says.
    net::Task<core::Result<wire::TaskResponse>> answer_task(core::NodeId node, wire::TaskRequest request);
    /// A token for a task that runs on `node`; kBusy as above.
    net::Task<core::Result<wire::TaskToken>> task_token(core::NodeId node, std::string task);

    /// Replaces the keys of tokens (rotation): the first signs, all are accepted.
    void set_token_keys(std::vector<auth::TokenKey> keys);

    /// A refusal at another door of this server, for the log and GET /smack/v1/refusals. Loop thread.
    void note_refusal(auth::Refusal refusal);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace smackd::services
