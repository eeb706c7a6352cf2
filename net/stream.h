// Stream: an ordered, reliable, two-way byte stream. TCP, Unix sockets, TLS over either, in-memory pairs in
// tests.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/bytes.h"
#include "core/result.h"
#include "net/task.h"

namespace smackd::net {

class TlsSession;

/// Who is at the other end of a Unix socket (SO_PEERCRED), as the kernel saw it at connect time.
struct UnixCredentials {
    uint32_t uid = 0;
    uint32_t gid = 0;
    int32_t pid = 0;
};

/// One reader and one writer at a time, which may be different tasks. Loop thread only.
class Stream {
 public:
    /// No read or write is pending. Closes without waiting.
    virtual ~Stream() = default;

    /// Reads 1..`size` bytes into `buffer`, which the caller keeps until then; 0 is the end of the stream.
    /// Cancelling leaves the stream usable.
    virtual Task<core::Result<size_t>> read(char* buffer, size_t size) = 0;
    /// Writes all of `bytes`, which the caller keeps until then. Cancelling in the middle breaks the stream.
    virtual Task<core::Result<void>> write(core::BytesView bytes) = 0;
    /// Sends the end of the stream (TLS: close_notify); reading goes on.
    virtual Task<core::Result<void>> shutdown() = 0;
    /// Ends pending reads and writes with kCancelled and returns when the descriptor is closed. Idempotent.
    virtual Task<void> close() = 0;

    /// "10.0.0.7:41234", or "unix:uid=0" for a Unix socket.
    virtual const std::string& peer() const = 0;
    /// Of a TLS stream after its handshake; nullptr without TLS.
    virtual const TlsSession* tls() const { return nullptr; }
    /// Of a Unix socket.
    virtual std::optional<UnixCredentials> credentials() const { return std::nullopt; }
};

/// A stream with bytes before it: what was read to find out which protocol is spoken.
std::unique_ptr<Stream> with_prefix(core::Bytes prefix, std::unique_ptr<Stream> rest);

/// Reads exactly `size` bytes; kUnavailable when the stream ends earlier.
Task<core::Result<void>> read_exactly(Stream& stream, char* buffer, size_t size);

}  // namespace smackd::net
