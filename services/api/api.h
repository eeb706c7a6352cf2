// The HTTP API of one server: routes, sign-in, and the answers.
//
// Order of checks for each request: the way it came (plain HTTP from elsewhere is refused), the Host header,
// the route, who asks (ticket, token or session cookie, with the cross-site rule for what a browser sends by
// itself), whether the cluster knows them; what they may do is the handler's question, and again apply's.
#pragma once

#include <memory>

#include "net/http/message.h"
#include "net/http/server.h"
#include "net/task.h"
#include "services/api/context.h"

namespace smackd::services {

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

    /// Replaces the keys of tokens (rotation): the first signs, all are accepted.
    void set_token_keys(std::vector<auth::TokenKey> keys);

    /// A refusal at another door of this server, for the log and GET /smack/v1/refusals. Loop thread.
    void note_refusal(auth::Refusal refusal);

 private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace smackd::services
