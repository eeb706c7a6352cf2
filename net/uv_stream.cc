#include "net/uv_stream.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <format>

#include "net/address.h"

namespace smackd::net {

using core::Errc;

void UvHandleCloser::operator()(UvHandle* handle) const {
    if (handle->closed) {
        delete handle;
        return;
    }
    handle->orphan = true;
    handle->owner = nullptr;
    start_closing(*handle);
}

OwnedUvHandle make_uv_handle(Loop& loop) {
    OwnedUvHandle handle(new UvHandle{});
    handle->loop = &loop;
    return handle;
}

void discard_uninitialised(OwnedUvHandle handle) {
    delete handle.release();
}

void start_closing(UvHandle& handle) {
    if (uv_is_closing(&handle.handle) != 0) return;
    handle.handle.data = &handle;
    uv_close(&handle.handle, [](uv_handle_t* closed) {
        auto* self = static_cast<UvHandle*>(closed->data);
        Loop::Section section(*self->loop, "close");
        self->closed = true;
        for (Wait<void>* closer : std::exchange(self->closers, {})) closer->complete({});
        if (self->orphan) delete self;
    });
}

Task<void> close_uv_handle(UvHandle& handle) {
    if (handle.closed) co_return;
    UncancellableWait<void> wait(*handle.loop);
    handle.closers.push_back(&wait);
    start_closing(handle);
    auto done = co_await wait;
    static_cast<void>(done);
}

std::unexpected<core::Error> fail_uv(int status, std::string_view what) {
    switch (status) {
        case UV_ECONNREFUSED:
        case UV_ECONNRESET:
        case UV_ECONNABORTED:
        case UV_EPIPE:
        case UV_EHOSTUNREACH:
        case UV_ENETUNREACH:
        case UV_ENOTCONN:
        case UV_EOF:
            return core::fail(Errc::kUnavailable, "{}: {}", what, uv_strerror(status));
        case UV_ECANCELED:
            return core::fail(Errc::kCancelled, "{}: closed", what);
        case UV_ETIMEDOUT:
            return core::fail(Errc::kTimeout, "{}: {}", what, uv_strerror(status));
        case UV_EADDRINUSE:
            return core::fail(Errc::kConflict, "{}: the address is in use", what);
        default:
            return core::fail_errno(-status, what);
    }
}

struct UvStream::Read final : Wait<size_t> {
    Read(UvStream& of, char* to, size_t bytes) : Wait(*of.loop_), stream(of), buffer(to), size(bytes) {}
    void on_cancel(const core::Error& why) override { end(std::unexpected(why)); }
    void end(core::Result<size_t> result) {
        stream.reading_ = nullptr;
        if (uv_is_closing(&stream.handle_->handle) == 0) uv_read_stop(&stream.handle_->stream);
        complete(std::move(result));
    }
    UvStream& stream;
    char* buffer;
    size_t size;
};

struct UvStream::Write final : Wait<void> {
    explicit Write(UvStream& of) : Wait(*of.loop_), stream(of) { request.data = this; }
    // Part of the bytes may be on the wire, so the stream is of no more use; libuv gives the buffer back when
    // closing.
    void on_cancel(const core::Error& why) override {
        reason = why;
        start_closing(*stream.handle_);
    }
    UvStream& stream;
    uv_write_t request{};
    std::optional<core::Error> reason;
};

UvStream::UvStream(Loop& loop, OwnedUvHandle handle) : loop_(&loop), handle_(std::move(handle)) {
    handle_->owner = this;
    handle_->handle.data = handle_.get();
    describe_peer();
}

UvStream::~UvStream() {
    SMACK_ASSERT(reading_ == nullptr && writing_ == nullptr);
    if (detached_ >= 0) ::close(detached_);
}

// libuv cannot give up a handle's descriptor, so a second one of the same socket goes on.
core::Result<void> UvStream::detach() {
    SMACK_ASSERT(reading_ == nullptr && writing_ == nullptr);
    if (handle_->handle.type != UV_TCP)
        return core::fail(Errc::kUnsupported, "only TCP moves to another loop");
    int descriptor = -1;
    if (int status = uv_fileno(&handle_->handle, &descriptor); status != 0)
        return fail_uv(status, "moving a stream");
    detached_ = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (detached_ < 0) return core::fail_errno(errno, "moving a stream");
    handle_.reset();
    return {};
}

core::Result<void> UvStream::attach(Loop& loop) {
    SMACK_ASSERT(detached_ >= 0);
    loop_ = &loop;
    handle_ = make_uv_handle(loop);
    if (int status = uv_tcp_init(loop.raw(), &handle_->tcp); status != 0) {
        discard_uninitialised(std::move(handle_));
        return fail_uv(status, "moving a stream");
    }
    handle_->owner = this;
    handle_->handle.data = handle_.get();
    if (int status = uv_tcp_open(&handle_->tcp, detached_); status != 0)
        return fail_uv(status, "moving a stream");
    detached_ = -1;
    return {};
}

void UvStream::describe_peer() {
    int descriptor = -1;
    uv_fileno(&handle_->handle, &descriptor);
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* raw = reinterpret_cast<sockaddr*>(&storage);
    if (getpeername(descriptor, raw, &length) == 0 &&
        (raw->sa_family == AF_INET || raw->sa_family == AF_INET6)) {
        peer_ = Address::from_sockaddr(raw).to_string();
        return;
    }
    ucred who{};
    length = sizeof who;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0) {
        credentials_ = UnixCredentials{who.uid, who.gid, who.pid};
        peer_ = std::format("unix:uid={}", who.uid);
    }
}

void UvStream::on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t*) {
    auto* handle = static_cast<UvHandle*>(stream->data);
    auto* self = static_cast<UvStream*>(handle->owner);
    if (count == 0 || self == nullptr || self->reading_ == nullptr) return;  // 0: libuv's EAGAIN
    Loop::Section section(*handle->loop, "read");
    if (count > 0) return self->reading_->end(static_cast<size_t>(count));
    if (count == UV_EOF) return self->reading_->end(size_t{0});
    self->reading_->end(fail_uv(static_cast<int>(count), std::format("read from {}", self->peer_)));
}

Task<core::Result<size_t>> UvStream::read(char* buffer, size_t size) {
    SMACK_ASSERT(reading_ == nullptr);
    SMACK_ASSERT(size > 0);
    if (uv_is_closing(&handle_->handle) != 0)
        co_return core::fail(Errc::kCancelled, "the connection is closed");
    Read read(*this, buffer, size);
    reading_ = &read;
    auto give_buffer = [](uv_handle_t* handle, size_t, uv_buf_t* out) {
        auto* self = static_cast<UvStream*>(static_cast<UvHandle*>(handle->data)->owner);
        Read* into = self == nullptr ? nullptr : self->reading_;
        *out = into == nullptr ? uv_buf_init(nullptr, 0)
                               : uv_buf_init(into->buffer, static_cast<unsigned>(into->size));
    };
    int status = uv_read_start(&handle_->stream, give_buffer, on_read);
    if (status < 0) read.end(fail_uv(status, std::format("read from {}", peer_)));
    co_return co_await read;
}

Task<core::Result<void>> UvStream::write(core::BytesView bytes) {
    SMACK_ASSERT(writing_ == nullptr);
    if (bytes.empty()) co_return core::Result<void>();
    if (uv_is_closing(&handle_->handle) != 0)
        co_return core::fail(Errc::kCancelled, "the connection is closed");
    // libuv does not change what it writes; its buffer type is shared with reading.
    uv_buf_t buffer = uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
    int written = uv_try_write(&handle_->stream, &buffer, 1);
    if (written < 0 && written != UV_EAGAIN) co_return fail_uv(written, std::format("write to {}", peer_));
    if (written > 0) {
        buffer.base += written;
        buffer.len -= static_cast<size_t>(written);
    }
    if (buffer.len == 0) co_return core::Result<void>();

    Write write(*this);
    writing_ = &write;
    int status = uv_write(&write.request, &handle_->stream, &buffer, 1, [](uv_write_t* request, int result) {
        auto* self = static_cast<Write*>(request->data);
        Loop::Section section(*self->stream.handle_->loop, "written");
        if (result == 0) return self->complete({});
        if (self->reason) return self->complete(std::unexpected(*self->reason));
        self->complete(fail_uv(result, std::format("write to {}", self->stream.peer_)));
    });
    if (status < 0) write.complete(fail_uv(status, std::format("write to {}", peer_)));
    auto result = co_await write;
    writing_ = nullptr;
    co_return result;
}

Task<core::Result<void>> UvStream::shutdown() {
    if (uv_is_closing(&handle_->handle) != 0)
        co_return core::fail(Errc::kCancelled, "the connection is closed");
    UncancellableWait<void> wait(*loop_);
    uv_shutdown_t request{};
    request.data = &wait;
    int status = uv_shutdown(&request, &handle_->stream, [](uv_shutdown_t* done, int result) {
        auto* handle = static_cast<UvHandle*>(done->handle->data);
        Loop::Section section(*handle->loop, "shutdown");
        auto* waiter = static_cast<UncancellableWait<void>*>(done->data);
        if (result == 0) return waiter->complete({});
        waiter->complete(fail_uv(result, "shutdown"));
    });
    if (status < 0) co_return fail_uv(status, std::format("shutdown of {}", peer_));
    co_return co_await wait;
}

Task<void> UvStream::close() {
    if (reading_ != nullptr) reading_->end(core::fail(Errc::kCancelled, "the connection is closed"));
    co_await close_uv_handle(*handle_);
}

}  // namespace smackd::net
