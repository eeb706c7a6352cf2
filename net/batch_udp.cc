#include "net/batch_udp.h"

#include <netinet/in.h>
#include <unistd.h>
#include <uv.h>

#include <cstring>
#include <format>
#include <vector>

#include "core/assert.h"
#include "net/uv_stream.h"

namespace smackd::net {
namespace {

using core::Result;

constexpr size_t kSlotBytes = 64 * core::kKiB;  // libuv's stride between received datagrams

class UvBatchUdp final : public BatchUdpSocket {
 public:
    UvBatchUdp(Loop& loop, OwnedUvHandle handle, Receiver& receiver, bool connected)
        : loop_(loop), handle_(std::move(handle)), receiver_(receiver), connected_(connected) {
        handle_->owner = this;
        handle_->handle.data = handle_.get();
        // Only the pages that datagrams fill are ever touched. A connected socket gets a reply now and then.
        slab_.reset(new char[slots() * kSlotBytes]);
        out_bytes_.reset(new char[slots() * kBatchDatagramBytesMax]);
    }
    UvBatchUdp(const UvBatchUdp&) = delete;
    UvBatchUdp& operator=(const UvBatchUdp&) = delete;
    ~UvBatchUdp() override = default;

    Result<void> start() {
        const int status = uv_udp_recv_start(&handle_->udp, give_buffer, on_received);
        if (status < 0) return fail_uv(status, "receive");
        return {};
    }

    std::span<char> room() override {
        return {out_bytes_.get() + count_ * kBatchDatagramBytesMax, kBatchDatagramBytesMax};
    }
    void send(size_t bytes, const sockaddr* to) override {
        SMACK_ASSERT(bytes <= kBatchDatagramBytesMax);
        buffers_[count_] = uv_buf_init(room().data(), static_cast<unsigned>(bytes));
        if (!connected_) {
            const size_t size = to->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
            std::memcpy(&to_[count_], to, size);
        }
        if (++count_ == slots()) flush();
    }
    void flush() override;

    Address address() const override {
        sockaddr_storage storage{};
        int length = sizeof storage;
        uv_udp_getsockname(&handle_->udp, reinterpret_cast<sockaddr*>(&storage), &length);
        return Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage));
    }
    uint64_t lost() const override { return lost_; }

 private:
    size_t slots() const { return connected_ ? 1 : kUdpBatch; }
    static void give_buffer(uv_handle_t* handle, size_t, uv_buf_t* out) {
        auto* self = static_cast<UvBatchUdp*>(static_cast<UvHandle*>(handle->data)->owner);
        *out = self == nullptr
                   ? uv_buf_init(nullptr, 0)
                   : uv_buf_init(self->slab_.get(), static_cast<unsigned>(self->slots() * kSlotBytes));
    }
    static void on_received(uv_udp_t* socket, ssize_t count, const uv_buf_t* buffer, const sockaddr* from,
                            unsigned flags);

    Loop& loop_;
    OwnedUvHandle handle_;
    Receiver& receiver_;
    bool connected_;
    std::unique_ptr<char[]> slab_;
    std::unique_ptr<char[]> out_bytes_;
    std::array<uv_buf_t, kUdpBatch> buffers_{};
    std::array<sockaddr_storage, kUdpBatch> to_;
    size_t count_ = 0;
    uint64_t lost_ = 0;
};

// The receiver may destroy the socket in its call, so nothing of it is used afterwards without asking.
void UvBatchUdp::on_received(uv_udp_t* socket, ssize_t count, const uv_buf_t* buffer, const sockaddr* from,
                             unsigned flags) {
    auto* handle = static_cast<UvHandle*>(socket->data);
    auto* self = static_cast<UvBatchUdp*>(handle->owner);
    if (self == nullptr) return;
    Loop::Section section(self->loop_, "datagram");
    if (count < 0)
        return self->receiver_.on_receive_error(fail_uv(static_cast<int>(count), "receive").error());
    if (count == 0 && from == nullptr) return self->flush();  // the end of a batch
    // An empty datagram has an address.
    self->receiver_.on_datagram(from, core::BytesView(buffer->base, static_cast<size_t>(count)));
    const bool last = (flags & UV_UDP_MMSG_CHUNK) == 0;
    if (last && handle->owner != nullptr) static_cast<UvBatchUdp*>(handle->owner)->flush();
}

void UvBatchUdp::flush() {
    const size_t count = std::exchange(count_, 0);
    if (count == 0) return;
    std::array<uv_buf_t*, kUdpBatch> buffers;
    std::array<unsigned, kUdpBatch> sizes;
    std::array<sockaddr*, kUdpBatch> to;
    for (size_t i = 0; i < count; ++i) {
        buffers[i] = &buffers_[i];
        sizes[i] = 1;
        to[i] = connected_ ? nullptr : reinterpret_cast<sockaddr*>(&to_[i]);
    }
    size_t done = 0;
    while (done < count) {
        const int sent = uv_udp_try_send2(&handle_->udp, static_cast<unsigned>(count - done),
                                          buffers.data() + done, sizes.data() + done, to.data() + done, 0);
        if (sent == UV_EAGAIN) break;
        // One that cannot go (no route, refused) must not keep the others.
        if (sent <= 0) ++lost_;
        done += sent > 0 ? static_cast<size_t>(sent) : 1;
    }
    lost_ += count - std::min(done, count);
}

Result<std::unique_ptr<BatchUdpSocket>> finish(std::unique_ptr<UvBatchUdp> socket) {
    TRY(socket->start());
    return socket;
}

OwnedUvHandle make_udp(Loop& loop, unsigned flags) {
    OwnedUvHandle handle = make_uv_handle(loop);
    SMACK_ASSERT(uv_udp_init_ex(loop.raw(), &handle->udp, flags) == 0);
    handle->udp.data = handle.get();
    return handle;
}

}  // namespace

Result<std::unique_ptr<BatchUdpSocket>> BatchUdpSocket::adopt(Loop& loop, int descriptor,
                                                              Receiver& receiver) {
    OwnedUvHandle handle = make_udp(loop, UV_UDP_RECVMMSG);
    const int status = uv_udp_open(&handle->udp, descriptor);
    if (status < 0) {
        ::close(descriptor);
        return fail_uv(status, "adopt a UDP socket");
    }
    return finish(std::make_unique<UvBatchUdp>(loop, std::move(handle), receiver, false));
}

Result<std::unique_ptr<BatchUdpSocket>> BatchUdpSocket::connect(Loop& loop, const Address& to,
                                                                Receiver& receiver) {
    OwnedUvHandle handle = make_udp(loop, 0);
    const int status = uv_udp_connect(&handle->udp, to.raw());
    if (status < 0) return fail_uv(status, std::format("connect to {}", to.to_string()));
    return finish(std::make_unique<UvBatchUdp>(loop, std::move(handle), receiver, true));
}

}  // namespace smackd::net
