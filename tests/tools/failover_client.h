// One keep-alive HTTP connection of a test client that goes to the next server when the present one fails.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cmd/smackd/client/server_address.h"
#include "net/http/client.h"
#include "net/tls/tls.h"

namespace smackd::tools {

struct Servers {
    std::vector<cmd::ServerAddress> list;
    std::string token;   ///< bearer; empty: none
    std::string ca_pem;  ///< for https
    core::Duration request_limit = core::seconds(15);
    core::Duration connect_limit = core::seconds(3);
};

class FailoverClient {
 public:
    using Answer = core::Result<net::http::ClientResponse>;

    /// `servers` outlives it. `number` says with which server it begins.
    FailoverClient(net::TlsEngine& tls, const Servers& servers, size_t number)
        : tls_(tls), servers_(servers), server_(number % servers.list.size()) {}

    /// An answer of 500 and more counts as a failure of the server.
    net::Task<Answer> request(std::string method, std::string target, std::string body,
                              net::http::Headers headers = {}) {
        auto answer =
            co_await attempt(std::move(method), std::move(target), std::move(body), std::move(headers));
        if (!answer || answer->status >= 500) {
            co_await close();
            server_ = (server_ + 1) % servers_.list.size();
        }
        co_return answer;
    }

    net::Task<void> close() {
        if (connection_) co_await connection_->close();
        connection_.reset();
    }
    /// The last request may have reached a server.
    bool sent() const { return sent_; }
    size_t server() const { return server_; }

 private:
    net::Task<Answer> attempt(std::string method, std::string target, std::string body,
                              net::http::Headers headers) {
        sent_ = false;
        if (connection_ && !connection_->reusable()) co_await close();
        if (!connection_) CO_TRY(co_await connect());
        net::http::ClientRequest request;
        request.method = std::move(method);
        request.target = std::move(target);
        request.limit = servers_.request_limit;
        request.headers = std::move(headers);
        if (!servers_.token.empty()) request.headers.set("Authorization", "Bearer " + servers_.token);
        if (!body.empty()) request.headers.set("Content-Type", "application/json");
        request.body = std::move(body);
        sent_ = true;
        co_return co_await connection_->fetch(std::move(request));
    }

    net::Task<core::Result<void>> connect() {
        const cmd::ServerAddress& server = servers_.list[server_];
        net::http::Endpoint endpoint;
        endpoint.host = {server.host, server.port};
        if (server.tls) {
            net::TlsClientOptions tls;
            tls.ca_pem = servers_.ca_pem;
            CO_TRY_ASSIGN(endpoint.tls, net::TlsConfig::client(std::move(tls)));
            endpoint.server_name = server.host;
        }
        CO_TRY_ASSIGN(connection_, co_await net::http::connect(tls_.loop(), &tls_, std::move(endpoint),
                                                               servers_.connect_limit));
        co_return core::Result<void>();
    }

    net::TlsEngine& tls_;
    const Servers& servers_;
    size_t server_;
    bool sent_ = false;
    std::unique_ptr<net::http::ClientConnection> connection_;
};

}  // namespace smackd::tools
