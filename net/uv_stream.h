// UvStream: a Stream over a libuv TCP or pipe handle. Private to net.
#pragma once

#include <uv.h>

#include <memory>
#include <vector>

#include "net/stream.h"
#include "net/wait.h"

namespace smackd::net {

/// A handle that outlives its owner until libuv's close callback has run.
struct UvHandle {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
        uv_udp_t udp;
    };
    std::vector<Wait<void>*> closers;  // who waits in close()
    Loop* loop = nullptr;
    void* owner = nullptr;  // for the callbacks of the owning class
    bool closed = false;
    bool orphan = false;  // the owner is gone: the close callback frees this
};

/// Starts closing; the deleter of an owned handle.
struct UvHandleCloser {
    void operator()(UvHandle* handle) const;
};
using OwnedUvHandle = std::unique_ptr<UvHandle, UvHandleCloser>;

/// Zeroed, not initialised: the caller calls uv_tcp_init or the like next, or gives it up by release +
/// delete.
OwnedUvHandle make_uv_handle(Loop& loop);
/// Starts closing; nothing happens when it has begun already.
void start_closing(UvHandle& handle);
/// Closes and waits for libuv's close callback. Idempotent.
Task<void> close_uv_handle(UvHandle& handle);
/// For a handle whose uv_*_init failed: frees without closing.
void discard_uninitialised(OwnedUvHandle handle);

/// A failure of libuv as an Error: refused and unreachable are kUnavailable, the rest as errno says.
std::unexpected<core::Error> fail_uv(int status, std::string_view what);

class UvStream final : public Stream {
 public:
    UvStream(Loop& loop, OwnedUvHandle handle);
    ~UvStream() override;

    Task<core::Result<size_t>> read(char* buffer, size_t size) override;
    Task<core::Result<void>> write(core::BytesView bytes) override;
    Task<core::Result<void>> shutdown() override;
    Task<void> close() override;
    const std::string& peer() const override { return peer_; }
    std::optional<UnixCredentials> credentials() const override { return credentials_; }

    /// See move_stream.h.
    core::Result<void> detach();
    core::Result<void> attach(Loop& loop);

 private:
    struct Read;
    struct Write;
    static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer);
    void describe_peer();

    Loop* loop_;
    OwnedUvHandle handle_;
    int detached_ = -1;  // the descriptor between two loops
    Read* reading_ = nullptr;
    Write* writing_ = nullptr;
    std::string peer_;
    std::optional<UnixCredentials> credentials_;
};

}  // namespace smackd::net
