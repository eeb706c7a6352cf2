#include "net/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <format>

#include "net/scope.h"
#include "net/uv_stream.h"

namespace smackd::net {

using core::Errc;
using core::Result;

namespace {

using StreamResult = Result<std::unique_ptr<Stream>>;

/// A connect that runs; cancelling closes the handle, which makes libuv give the request back.
struct Connect final : Wait<void> {
    Connect(Loop& loop, UvHandle& to) : Wait(loop), handle(to) { request.data = this; }
    void on_cancel(const core::Error& why) override {
        reason = why;
        start_closing(handle);
    }
    static void done(uv_connect_t* request, int status) {
        auto* self = static_cast<Connect*>(request->data);
        Loop::Section section(self->loop_, "connected");
        if (self->reason) return self->complete(std::unexpected(*self->reason));
        if (status < 0) return self->complete(fail_uv(status, "connect"));
        self->complete({});
    }
    UvHandle& handle;
    uv_connect_t request{};
    std::optional<core::Error> reason;
};

/// Small messages go out at once; a peer that died without a word is noticed.
void tune(uv_tcp_t& tcp, core::Duration unacknowledged_max) {
    constexpr unsigned kProbeAfterSeconds = 15;
    uv_tcp_nodelay(&tcp, 1);
    uv_tcp_keepalive(&tcp, 1, kProbeAfterSeconds);
    int descriptor = -1;
    uv_fileno(reinterpret_cast<uv_handle_t*>(&tcp), &descriptor);
    auto timeout_ms =
        static_cast<unsigned>(std::chrono::ceil<core::milliseconds>(unacknowledged_max).count());
    // Best effort, as all tuning: the connection works without.
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

Task<StreamResult> connect_tcp_unlimited(Loop& loop, Address to, core::Duration unacknowledged_max) {
    OwnedUvHandle handle = make_uv_handle(loop);
    int status = uv_tcp_init(loop.raw(), &handle->tcp);
    SMACK_ASSERT(status == 0);
    Connect connect(loop, *handle);
    status = uv_tcp_connect(&connect.request, &handle->tcp, to.raw(), Connect::done);
    if (status < 0) co_return fail_uv(status, std::format("connect to {}", to.to_string()));
    auto connected = co_await connect;
    if (!connected) co_return core::pass(std::move(connected), to.to_string());
    tune(handle->tcp, unacknowledged_max);
    co_return std::make_unique<UvStream>(loop, std::move(handle));
}

Task<StreamResult> connect_first(Loop& loop, HostPort to, core::Duration unacknowledged_max) {
    CO_TRY_ASSIGN(std::vector<Address> addresses,
                  co_await resolve(loop, to.host, to.port, std::chrono::seconds(30)));
    StreamResult last = core::fail(Errc::kUnavailable, "host '{}' has no address", to.host);
    for (const Address& address : addresses) {
        last = co_await connect_tcp_unlimited(loop, address, unacknowledged_max);
        if (last || last.error().code == Errc::kTimeout || last.error().code == Errc::kCancelled) break;
    }
    if (!last) co_return core::pass(std::move(last), std::format("{}:{}", to.host, to.port));
    co_return std::move(*last);
}

}  // namespace

Task<StreamResult> connect_tcp(Loop& loop, Address to, core::Duration limit,
                               core::Duration unacknowledged_max) {
    std::string what = std::format("connecting to {}", to.to_string());
    co_return co_await with_deadline(loop, limit, std::move(what),
                                     connect_tcp_unlimited(loop, to, unacknowledged_max));
}

Task<StreamResult> connect_host(Loop& loop, HostPort to, core::Duration limit,
                                core::Duration unacknowledged_max) {
    std::string what = std::format("connecting to {}:{}", to.host, to.port);
    co_return co_await with_deadline(loop, limit, std::move(what),
                                     connect_first(loop, std::move(to), unacknowledged_max));
}

Task<StreamResult> connect_unix(Loop& loop, std::string path) {
    OwnedUvHandle handle = make_uv_handle(loop);
    int status = uv_pipe_init(loop.raw(), &handle->pipe, 0);
    SMACK_ASSERT(status == 0);
    Connect connect(loop, *handle);
    status = uv_pipe_connect2(&connect.request, &handle->pipe, path.data(), path.size(), UV_PIPE_NO_TRUNCATE,
                              Connect::done);
    if (status < 0) co_return fail_uv(status, std::format("connect to socket {}", path));
    auto connected = co_await connect;
    if (!connected) co_return core::pass(std::move(connected), std::format("socket {}", path));
    co_return std::make_unique<UvStream>(loop, std::move(handle));
}

Result<std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>>> make_pair(Loop& loop) {
    uv_os_sock_t sockets[2] = {-1, -1};
    int status = uv_socketpair(SOCK_STREAM, 0, sockets, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE);
    if (status < 0) return fail_uv(status, "socketpair");
    std::unique_ptr<Stream> ends[2];
    for (int i = 0; i < 2; ++i) {
        OwnedUvHandle handle = make_uv_handle(loop);
        SMACK_ASSERT(uv_pipe_init(loop.raw(), &handle->pipe, 0) == 0);
        SMACK_ASSERT(uv_pipe_open(&handle->pipe, sockets[i]) == 0);
        ends[i] = std::make_unique<UvStream>(loop, std::move(handle));
    }
    return std::pair(std::move(ends[0]), std::move(ends[1]));
}

namespace {

class UvListener final : public Listener {
 public:
    UvListener(Loop& loop, OwnedUvHandle handle, std::string address, uint16_t port)
        : loop_(loop), handle_(std::move(handle)), address_(std::move(address)), port_(port) {
        handle_->owner = this;
        handle_->handle.data = handle_.get();
    }
    ~UvListener() override { SMACK_ASSERT(waiting_ == nullptr); }
    UvListener(const UvListener&) = delete;
    UvListener& operator=(const UvListener&) = delete;

    Result<void> listen() {
        int status = uv_listen(&handle_->stream, kListenBacklog, [](uv_stream_t* stream, int result) {
            auto* handle = static_cast<UvHandle*>(stream->data);
            auto* self = static_cast<UvListener*>(handle->owner);
            if (self == nullptr) return;
            Loop::Section section(*handle->loop, "accept");
            ++self->pending_;
            if (result < 0) self->error_ = result;
            if (self->waiting_ != nullptr) self->waiting_->complete({});
        });
        if (status < 0) return fail_uv(status, std::format("listen on {}", address_));
        return {};
    }

    Task<StreamResult> accept() override {
        SMACK_ASSERT(waiting_ == nullptr);
        while (pending_ == 0) {
            if (uv_is_closing(&handle_->handle) != 0)
                co_return core::fail(Errc::kCancelled, "the listener is closed");
            Wait<void> wait(loop_);
            waiting_ = &wait;
            auto woken = co_await wait;
            waiting_ = nullptr;
            CO_TRY(std::move(woken));
        }
        --pending_;
        if (error_ != 0) co_return fail_uv(std::exchange(error_, 0), std::format("accept on {}", address_));
        co_return take();
    }

    Task<void> close() override {
        if (waiting_ != nullptr) waiting_->complete(core::fail(Errc::kCancelled, "the listener is closed"));
        co_await close_uv_handle(*handle_);
    }
    std::string address() const override { return address_; }
    uint16_t port() const override { return port_; }

 private:
    StreamResult take() {
        OwnedUvHandle handle = make_uv_handle(loop_);
        bool tcp = handle_->handle.type == UV_TCP;
        int status =
            tcp ? uv_tcp_init(loop_.raw(), &handle->tcp) : uv_pipe_init(loop_.raw(), &handle->pipe, 0);
        SMACK_ASSERT(status == 0);
        status = uv_accept(&handle_->stream, &handle->stream);
        if (status < 0) return fail_uv(status, std::format("accept on {}", address_));
        if (tcp) tune(handle->tcp, kUnacknowledgedMax);
        return std::make_unique<UvStream>(loop_, std::move(handle));
    }

    Loop& loop_;
    OwnedUvHandle handle_;
    std::string address_;
    uint16_t port_;
    Wait<void>* waiting_ = nullptr;
    size_t pending_ = 0;  // libuv accepts one ahead and asks again after uv_accept
    int error_ = 0;
};

Result<std::unique_ptr<Listener>> start_listening(std::unique_ptr<UvListener> listener) {
    TRY(listener->listen());
    return listener;
}

Result<Address> bound_address(const uv_tcp_t& handle) {
    sockaddr_storage storage{};
    int length = sizeof storage;
    int status = uv_tcp_getsockname(&handle, reinterpret_cast<sockaddr*>(&storage), &length);
    if (status < 0) return fail_uv(status, "getsockname");
    return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage));
}

/// Removes a socket file nobody answers on, left behind by a crash; another kind of file is not ours to
/// remove.
Result<void> remove_dead_socket(const std::string& path) {
    struct stat about{};
    if (::lstat(path.c_str(), &about) < 0) return {};
    if (!S_ISSOCK(about.st_mode)) return core::fail(Errc::kConflict, "{} exists and is no socket", path);
    int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return core::fail_errno(errno, "socket");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    bool alive = ::connect(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    ::close(probe);
    if (alive) return core::fail(Errc::kConflict, "another process listens on {}", path);
    if (::unlink(path.c_str()) < 0) return core::fail_errno(errno, std::format("remove {}", path));
    return {};
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::tcp(Loop& loop, const Address& at) {
    OwnedUvHandle handle = make_uv_handle(loop);
    SMACK_ASSERT(uv_tcp_init(loop.raw(), &handle->tcp) == 0);
    int status = uv_tcp_bind(&handle->tcp, at.raw(), 0);
    if (status < 0) return fail_uv(status, std::format("bind {}", at.to_string()));
    TRY_ASSIGN(Address bound, bound_address(handle->tcp));
    return start_listening(
        std::make_unique<UvListener>(loop, std::move(handle), bound.to_string(), bound.port()));
}

Result<std::unique_ptr<Listener>> Listener::unix_socket(Loop& loop, const std::string& path, uint32_t mode) {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        return core::fail(Errc::kInvalid, "socket path {} is longer than 107 bytes", path);
    }
    TRY(remove_dead_socket(path));
    OwnedUvHandle handle = make_uv_handle(loop);
    SMACK_ASSERT(uv_pipe_init(loop.raw(), &handle->pipe, 0) == 0);
    // Nobody can connect before it listens, and by then the mode is set. The umask is the whole process's:
    // changed here, what other threads make meanwhile would be nobody's to open.
    int status = uv_pipe_bind2(&handle->pipe, path.data(), path.size(), UV_PIPE_NO_TRUNCATE);
    if (status < 0) return fail_uv(status, std::format("bind socket {}", path));
    if (::chmod(path.c_str(), mode) < 0) return core::fail_errno(errno, std::format("chmod {}", path));
    return start_listening(
        std::make_unique<UvListener>(loop, std::move(handle), "unix:" + path, uint16_t{0}));
}

}  // namespace smackd::net
