#include "net/duplex.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <format>

#include "core/assert.h"
#include "net/socket.h"
#include "net/sync.h"
#include "net/uv_stream.h"

namespace smackd::net {
namespace {

using core::Bytes;
using core::BytesView;
using core::Error;
using core::Result;

constexpr size_t kPiecesMax = 8;

Error uv_error(int status, std::string_view what) {
    return std::move(fail_uv(status, what).error());
}

/// A write that libuv works on; freed by its callback, also when the connection is gone.
struct Writing {
    uv_write_t request{};
    Bytes bytes;
    UvHandle* handle = nullptr;
};

class TcpDuplex final : public Duplex {
 public:
    TcpDuplex(Loop& loop, OwnedUvHandle handle, SharedBuffer& buffer,
              core::Duration probe_after = kProbeAfter)
        : loop_(loop), handle_(std::move(handle)), buffer_(buffer), probe_after_(probe_after) {
        handle_->owner = this;
        handle_->handle.data = handle_.get();
    }
    TcpDuplex(const TcpDuplex&) = delete;
    TcpDuplex& operator=(const TcpDuplex&) = delete;
    ~TcpDuplex() override {
        if (connecting_ != nullptr) connecting_->duplex = nullptr;
    }

    void connect(const Address& to, Handler& handler);
    void start(Handler& handler) override {
        handler_ = &handler;
        resume();
    }
    bool write(std::span<const BytesView> pieces) override;
    size_t queued() const override { return in_flight_ + waiting_.size(); }
    void pause() override {
        if (!reading_) return;
        reading_ = false;
        uv_read_stop(&handle_->stream);
    }
    void resume() override {
        if (reading_ || connecting_ != nullptr || ended_) return;
        reading_ = uv_read_start(&handle_->stream, give_buffer, on_read) == 0;
    }
    void finish() override {
        finishing_ = true;
        if (in_flight_ == 0 && waiting_.empty() && connecting_ == nullptr) send_end();
    }
    std::optional<Silence> silence() const override;
    void abort() override {
        // SO_LINGER of zero seconds turns the coming close into a reset.
        const linger at_once{1, 0};
        int descriptor = -1;
        if (uv_fileno(&handle_->handle, &descriptor) == 0)
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }

 private:
    struct Connecting {
        uv_connect_t request{};
        TcpDuplex* duplex = nullptr;  // null: given up
    };
    static TcpDuplex* of(const UvHandle* handle) { return static_cast<TcpDuplex*>(handle->owner); }
    static void give_buffer(uv_handle_t* handle, size_t, uv_buf_t* out);
    static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer);
    static void on_written(uv_write_t* request, int status);
    static void settle(Connecting& connecting, int status);
    bool send_waiting();
    void send_end();
    void tune();

    Loop& loop_;
    OwnedUvHandle handle_;
    SharedBuffer& buffer_;
    const core::Duration probe_after_;
    Handler* handler_ = nullptr;
    Connecting* connecting_ = nullptr;
    Bytes waiting_;         // queued behind what is in flight
    size_t in_flight_ = 0;  // bytes of the write that libuv has
    bool reading_ = false;
    bool ended_ = false;  // the peer's end has been read
    bool finishing_ = false;
};

void TcpDuplex::give_buffer(uv_handle_t* handle, size_t, uv_buf_t* out) {
    TcpDuplex* self = of(static_cast<UvHandle*>(handle->data));
    if (self == nullptr) {
        *out = uv_buf_init(nullptr, 0);
        return;
    }
    const std::span<char> bytes = self->buffer_.bytes();
    *out = uv_buf_init(bytes.data(), static_cast<unsigned>(bytes.size()));
}

void TcpDuplex::on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
    auto* handle = static_cast<UvHandle*>(stream->data);
    TcpDuplex* self = of(handle);
    if (count == 0 || self == nullptr) return;  // 0: libuv's EAGAIN
    Loop::Section section(*handle->loop, "bytes");
    if (count > 0) return self->handler_->on_bytes(BytesView(buffer->base, static_cast<size_t>(count)));
    self->pause();
    self->ended_ = true;
    if (count == UV_EOF) return self->handler_->on_end();
    self->handler_->on_failed(uv_error(static_cast<int>(count), "read"));
}

bool TcpDuplex::write(std::span<const BytesView> pieces) {
    SMACK_ASSERT(pieces.size() <= kPiecesMax);
    size_t skipped = 0;
    if (in_flight_ == 0 && waiting_.empty() && connecting_ == nullptr) {
        std::array<uv_buf_t, kPiecesMax> buffers;
        unsigned count = 0;
        for (BytesView piece : pieces) {
            // libuv does not change what it writes; its buffer type is shared with reading.
            if (!piece.empty())
                buffers[count++] =
                    uv_buf_init(const_cast<char*>(piece.data()), static_cast<unsigned>(piece.size()));
        }
        if (count == 0) return true;
        const int written = uv_try_write(&handle_->stream, buffers.data(), count);
        if (written < 0 && written != UV_EAGAIN) return false;
        skipped = written > 0 ? static_cast<size_t>(written) : 0;
    }
    for (BytesView piece : pieces) {
        const size_t skip = std::min(skipped, piece.size());
        skipped -= skip;
        waiting_.append(piece.substr(skip));
    }
    return send_waiting();
}

bool TcpDuplex::send_waiting() {
    if (in_flight_ != 0 || waiting_.empty() || connecting_ != nullptr) return true;
    auto* writing = new Writing;
    writing->bytes = std::exchange(waiting_, {});
    writing->handle = handle_.get();
    writing->request.data = writing;
    const uv_buf_t buffer = uv_buf_init(writing->bytes.data(), static_cast<unsigned>(writing->bytes.size()));
    in_flight_ = writing->bytes.size();
    if (uv_write(&writing->request, &handle_->stream, &buffer, 1, on_written) == 0) return true;
    delete writing;
    return false;
}

void TcpDuplex::on_written(uv_write_t* request, int status) {
    const std::unique_ptr<Writing> writing(static_cast<Writing*>(request->data));
    TcpDuplex* self = of(writing->handle);
    if (self == nullptr) return;
    Loop::Section section(self->loop_, "written");
    self->in_flight_ = 0;
    if (status < 0) {
        self->pause();
        self->ended_ = true;
        return self->handler_->on_failed(uv_error(status, "write"));
    }
    if (!self->send_waiting()) return self->handler_->on_failed(uv_error(UV_EPIPE, "write"));
    if (self->in_flight_ != 0) return;
    if (self->finishing_) self->send_end();
    self->handler_->on_drained();
}

void TcpDuplex::send_end() {
    int descriptor = -1;
    // Directly: libuv's request would only wait for the queue that is known to be empty.
    if (uv_fileno(&handle_->handle, &descriptor) == 0) ::shutdown(descriptor, SHUT_WR);
}

void TcpDuplex::tune() {
    uv_tcp_nodelay(&handle_->tcp, 1);
    const auto probe_s = std::chrono::ceil<core::seconds>(probe_after_).count();
    uv_tcp_keepalive(&handle_->tcp, 1, static_cast<unsigned>(probe_s));
    int descriptor = -1;
    uv_fileno(&handle_->handle, &descriptor);
    const auto timeout_ms =
        static_cast<unsigned>(std::chrono::ceil<core::milliseconds>(kUnacknowledgedMax).count());
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

std::optional<Silence> TcpDuplex::silence() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    int descriptor = -1;
    if (connecting_ != nullptr || uv_fileno(&handle_->handle, &descriptor) != 0 ||
        getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return std::nullopt;
    return Silence{core::milliseconds(info.tcpi_last_ack_recv), info.tcpi_unacked > 0};
}

void TcpDuplex::connect(const Address& to, Handler& handler) {
    handler_ = &handler;
    auto connecting = std::make_unique<Connecting>();
    connecting->duplex = this;
    connecting->request.data = connecting.get();
    connecting_ = connecting.get();
    const int status =
        uv_tcp_connect(&connecting->request, &handle_->tcp, to.raw(), [](uv_connect_t* request, int result) {
            const std::unique_ptr<Connecting> done(static_cast<Connecting*>(request->data));
            settle(*done, result);
        });
    if (status == 0) {
        static_cast<void>(connecting.release());  // the callback has it
        return;
    }
    // Told later, as every failure: the caller does not hold us yet.
    loop_.post([done = std::move(connecting), status] { settle(*done, status); }, "connect");
}

void TcpDuplex::settle(Connecting& connecting, int status) {
    TcpDuplex* self = connecting.duplex;
    if (self == nullptr) return;
    Loop::Section section(self->loop_, "connected");
    self->connecting_ = nullptr;
    if (status == 0) {
        self->tune();
        self->resume();
        const bool nothing_waits = self->waiting_.empty();
        if (!self->send_waiting()) status = UV_EPIPE;
        if (status == 0 && nothing_waits && self->finishing_) self->send_end();
    }
    if (status == 0) return self->handler_->on_connected();
    self->ended_ = true;
    self->handler_->on_failed(uv_error(status, "connect"));
}

/// The half that outlives a StreamDuplex until its stream is closed.
struct StreamState {
    StreamState(std::unique_ptr<Stream> of, Loop& on)
        : stream(std::move(of)), loop(on), work(on), may_read(on) {}

    std::unique_ptr<Stream> stream;
    Loop& loop;
    Duplex::Handler* handler = nullptr;  // null: the Duplex is gone
    Event work;                          // something to write, to finish, or closing
    Event may_read;
    Bytes waiting;
    size_t writing = 0;
    bool finishing = false;
    bool closing = false;
    bool broken = false;
};
using StatePtr = std::shared_ptr<StreamState>;  // shared by the Duplex and three tasks that end in any order

constexpr size_t kStreamChunk = 16 * 1024;  // a TLS record

Task<void> read_stream(StatePtr state) {
    Bytes buffer;
    while (!state->closing) {
        auto may = co_await state->may_read.wait();
        if (!may || state->closing) co_return;
        buffer.resize(kStreamChunk);
        auto count = co_await state->stream->read(buffer.data(), buffer.size());
        if (state->closing || state->handler == nullptr) co_return;
        if (!count) {
            if (!state->broken) state->handler->on_failed(count.error());
            state->broken = true;
            co_return;
        }
        if (*count == 0) {
            state->handler->on_end();
            co_return;
        }
        state->handler->on_bytes(BytesView(buffer.data(), *count));
    }
}

Task<void> write_stream(StatePtr state) {
    for (;;) {
        auto woken = co_await state->work.wait();
        state->work.reset();
        if (!woken || state->closing) co_return;
        while (!state->waiting.empty()) {
            const Bytes sending = std::exchange(state->waiting, {});
            state->writing = sending.size();
            auto sent = co_await state->stream->write(sending);
            state->writing = 0;
            if (state->closing || state->handler == nullptr) co_return;
            if (!sent) {
                if (!state->broken) state->handler->on_failed(sent.error());
                state->broken = true;
                co_return;
            }
        }
        if (state->finishing) {
            auto ended = co_await state->stream->shutdown();
            static_cast<void>(ended);
            co_return;
        }
        if (state->handler != nullptr) state->handler->on_drained();
    }
}

Task<void> close_stream(StatePtr state) {
    co_await state->stream->close();
}

class StreamDuplex final : public Duplex {
 public:
    StreamDuplex(std::unique_ptr<Stream> stream, Scope& scope)
        : state_(std::make_shared<StreamState>(std::move(stream), scope.loop())), scope_(scope) {}
    StreamDuplex(const StreamDuplex&) = delete;
    StreamDuplex& operator=(const StreamDuplex&) = delete;
    ~StreamDuplex() override {
        state_->handler = nullptr;
        state_->closing = true;
        state_->work.set();
        state_->may_read.set();
        scope_.spawn(close_stream(state_));
    }

    void start(Handler& handler) override {
        state_->handler = &handler;
        state_->may_read.set();
        scope_.spawn(read_stream(state_));
        scope_.spawn(write_stream(state_));
    }
    bool write(std::span<const BytesView> pieces) override {
        if (state_->broken) return false;
        for (BytesView piece : pieces) state_->waiting.append(piece);
        state_->work.set();
        return true;
    }
    size_t queued() const override { return state_->waiting.size() + state_->writing; }
    void pause() override { state_->may_read.reset(); }
    void resume() override { state_->may_read.set(); }
    void finish() override {
        state_->finishing = true;
        state_->work.set();
    }
    std::optional<Silence> silence() const override { return std::nullopt; }
    void abort() override {}  // without close_notify the peer knows that it was cut (RFC 8446 section 6.1)

 private:
    StatePtr state_;
    Scope& scope_;
};

class UvAccepted final : public Accepted {
 public:
    UvAccepted(Loop& loop, OwnedUvHandle handle, const Address& peer)
        : loop_(loop), handle_(std::move(handle)), peer_(peer) {}
    const Address& peer() const override { return peer_; }
    std::unique_ptr<Duplex> to_duplex(SharedBuffer& buffer) override {
        return std::make_unique<TcpDuplex>(loop_, std::move(handle_), buffer);
    }
    std::unique_ptr<Stream> to_stream() override {
        return std::make_unique<UvStream>(loop_, std::move(handle_));
    }

 private:
    Loop& loop_;
    OwnedUvHandle handle_;
    Address peer_;
};

Result<Address> name_of(const uv_tcp_t& handle, int (*ask)(const uv_tcp_t*, sockaddr*, int*)) {
    sockaddr_storage storage{};
    int length = sizeof storage;
    const int status = ask(&handle, reinterpret_cast<sockaddr*>(&storage), &length);
    if (status < 0) return fail_uv(status, "address of a socket");
    return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage));
}

class UvAcceptor final : public Acceptor {
 public:
    UvAcceptor(Loop& loop, OwnedUvHandle handle, OnAccepted on_accepted)
        : loop_(loop), handle_(std::move(handle)), on_accepted_(std::move(on_accepted)) {
        handle_->owner = this;
        handle_->handle.data = handle_.get();
    }

    Result<void> start() {
        const int status = uv_listen(&handle_->stream, kListenBacklog, on_connection);
        if (status < 0) return fail_uv(status, "listen");
        TRY_ASSIGN(address_, name_of(handle_->tcp, uv_tcp_getsockname));
        return {};
    }
    Address address() const override { return address_; }

 private:
    static void on_connection(uv_stream_t* stream, int status) {
        auto* handle = static_cast<UvHandle*>(stream->data);
        auto* self = static_cast<UvAcceptor*>(handle->owner);
        if (self == nullptr || status < 0) return;  // out of descriptors: libuv has closed the connection
        Loop::Section section(self->loop_, "accept");
        OwnedUvHandle accepted = make_uv_handle(self->loop_);
        SMACK_ASSERT(uv_tcp_init(self->loop_.raw(), &accepted->tcp) == 0);
        accepted->handle.data = accepted.get();
        if (uv_accept(stream, &accepted->stream) < 0) return;
        auto peer = name_of(accepted->tcp, uv_tcp_getpeername);
        if (!peer) return;  // gone already
        uv_tcp_nodelay(&accepted->tcp, 1);
        self->on_accepted_(std::make_unique<UvAccepted>(self->loop_, std::move(accepted), *peer));
    }

    Loop& loop_;
    OwnedUvHandle handle_;
    OnAccepted on_accepted_;
    Address address_;
};

Result<std::unique_ptr<Acceptor>> start_accepting(std::unique_ptr<UvAcceptor> acceptor) {
    TRY(acceptor->start());
    return acceptor;
}

OwnedUvHandle make_tcp(Loop& loop) {
    OwnedUvHandle handle = make_uv_handle(loop);
    SMACK_ASSERT(uv_tcp_init(loop.raw(), &handle->tcp) == 0);
    handle->handle.data = handle.get();
    return handle;
}

}  // namespace

std::unique_ptr<Duplex> connect_duplex(Loop& loop, SharedBuffer& buffer, const Address& to,
                                       Duplex::Handler& handler, core::Duration probe_after) {
    auto duplex = std::make_unique<TcpDuplex>(loop, make_tcp(loop), buffer, probe_after);
    duplex->connect(to, handler);
    return duplex;
}

std::unique_ptr<Duplex> duplex_over(std::unique_ptr<Stream> stream, Scope& scope) {
    return std::make_unique<StreamDuplex>(std::move(stream), scope);
}

Result<std::unique_ptr<Acceptor>> Acceptor::adopt(Loop& loop, int descriptor, OnAccepted on_accepted) {
    OwnedUvHandle handle = make_tcp(loop);
    const int status = uv_tcp_open(&handle->tcp, descriptor);
    if (status < 0) {
        ::close(descriptor);
        return fail_uv(status, "adopt a listener");
    }
    return start_accepting(std::make_unique<UvAcceptor>(loop, std::move(handle), std::move(on_accepted)));
}

}  // namespace smackd::net
