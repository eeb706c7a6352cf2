#include "net/frame_channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/assert.h"
#include "net/uv_stream.h"

namespace smackd::net {
namespace {

using core::Bytes;
using core::BytesView;
using core::Errc;
using core::Result;

constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kReadsPerTurnMax = 32;
constexpr size_t kControlBytes = CMSG_SPACE(sizeof(int) * 253);

/// A uv_poll_t that outlives its channel until libuv has closed it.
struct Poll {
    uv_poll_t poll{};
    int descriptor = -1;
    Loop* loop = nullptr;
    void* owner = nullptr;
};

void close_poll(Poll* poll) {
    poll->owner = nullptr;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll->poll), [](uv_handle_t* closed) {
        auto* done = static_cast<Poll*>(closed->data);
        ::close(done->descriptor);
        delete done;
    });
}

class UnixFrameChannel final : public FrameChannel {
 public:
    UnixFrameChannel(Loop& loop, int descriptor, size_t frame_bytes_max, Handler& handler)
        : poll_(new Poll), frame_bytes_max_(frame_bytes_max), handler_(handler) {
        poll_->descriptor = descriptor;
        poll_->loop = &loop;
        poll_->owner = this;
        poll_->poll.data = poll_;
        SMACK_ASSERT(uv_poll_init(loop.raw(), &poll_->poll, descriptor) == 0);
        watch();
    }
    UnixFrameChannel(const UnixFrameChannel&) = delete;
    UnixFrameChannel& operator=(const UnixFrameChannel&) = delete;
    ~UnixFrameChannel() override {
        for (const Outgoing& frame : out_) close_all(frame.descriptors);
        close_poll(poll_);
    }

    void send(BytesView frame, std::span<const int> descriptors) override;
    size_t queued() const override { return queued_; }

 private:
    struct Outgoing {
        Bytes bytes;
        size_t sent = 0;
        std::vector<int> descriptors;  // our copies
    };

    static void on_ready(uv_poll_t* poll, int status, int events);
    static void close_all(const std::vector<int>& descriptors) {
        for (int descriptor : descriptors) ::close(descriptor);
    }
    void watch() {
        uv_poll_start(&poll_->poll, out_.empty() ? UV_READABLE : UV_READABLE | UV_WRITABLE, on_ready);
    }
    Result<void> send_waiting();
    Result<ssize_t> send_once(const Outgoing& frame);
    Result<size_t> receive_once();
    void take_descriptors(msghdr& message);

    Poll* poll_;
    size_t frame_bytes_max_;
    Handler& handler_;
    std::deque<Outgoing> out_;
    size_t queued_ = 0;
    Bytes in_;
    std::unique_ptr<char[]> buffer_{new char[kReadBytes]};
    Descriptors descriptors_;
};

void UnixFrameChannel::send(BytesView frame, std::span<const int> descriptors) {
    SMACK_ASSERT(frame.size() <= frame_bytes_max_ && descriptors.size() <= kFrameDescriptorsMax);
    Outgoing out;
    core::put_u32(out.bytes, static_cast<uint32_t>(frame.size()));
    out.bytes += frame;
    for (int descriptor : descriptors) {
        const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
        SMACK_ASSERT(copy >= 0);
        out.descriptors.push_back(copy);
    }
    queued_ += out.bytes.size();
    out_.push_back(std::move(out));
    // An error is told by the next turn's read.
    auto sent = send_waiting();
    static_cast<void>(sent);
    watch();
}

Result<ssize_t> UnixFrameChannel::send_once(const Outgoing& frame) {
    iovec part{const_cast<char*>(frame.bytes.data()) + frame.sent, frame.bytes.size() - frame.sent};
    alignas(cmsghdr) std::array<char, kControlBytes> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (frame.sent == 0 && !frame.descriptors.empty()) {
        const size_t size = sizeof(int) * frame.descriptors.size();
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(size);
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        std::memcpy(CMSG_DATA(header), frame.descriptors.data(), size);
    }
    const ssize_t sent = ::sendmsg(poll_->descriptor, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    if (errno == EAGAIN || errno == EINTR) return ssize_t{0};
    return core::fail_errno(errno, "send to the other process");
}

Result<void> UnixFrameChannel::send_waiting() {
    while (!out_.empty()) {
        Outgoing& frame = out_.front();
        TRY_ASSIGN(const ssize_t sent, send_once(frame));
        if (sent == 0) return {};
        frame.sent += static_cast<size_t>(sent);
        queued_ -= static_cast<size_t>(sent);
        if (frame.sent < frame.bytes.size()) continue;
        close_all(frame.descriptors);
        out_.pop_front();
    }
    return {};
}

void UnixFrameChannel::take_descriptors(msghdr& message) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof descriptor);
            if (descriptors_.size() < kWaitingDescriptorsMax) {
                descriptors_.add(descriptor);
            } else {
                ::close(descriptor);
            }
        }
    }
}

/// How many bytes came; 0 when there are none now.
Result<size_t> UnixFrameChannel::receive_once() {
    iovec part{buffer_.get(), kReadBytes};
    alignas(cmsghdr) std::array<char, kControlBytes> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t got = ::recvmsg(poll_->descriptor, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return size_t{0};
    if (got < 0) return core::fail_errno(errno, "receive from the other process");
    if (got == 0) return core::fail(Errc::kUnavailable, "the other process has gone");
    take_descriptors(message);
    in_.append(buffer_.get(), static_cast<size_t>(got));
    return static_cast<size_t>(got);
}

void UnixFrameChannel::on_ready(uv_poll_t* raw, int status, int) {
    auto* poll = static_cast<Poll*>(raw->data);
    auto* self = static_cast<UnixFrameChannel*>(poll->owner);
    if (self == nullptr) return;
    Loop::Section section(*poll->loop, "frame");
    Result<void> sent = status < 0 ? Result<void>(fail_uv(status, "channel")) : self->send_waiting();
    if (sent) self->watch();
    Result<size_t> got = size_t{0};
    for (size_t i = 0; i < kReadsPerTurnMax && sent; ++i) {
        got = self->receive_once();
        if (!got || *got == 0) break;
        size_t at = 0;
        while (self->in_.size() - at >= 4) {
            const size_t length = core::get_u32(self->in_.data() + at);
            if (length > self->frame_bytes_max_) {
                got = core::fail(Errc::kInvalid, "a frame of {} bytes; {} are allowed", length,
                                 self->frame_bytes_max_);
                break;
            }
            if (self->in_.size() - at - 4 < length) break;
            self->handler_.on_frame(BytesView(self->in_).substr(at + 4, length), self->descriptors_);
            if (poll->owner == nullptr) return;  // destroyed by its handler
            at += 4 + length;
        }
        self->in_.erase(0, at);
        if (!got) break;
    }
    if (sent && got) return;
    uv_poll_stop(raw);
    self->handler_.on_closed(sent ? got.error() : sent.error());
}

class UnixFrameListener final : public FrameListener {
 public:
    UnixFrameListener(Loop& loop, int descriptor, core::Callback<void(int)> on_connected)
        : poll_(new Poll), on_connected_(std::move(on_connected)) {
        poll_->descriptor = descriptor;
        poll_->loop = &loop;
        poll_->owner = this;
        poll_->poll.data = poll_;
        SMACK_ASSERT(uv_poll_init(loop.raw(), &poll_->poll, descriptor) == 0);
        uv_poll_start(&poll_->poll, UV_READABLE, on_ready);
    }
    UnixFrameListener(const UnixFrameListener&) = delete;
    UnixFrameListener& operator=(const UnixFrameListener&) = delete;
    ~UnixFrameListener() override { close_poll(poll_); }

 private:
    static void on_ready(uv_poll_t* raw, int, int) {
        auto* poll = static_cast<Poll*>(raw->data);
        auto* self = static_cast<UnixFrameListener*>(poll->owner);
        if (self == nullptr) return;
        Loop::Section section(*poll->loop, "channel accept");
        const int connected = ::accept4(poll->descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connected < 0) return;
        ucred who{};
        socklen_t length = sizeof who;
        const bool known = ::getsockopt(connected, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0;
        if (!known || (who.uid != 0 && who.uid != ::geteuid())) {
            ::close(connected);
            return;
        }
        self->on_connected_(connected);
    }

    Poll* poll_;
    core::Callback<void(int)> on_connected_;
};

}  // namespace

Result<std::unique_ptr<FrameListener>> FrameListener::adopt(Loop& loop, int descriptor,
                                                            core::Callback<void(int)> on_connected) {
    if (!is_listening(descriptor))
        return core::fail(Errc::kInvalid, "descriptor {} is no listening socket", descriptor);
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return std::make_unique<UnixFrameListener>(loop, descriptor, std::move(on_connected));
}

bool is_listening(int descriptor) {
    int listening = 0;
    socklen_t length = sizeof listening;
    return ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0 && listening != 0;
}

FrameChannel::Descriptors::~Descriptors() {
    for (int descriptor : waiting_) ::close(descriptor);
}

int FrameChannel::Descriptors::take() {
    if (waiting_.empty()) return -1;
    const int descriptor = waiting_.front();
    waiting_.pop_front();
    return descriptor;
}

Result<std::unique_ptr<FrameChannel>> FrameChannel::adopt(Loop& loop, int descriptor, size_t frame_bytes_max,
                                                          Handler& handler) {
    int type = 0;
    socklen_t length = sizeof type;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &length) != 0 || type != SOCK_STREAM)
        return core::fail(Errc::kInvalid, "descriptor {} is no stream socket", descriptor);
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return std::make_unique<UnixFrameChannel>(loop, descriptor, frame_bytes_max, handler);
}

}  // namespace smackd::net
