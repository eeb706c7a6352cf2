#include "net/http/server.h"

#include <list>

#include "net/http/connection.h"

namespace smackd::net::http {

using core::Errc;
using core::Result;

namespace {

constexpr core::Duration kAcceptPause = std::chrono::milliseconds(100);  // when descriptors run out
constexpr core::Duration kLingerLimit = std::chrono::seconds(2);
constexpr size_t kLingerBytesMax = 256 * 1024;

}  // namespace

struct Server::State {
    State(Loop& on, TlsEngine* tls_engine, Handler handler, ServerLimits limits, core::Logger log)
        : loop(on),
          engine(tls_engine),
          context{on, std::move(handler), limits, log, false},
          acceptors(on),
          connections(on) {}

    /// A connection that is open, for draining.
    struct Open {
        Cancellation cancellation;
        Connection* http = nullptr;  // nullptr before the handshake is done
    };
    struct Port {
        std::unique_ptr<Listener> listener;
        Door door;
    };

    Task<void> accept_all(Port& port);
    Task<Result<std::unique_ptr<Stream>>> enter(std::unique_ptr<Stream> stream, Port& port,
                                                Watchdog& watchdog);
    Task<void> serve(std::unique_ptr<Stream> stream, std::string door, Port* port);
    Task<void> serve_under(std::unique_ptr<Stream> stream, std::string door, Port* port, Open& open);

    Loop& loop;
    TlsEngine* engine;
    ServerContext context;
    Scope acceptors;
    Scope connections;
    std::list<Port> ports;
    std::list<Open*> open;
    uint64_t last_id = 0;
    bool full = false;
    bool closed = false;
};

Server::Server(Loop& loop, TlsEngine* engine, Handler handler, ServerLimits limits, core::Logger logger)
    : state_(std::make_unique<State>(loop, engine, std::move(handler), limits, std::move(logger))) {}

Server::~Server() {
    SMACK_ASSERT(state_->closed || (state_->ports.empty() && state_->open.empty()));
}

void Server::listen(std::unique_ptr<Listener> listener, Door door) {
    SMACK_ASSERT(!door.tls || state_->engine != nullptr);
    SMACK_ASSERT(door.tls || door.plain);
    state_->ports.push_back(State::Port{std::move(listener), std::move(door)});
    state_->acceptors.spawn(state_->accept_all(state_->ports.back()));
}

size_t Server::connections() const {
    return state_->open.size();
}

Task<void> Server::State::accept_all(Port& port) {
    for (;;) {
        auto stream = co_await port.listener->accept();
        if (!stream) {
            if (stream.error().code == Errc::kCancelled) co_return;
            context.logger.warning("accept failed",
                                   {{"door", port.door.name}, {"error", stream.error().message}});
            auto slept = co_await sleep(loop, kAcceptPause);
            if (!slept) co_return;
            continue;
        }
        bool was_full = std::exchange(full, open.size() >= context.limits.connections);
        if (full) {
            // Said once each time: whoever floods the port must not flood the log.
            if (!was_full) context.logger.warning("too many connections", {{"door", port.door.name}});
            continue;  // the stream's destructor closes it
        }
        connections.spawn(serve(std::move(*stream), port.door.name, &port));
    }
}

/// Gives every connection a cancellation of its own, and a place in the list while it lives.
Task<void> Server::State::serve(std::unique_ptr<Stream> stream, std::string door, Port* port) {
    Cancellation* outer = co_await current_cancellation();
    Open entry{.cancellation = Cancellation(outer)};
    auto place = open.insert(open.end(), &entry);
    Under<void> under{serve_under(std::move(stream), std::move(door), port, entry), &entry.cancellation};
    co_await under;
    open.erase(place);
}

namespace {

/// Says goodbye so that the client can still read the last answer: closing with unread bytes would reset the
/// connection.
Task<void> linger(Stream& stream) {
    auto shut = co_await stream.shutdown();
    if (!shut) co_return;
    std::string ignored(kReadBytes, '\0');
    size_t total = 0;
    while (total < kLingerBytesMax) {
        auto count = co_await stream.read(ignored.data(), ignored.size());
        if (!count || *count == 0) co_return;
        total += *count;
    }
}

}  // namespace

Task<void> Server::State::serve_under(std::unique_ptr<Stream> stream, std::string door, Port* port,
                                      Open& entry) {
    Watchdog watchdog(loop, entry.cancellation);
    if (port != nullptr && port->door.tls) {
        auto entered = co_await enter(std::move(stream), *port, watchdog);
        if (!entered) {
            context.logger.debug("connection refused", {{"door", door}, {"error", entered.error().message}});
            co_return;
        }
        stream = std::move(*entered);
    }
    ConnectionInfo info;
    info.peer = stream->peer();
    info.tls = stream->tls();
    info.credentials = stream->credentials();
    info.listener = std::move(door);
    info.id = ++last_id;
    Connection connection(context, *stream, std::move(info), watchdog);
    entry.http = &connection;
    co_await connection.run();
    entry.http = nullptr;
    watchdog.expect("closing", kLingerLimit);
    if (!entry.cancellation.cancelled()) co_await linger(*stream);
    co_await stream->close();
}

/// Finds out by the first byte whether TLS is spoken, where the door allows both, and shakes hands.
Task<Result<std::unique_ptr<Stream>>> Server::State::enter(std::unique_ptr<Stream> stream, Port& port,
                                                           Watchdog& watchdog) {
    if (port.door.plain) {
        watchdog.expect("waiting for a request", context.limits.head);
        std::string first(kReadBytes, '\0');
        CO_TRY_ASSIGN(size_t count, co_await stream->read(first.data(), first.size()));
        if (count == 0) co_return core::fail(Errc::kUnavailable, "{} closed at once", stream->peer());
        first.resize(count);
        bool tls = looks_like_tls(first[0]);
        stream = with_prefix(std::move(first), std::move(stream));
        if (!tls) co_return std::move(stream);
    }
    watchdog.rest();
    std::shared_ptr<const TlsConfig> config = port.door.tls();
    if (config == nullptr) co_return core::fail(Errc::kUnavailable, "no certificate yet");
    co_return co_await engine->accept(std::move(stream), std::move(config));
}

Task<void> Server::serve(std::unique_ptr<Stream> stream, std::string door_name) {
    co_await state_->serve(std::move(stream), std::move(door_name), nullptr);
}

namespace {

/// Scope::join cannot be given up; draining can. A server closes rarely, so looking again now and then is
/// enough.
Task<Result<void>> join(Scope& scope) {
    while (scope.running() > 0) {
        CO_TRY(co_await sleep(scope.loop(), std::chrono::milliseconds(5)));
    }
    co_return Result<void>();
}

}  // namespace

Task<void> Server::close(core::Duration grace) {
    State& state = *state_;
    if (std::exchange(state.closed, true)) co_return;
    state.context.draining = true;
    for (State::Port& port : state.ports) co_await port.listener->close();
    co_await state.acceptors.close();
    for (State::Open* entry : std::list<State::Open*>(state.open)) {
        if (entry->http == nullptr || !entry->http->idle()) continue;
        entry->cancellation.cancel(core::Error{Errc::kCancelled, "the server closes", 0});
    }
    auto ended = co_await with_deadline(state.loop, grace, "draining", join(state.connections));
    if (!ended) state.context.logger.info("connections were cut", {{"count", state.connections.running()}});
    co_await state.connections.close();
}

}  // namespace smackd::net::http
