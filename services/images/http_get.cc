#include "services/images/http_get.h"

#include <algorithm>
#include <format>

#include "net/scope.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::Result;
using net::Task;

namespace {

using StreamResult = Result<std::unique_ptr<net::Stream>>;

std::string host_port(const Url& url) {
    const bool v6 = url.host.find(':') != std::string::npos;
    return std::format("{}{}{}:{}", v6 ? "[" : "", url.host, v6 ? "]" : "", url.port);
}

/// As the Host field has it: without the port that goes without saying, which signatures of object stores
/// cover.
std::string host_field(const Url& url) {
    std::string text = host_port(url);
    const std::string_view usual = url.tls ? ":443" : ":80";
    if (text.ends_with(usual)) text.resize(text.size() - usual.size());
    return text;
}

bool redirects(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

Task<Result<size_t>> read_body(net::http::ClientConnection& connection, char* buffer, size_t size) {
    co_return co_await connection.body().read(buffer, size);
}

}  // namespace

bool CheckedConnector::trusts(const Url& url) const {
    const std::string with_port = host_port(url);
    return std::ranges::any_of(trusted_,
                               [&](const std::string& one) { return one == with_port || one == url.host; });
}

Task<StreamResult> CheckedConnector::connect(const Url& url) {
    const std::string shown = host_port(url);
    CO_TRY_ASSIGN(const std::vector<net::Address> addresses,
                  co_await net::resolve(loop_, url.host, url.port, kConnectLimit));
    StreamResult last = fail(Errc::kNotFound, "host '{}' has no address", url.host);
    for (const net::Address& address : addresses) {
        const auto refusal = trusts(url) ? std::nullopt : rules_.refusal(address);
        if (refusal) {
            last = fail(Errc::kDenied, "{} may not be reached: {}", shown, *refusal);
            continue;
        }
        last = co_await net::connect_tcp(loop_, address, kConnectLimit);
        if (last || last.error().code == Errc::kCancelled) break;
    }
    co_return last;
}

Task<Result<size_t>> GetResponse::read(net::Loop& loop, char* buffer, size_t size) {
    auto count = co_await net::with_deadline(loop, kIdleLimit, "the next piece of the answer",
                                             read_body(*connection, buffer, size));
    co_return count;
}

Task<Result<std::string>> GetResponse::read_all(net::Loop& loop, size_t limit) {
    std::string body;
    std::string piece(16384, '\0');
    for (;;) {
        CO_TRY_ASSIGN(const size_t count, co_await read(loop, piece.data(), piece.size()));
        if (count == 0) co_return body;
        if (count > limit - body.size())
            co_return fail(Errc::kInvalid, "{}: the answer is longer than {} bytes", url.shown(), limit);
        body.append(piece, 0, count);
    }
}

Task<Result<GetResponse>> HttpGetter::get_once(const GetRequest& request, bool with_authorization) {
    CO_TRY_ASSIGN(std::unique_ptr<net::Stream> stream, co_await connector_.connect(request.url));
    if (request.url.tls && tls_config_ == nullptr) {
        co_return fail(Errc::kUnsupported, "https: no CA certificates are here to check the server by");
    }
    if (request.url.tls) {
        CO_TRY_ASSIGN(stream, co_await tls_.connect(std::move(stream), tls_config_, request.url.host));
    }
    GetResponse response{nullptr, {}, request.url};
    response.connection =
        std::make_unique<net::http::ClientConnection>(loop_, std::move(stream), host_field(request.url));
    net::http::ClientRequest message;
    message.target = request.url.target;
    message.headers = request.headers;
    message.headers.set("User-Agent", "smackd");
    message.headers.set("Connection", "close");
    if (with_authorization && !request.authorization.empty())
        message.headers.set("Authorization", request.authorization);
    message.limit = kHeadLimit;
    CO_TRY_ASSIGN(response.head, co_await response.connection->send(std::move(message)));
    co_return response;
}

Task<Result<GetResponse>> HttpGetter::get(GetRequest request) {
    const Url origin = request.url;
    for (size_t hops = 0; hops <= kRedirectionsMax; ++hops) {
        auto response = co_await get_once(request, request.url.same_origin(origin));
        if (!response) co_return core::pass(std::move(response), request.url.shown());
        if (!redirects(response->head.status)) co_return response;
        auto next = request.url.follow(response->head.headers.get("location"));
        if (!next)
            co_return core::pass(std::move(next), std::format("redirection of {}", request.url.shown()));
        if (request.url.tls && !next->tls) {
            co_return fail(Errc::kDenied, "{} redirects from https to http", request.url.shown());
        }
        request.url = std::move(*next);
    }
    co_return fail(Errc::kUnavailable, "{} redirects more than {} times", origin.shown(), kRedirectionsMax);
}

}  // namespace smackd::services::images
