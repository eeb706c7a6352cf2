// RPC between nodes: calls with deadlines, cancellation, streams with credit, one-way notices; over any
// Stream.
//
// In production the stream is mutual TLS (ALPN "smack/1") and the caller is known by its certificate.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/bytes.h"
#include "core/ids.h"
#include "core/logger.h"
#include "core/units.h"
#include "net/loop.h"
#include "net/rpc/frame.h"
#include "net/scope.h"
#include "net/stream.h"
#include "net/sync.h"

namespace smackd::net::rpc {

/// What an end says of itself in its first frame.
struct Hello {
    uint32_t protocol = kProtocolVersion;
    std::string software;
    core::NodeId node;
};

struct RpcLimits {
    size_t calls_in_flight = 256;  ///< per connection; more are answered kBusy
    core::Duration default_deadline =
        std::chrono::seconds(30);  ///< of calls that name none; streams have none
    core::Duration hello = std::chrono::seconds(5);
    uint32_t stream_credit = 64;      ///< items a client lets a server send ahead
    size_t send_queue_frames = 1024;  ///< beyond it senders wait
};

/// Who called: the peer's hello and its stream.
struct Caller {
    Hello hello;
    Stream* stream = nullptr;
    const TlsSession* tls() const { return stream->tls(); }
};

/// Sends the items of a streaming answer; waits for the client's credit.
class ItemWriter {
 public:
    virtual ~ItemWriter() = default;
    /// kCancelled when the client is no longer interested.
    virtual Task<core::Result<void>> send(core::Bytes item) = 0;
};

using CallHandler =
    core::Callback<Task<core::Result<core::Bytes>>(core::Bytes request, const Caller& caller)>;
using StreamHandler =
    core::Callback<Task<core::Result<void>>(core::Bytes request, ItemWriter& out, const Caller& caller)>;
using NoticeHandler = core::Callback<void(core::Bytes body, const Caller& caller)>;

/// May refuse a caller once the hellos are exchanged; the error goes to the caller and the connection ends.
using Admission = core::Callback<core::Result<void>(const Caller& caller)>;

class RpcServer {
 public:
    RpcServer(Loop& loop, Hello self, RpcLimits limits = {}, core::Logger logger = {});
    ~RpcServer();
    RpcServer(const RpcServer&) = delete;
    RpcServer& operator=(const RpcServer&) = delete;

    /// All before the first serve(); each method once.
    void on_call(std::string method, CallHandler handler);
    void on_stream(std::string method, StreamHandler handler);
    void on_notice(std::string topic, NoticeHandler handler);
    void on_caller(Admission admission);

    /// Serves one connection until it ends; the reason is returned and the stream closed.
    Task<core::Result<void>> serve(std::unique_ptr<Stream> stream);
    /// Ends the connections of a node, which may make others.
    void hang_up(core::NodeId node);
    /// Ends the connections of a node at once (it was removed from the cluster).
    void cut(core::NodeId node);
    size_t connections() const;

    struct State;

 private:
    std::unique_ptr<State> state_;
};

/// The items of a streaming call.
class ItemReader {
 public:
    virtual ~ItemReader() = default;
    /// The next item; nullopt at the orderly end; else the server's error.
    virtual Task<core::Result<std::optional<core::Bytes>>> next() = 0;
    /// Tells the server to stop. Also done by the destructor.
    virtual void cancel() = 0;
};

class RpcClient {
 public:
    /// Exchanges hellos. kUnsupported when the peer speaks another protocol version (names both).
    static Task<core::Result<std::unique_ptr<RpcClient>>> connect(Loop& loop, std::unique_ptr<Stream> stream,
                                                                  Hello self, RpcLimits limits = {});
    /// close() has returned.
    ~RpcClient();
    RpcClient(const RpcClient&) = delete;
    RpcClient& operator=(const RpcClient&) = delete;

    /// Calls and waits for the answer or kTimeout after `limit`. kUnavailable when the connection breaks.
    Task<core::Result<core::Bytes>> call(std::string method, core::Bytes request, core::Duration limit);
    Task<core::Result<std::unique_ptr<ItemReader>>> open(std::string method, core::Bytes request);
    /// Sends a one-way message; waits for room in the queue.
    Task<core::Result<void>> send_notice(std::string topic, core::Bytes body);
    /// Queues a one-way message; false when the queue is full or the connection is gone.
    bool notify(std::string topic, core::Bytes body);

    const Hello& peer() const;
    bool broken() const;
    /// Waits until the connection breaks; returns why.
    Task<core::Error> broken_reason();
    Task<void> close();

    struct State;
    explicit RpcClient(std::unique_ptr<State> state);

 private:
    std::unique_ptr<State> state_;
};

}  // namespace smackd::net::rpc
