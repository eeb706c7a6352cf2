#include <uv.h>

#include <deque>
#include <format>

#include "net/socket.h"
#include "net/uv_stream.h"

namespace smackd::net {

using core::Errc;
using core::Result;

namespace {

constexpr size_t kReceivedAheadMax = 64;

class UvUdpSocket final : public UdpSocket {
 public:
    UvUdpSocket(Loop& loop, OwnedUvHandle handle)
        : loop_(loop), handle_(std::move(handle)), buffer_(65536, '\0') {
        handle_->owner = this;
        handle_->handle.data = handle_.get();
    }
    ~UvUdpSocket() override { SMACK_ASSERT(waiting_ == nullptr); }
    UvUdpSocket(const UvUdpSocket&) = delete;
    UvUdpSocket& operator=(const UvUdpSocket&) = delete;

    Task<Result<Datagram>> receive() override {
        SMACK_ASSERT(waiting_ == nullptr);
        if (received_.empty()) {
            if (uv_is_closing(&handle_->handle) != 0)
                co_return core::fail(Errc::kCancelled, "the socket is closed");
            Wait<void> wait(loop_);
            waiting_ = &wait;
            int status = uv_udp_recv_start(&handle_->udp, give_buffer, on_received);
            if (status < 0 && status != UV_EALREADY) wait.complete(fail_uv(status, "receive"));
            auto woken = co_await wait;
            waiting_ = nullptr;
            CO_TRY(std::move(woken));
        }
        Datagram first = std::move(received_.front());
        received_.pop_front();
        co_return first;
    }

    Result<void> send(const Address& to, core::BytesView bytes) override {
        uv_buf_t buffer = uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
        int status = uv_udp_try_send(&handle_->udp, &buffer, 1, to.raw());
        if (status == UV_EAGAIN)
            return core::fail(Errc::kBusy, "the send buffer of {} is full", address().to_string());
        if (status < 0) return fail_uv(status, std::format("send to {}", to.to_string()));
        return {};
    }

    Task<void> close() override {
        if (waiting_ != nullptr) waiting_->complete(core::fail(Errc::kCancelled, "the socket is closed"));
        co_await close_uv_handle(*handle_);
    }

    Address address() const override {
        sockaddr_storage storage{};
        int length = sizeof storage;
        uv_udp_getsockname(&handle_->udp, reinterpret_cast<sockaddr*>(&storage), &length);
        return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage));
    }

 private:
    static UvUdpSocket* of(void* data) {
        return static_cast<UvUdpSocket*>(static_cast<UvHandle*>(data)->owner);
    }

    static void give_buffer(uv_handle_t* handle, size_t, uv_buf_t* out) {
        UvUdpSocket* self = of(handle->data);
        *out = self == nullptr
                   ? uv_buf_init(nullptr, 0)
                   : uv_buf_init(self->buffer_.data(), static_cast<unsigned>(self->buffer_.size()));
    }

    static void on_received(uv_udp_t* socket, ssize_t count, const uv_buf_t* buffer, const sockaddr* from,
                            unsigned) {
        UvUdpSocket* self = of(socket->data);
        if (self == nullptr || (count == 0 && from == nullptr)) return;
        Loop::Section section(self->loop_, "datagram");
        if (count < 0) return self->wake(fail_uv(static_cast<int>(count), "receive"));
        std::string bytes(buffer->base, static_cast<size_t>(count));
        self->received_.push_back(Datagram{Address::from_sockaddr(from), std::move(bytes)});
        bool full = self->received_.size() >= kReceivedAheadMax;
        if (full || self->waiting_ != nullptr) self->wake({}, full);
    }

    /// Wakes the receiver and stops reading only when enough is queued, since stopping costs a system call.
    void wake(Result<void> result, bool stop_reading = true) {
        if (stop_reading) uv_udp_recv_stop(&handle_->udp);
        if (waiting_ != nullptr) waiting_->complete(std::move(result));
    }

    Loop& loop_;
    OwnedUvHandle handle_;
    std::string buffer_;
    std::deque<Datagram> received_;
    Wait<void>* waiting_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<UdpSocket>> UdpSocket::bind(Loop& loop, const Address& at) {
    OwnedUvHandle handle = make_uv_handle(loop);
    SMACK_ASSERT(uv_udp_init(loop.raw(), &handle->udp) == 0);
    int status = uv_udp_bind(&handle->udp, at.raw(), 0);
    if (status < 0) return fail_uv(status, std::format("bind {}", at.to_string()));
    return std::make_unique<UvUdpSocket>(loop, std::move(handle));
}

}  // namespace smackd::net
