#include "services/agent/shim_connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <format>

#include "core/wire/serialize.h"

namespace smackd::agent {

ShimConnection::ShimConnection(PollLoop& loop, Descriptor socket,
                               core::Callback<void(const wire::ShimRequest&)> on_request,
                               core::Callback<void()> on_close)
    : loop_(loop),
      socket_(std::move(socket)),
      on_request_(std::move(on_request)),
      on_close_(std::move(on_close)) {
    loop_.watch(socket_.get(), POLLIN, [this](short events) { ready(events); });
}

ShimConnection::ShimConnection(PollLoop& loop, const wire::ShimClientState& state,
                               core::Callback<void(const wire::ShimRequest&)> on_request,
                               core::Callback<void()> on_close)
    : ShimConnection(loop, handed_over(state.socket()), std::move(on_request), std::move(on_close)) {
    input_.append(state.input());
    output_ = state.output();
    want();
}

ShimConnection::~ShimConnection() {
    if (socket_) loop_.forget(socket_.get());
    loop_.cancel(closing_);
}

void ShimConnection::send(const wire::ShimAnswer& answer) {
    if (!socket_) return;
    output_ += frame(wire::serialize(answer));
    write_some();
}

void ShimConnection::pause_reading(bool paused) {
    paused_ = paused;
    want();
}

void ShimConnection::want() {
    if (!socket_) return;
    const int events = (paused_ ? 0 : POLLIN) | (waiting() > 0 ? POLLOUT : 0);
    // Something is always watched, or the end of the peer would not be noticed.
    loop_.want(socket_.get(), static_cast<short>(events == 0 ? POLLRDHUP : events));
}

void ShimConnection::ready(short events) {
    if ((events & POLLOUT) != 0) write_some();
    if (socket_ && (events & POLLIN) != 0 && !paused_) {
        read_some();
    } else if (socket_ && (events & (POLLHUP | POLLERR | POLLRDHUP)) != 0) {
        close();
    }
}

void ShimConnection::read_some() {
    std::array<char, 65536> buffer{};
    const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return close();
    input_.append({buffer.data(), static_cast<size_t>(got)});
    for (;;) {
        auto message = input_.next();
        wire::ShimRequest request;
        if (!message || (*message && !request.ParseFromString(**message))) return close();
        if (!*message) return;
        on_request_(request);
        if (!socket_) return;
    }
}

void ShimConnection::write_some() {
    while (waiting() > 0) {
        const ssize_t put =
            ::send(socket_.get(), output_.data() + written_, waiting(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (put < 0) return close();
        written_ += static_cast<size_t>(put);
    }
    if (waiting() > kShimOutputBytesMax) return close();
    if (waiting() == 0 || written_ > kShimOutputBytesBusy) {
        output_.erase(0, written_);
        written_ = 0;
    }
    want();
    if (waiting() < kShimOutputBytesBusy && on_drained_) on_drained_();
}

void ShimConnection::flush(core::Duration limit) {
    const core::Instant until = loop_.now() + limit;
    while (socket_ && waiting() > 0 && loop_.now() < until) {
        pollfd fd{socket_.get(), POLLOUT, 0};
        if (::poll(&fd, 1, 10) > 0) write_some();
    }
}

void ShimConnection::save(wire::ShimClientState& into, KeptDescriptors& kept) const {
    into.set_socket(kept.keep(socket_));
    into.set_input(std::string(input_.rest()));
    into.set_output(output_.substr(written_));
}

core::Result<Descriptor> ShimConnection::open_of_peer(uint32_t number) const {
    ucred peer{};
    socklen_t size = sizeof(peer);
    if (!socket_ || ::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid <= 0)
        return core::fail(core::Errc::kUnsupported, "the asking process is not known here");
    if (peer.uid != 0) return core::fail(core::Errc::kDenied, "the asking process is not root's");
    const std::string path = std::format("/proc/{}/fd/{}", peer.pid, number);
    Descriptor file(::open(path.c_str(), O_PATH | O_CLOEXEC));
    struct stat found{};
    if (!file || ::fstat(file.get(), &found) != 0) return core::fail_errno(errno, path);
    if (!S_ISREG(found.st_mode)) return core::fail(core::Errc::kInvalid, "{} is no file", path);
    pollfd alive{socket_.get(), POLLRDHUP, 0};
    if (::poll(&alive, 1, 0) != 0)
        return core::fail(core::Errc::kUnavailable, "the asking process has ended");
    return file;
}

void ShimConnection::close() {
    loop_.forget(socket_.get());
    socket_.reset();
    // Not inside a callback of ours, which may still use this object.
    closing_ = loop_.start(core::Duration(0), [this] { on_close_(); });
}

}  // namespace smackd::agent
