// One HTTP connection of a server. Private to net/http.
#pragma once

#include <memory>
#include <string>

#include "net/http/parser.h"
#include "net/http/server.h"
#include "net/http/watchdog.h"

namespace smackd::net::http {

inline constexpr size_t kReadBytes = 16 * 1024;
inline constexpr uint64_t kDrainBytesMax =
    64 * 1024;  ///< of a body the handler did not read; beyond it we close

/// What connections share with their server.
struct ServerContext {
    Loop& loop;
    Handler handler;
    ServerLimits limits;
    core::Logger logger;
    bool draining = false;
};

class Connection final : private BodyReader {
 public:
    Connection(ServerContext& context, Stream& stream, ConnectionInfo info, Watchdog& watchdog);

    /// Serves requests until either end has had enough. The stream is left open.
    Task<void> run();
    /// True between requests: it may be cancelled without cutting an answer.
    bool idle() const { return idle_; }

 private:
    class Writer;
    Task<core::Result<bool>> read_head();
    Task<core::Result<void>> feed_more();
    Task<core::Result<size_t>> read(char* buffer, size_t size) override;
    Task<core::Result<bool>> answer();
    Task<core::Result<bool>> drain();
    Task<core::Result<void>> send(Response& response);
    Task<core::Result<void>> send_stream(Response& response, std::string head);
    Task<core::Result<void>> hand_over(Response& response);
    Task<void> watch_client(Cancellation& streaming);
    Task<void> refuse(int status, std::string_view reason);
    std::string response_head(const Response& response, bool chunked, bool has_body);

    ServerContext& context_;
    Stream& stream_;
    ConnectionInfo info_;
    Watchdog& watchdog_;
    Parser parser_;
    std::string input_;
    core::BytesView unparsed_;  // of input_
    bool idle_ = true;
    bool keep_alive_ = true;
    bool continue_due_ = false;  // the client waits for "100 Continue"
    bool cut_ = false;           // a response broke off: nothing more may be sent
    size_t requests_ = 0;
};

}  // namespace smackd::net::http
