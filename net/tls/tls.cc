#include "net/tls/tls.h"

#include "net/counted.h"
#include "net/scope.h"
#include "net/tls/tls_stream.h"

namespace smackd::net {

using core::Errc;
using core::Result;

Task<Result<std::unique_ptr<Stream>>> TlsEngine::accept(std::unique_ptr<Stream> raw,
                                                        std::shared_ptr<const TlsConfig> config) {
    SMACK_ASSERT(config->native().is_server);
    return handshake(std::move(raw), std::move(config), "");
}

Task<Result<std::unique_ptr<Stream>>> TlsEngine::connect(std::unique_ptr<Stream> raw,
                                                         std::shared_ptr<const TlsConfig> config,
                                                         std::string server_name) {
    SMACK_ASSERT(!config->native().is_server);
    return handshake(std::move(raw), std::move(config), std::move(server_name));
}

Task<Result<std::unique_ptr<Stream>>> TlsEngine::handshake(std::unique_ptr<Stream> raw,
                                                           std::shared_ptr<const TlsConfig> config,
                                                           std::string server_name) {
    bool server = config->native().is_server;
    if (handshakes_ >= handshakes_max_) {
        co_await raw->close();
        co_return std::unexpected(
            core::Error{Errc::kBusy, "too many TLS handshakes at once; try again", 1000});
    }
    const Counted running(handshakes_);
    auto stream = std::make_unique<TlsStream>(loop_, std::move(raw), std::move(config));
    Result<void> done;
    if (!server) done = stream->set_server_name(server_name);
    std::string what = "TLS handshake with " + stream->peer();
    if (done)
        done = co_await with_deadline(loop_, handshake_limit_, std::move(what), stream->handshake(workers_));
    if (!done) {
        co_await stream->close();
        co_return std::unexpected(std::move(done.error()));
    }
    co_return std::move(stream);
}

}  // namespace smackd::net
