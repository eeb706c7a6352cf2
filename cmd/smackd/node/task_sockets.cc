#include "cmd/smackd/node/task_sockets.h"

#include <algorithm>

#include "core/wire/task_door.pb.h"
#include "net/counted.h"
#include "services/api/reply.h"
#include "services/api/task_request.h"

namespace smackd::cmd {

using core::Bytes;
using core::Errc;
using core::Result;
using net::Task;
using net::http::ConnectionInfo;
using net::http::Request;
using net::http::Response;

namespace {

constexpr uint32_t kSocketMode = 0600;
constexpr uint32_t kRetryMs = 1000;
constexpr core::Duration kAcceptPause = core::milliseconds(100);  // when descriptors run out
constexpr core::Duration kSecond = core::seconds(1);

net::http::ServerLimits server_limits() {
    net::http::ServerLimits limits;
    limits.head_bytes = 8 * core::kKiB;
    limits.headers = 50;
    limits.body_bytes = services::kTaskBodyBytesMax;
    limits.connections = kNodeTaskConnectionsMax;
    limits.idle = kTaskIdleLimit;
    limits.head = kTaskHeadLimit;
    limits.body = kTaskBodyLimit;
    limits.write = kTaskBodyLimit;
    return limits;
}

core::Error busy(std::string_view what, auto limit) {
    return {Errc::kBusy, std::format("{} {}, which is the most; try again later", limit, what), kRetryMs};
}

/// What a connection too many is told; the client need not have asked anything yet.
Task<void> turn_away(std::unique_ptr<net::Stream> stream) {
    const Response response =
        services::error_reply(busy("connections to the socket are open", kTaskConnectionsMax));
    const std::string text = std::format(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\nConnection: "
        "close\r\nContent-Length: {}\r\n\r\n{}",
        response.body.size(), response.body);
    auto written = co_await stream->write(text);
    static_cast<void>(written);  // it may be gone
    co_await stream->close();
}

}  // namespace

struct TaskSockets::Socket {
    Socket(net::Loop& loop, std::string of, std::unique_ptr<net::Listener> listens)
        : task(std::move(of)), listener(std::move(listens)), work(loop) {}
    const std::string task;
    std::unique_ptr<net::Listener> listener;
    net::Scope work;
    size_t connections = 0;
    size_t requests = 0;
    RequestRate rate;
};

bool RequestRate::take(core::Instant now) {
    const core::Instant full_at = std::max(full_at_, now) + kSecond / kTaskRequestsPerSecond;
    if (full_at - now > kSecond * kTaskRequestsBurst / kTaskRequestsPerSecond) return false;
    full_at_ = full_at;
    return true;
}

TaskSockets::TaskSockets(net::Loop& loop, const core::Clock& clock, Ask ask, core::Logger logger)
    : loop_(loop),
      clock_(clock),
      ask_(std::move(ask)),
      logger_(logger),
      server_(
          loop, nullptr,
          [this](Request& request, ConnectionInfo& connection) { return answer(request, connection); },
          server_limits(), logger),
      closing_(loop) {}

TaskSockets::~TaskSockets() = default;

Result<void> TaskSockets::open(const std::string& task, const std::string& path) {
    if (sockets_.contains(task)) return {};
    TRY_ASSIGN(auto listener, net::Listener::unix_socket(loop_, path, kSocketMode));
    auto socket = std::make_shared<Socket>(loop_, task, std::move(listener));
    sockets_[task] = socket;
    socket->work.spawn(accept(socket));
    return {};
}

void TaskSockets::drop(const std::string& task) {
    const auto found = sockets_.find(task);
    if (found == sockets_.end()) return;
    SocketPtr socket = std::move(found->second);
    sockets_.erase(found);
    closing_.spawn([](SocketPtr ending) -> Task<void> {
        co_await ending->listener->close();
        co_await ending->work.close();
    }(std::move(socket)));
}

Task<void> TaskSockets::close() {
    while (!sockets_.empty()) drop(std::string(sockets_.begin()->first));
    co_await closing_.join();
    co_await server_.close(core::Duration(0));
}

Task<void> TaskSockets::accept(SocketPtr socket) {
    while (true) {
        auto stream = co_await socket->listener->accept();
        if (!stream) {
            if (stream.error().code == Errc::kCancelled) co_return;
            auto slept = co_await net::sleep(loop_, kAcceptPause);
            if (!slept) co_return;
        } else if (socket->connections >= kTaskConnectionsMax ||
                   server_.connections() >= kNodeTaskConnectionsMax) {
            socket->work.spawn(turn_away(std::move(*stream)));
        } else {
            socket->work.spawn(serve(socket, std::move(*stream)));
        }
    }
}

Task<void> TaskSockets::serve(SocketPtr socket, std::unique_ptr<net::Stream> stream) {
    const net::Counted one(socket->connections);
    co_await server_.serve(std::move(stream), socket->task);
}

Task<Response> TaskSockets::answer(Request& request, ConnectionInfo& connection) {
    const auto found = sockets_.find(connection.listener);
    if (found == sockets_.end())
        co_return services::error_reply({Errc::kUnauthenticated, "the task has ended", 0});
    const SocketPtr socket = found->second;
    if (!socket->rate.take(clock_.now()))
        co_return services::error_reply(busy("requests a second", kTaskRequestsPerSecond));
    auto answered =
        co_await net::with_deadline(loop_, kTaskRelayLimit, "the cluster's answer", relay(socket, request));
    if (answered) co_return std::move(*answered);
    co_return services::error_reply(answered.error());
}

/// The body is read before a turn is taken: who is slow with it makes nobody wait.
Task<Result<Response>> TaskSockets::relay(SocketPtr socket, Request& request) {
    CO_TRY_ASSIGN(Bytes body, co_await request.body->read_all(services::kTaskBodyBytesMax));
    CO_TRY_ASSIGN(const wire::TaskRequest asked,
                  services::task_request_of(socket->task, request, std::move(body)));
    if (socket->requests >= kTaskRequestsMax)
        co_return std::unexpected(busy("requests of this task wait for an answer", kTaskRequestsMax));
    if (requests_ >= kNodeTaskRequestsMax)
        co_return std::unexpected(
            busy("requests of this node's tasks wait for an answer", kNodeTaskRequestsMax));
    const net::Counted of_task(socket->requests);
    const net::Counted of_node(requests_);
    CO_TRY_ASSIGN(const Bytes answer, co_await ask_(kTaskRequestCall, asked.SerializeAsString()));
    wire::TaskResponse response;
    if (!response.ParseFromString(answer))
        co_return core::fail(Errc::kCorrupt, "the server's answer is no wire.TaskResponse");
    co_return services::http_response_of(std::move(response));
}

}  // namespace smackd::cmd
