// HTTP messages (RFC 9110, RFC 9112): headers, targets, requests and responses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/callback.h"
#include "core/result.h"
#include "net/task.h"

namespace smackd::net {
class Stream;
}

namespace smackd::net::http {

/// Header fields in order of arrival; names compare without case and may repeat.
class Headers {
 public:
    using Field = std::pair<std::string, std::string>;

    void add(std::string_view name, std::string_view value) { fields_.emplace_back(name, value); }
    /// Replaces all fields of this name.
    void set(std::string_view name, std::string_view value);
    void remove(std::string_view name);
    /// The first field of this name, or nullptr.
    const std::string* find(std::string_view name) const;
    /// The first field of this name, or empty.
    std::string_view get(std::string_view name) const;
    std::vector<std::string_view> all(std::string_view name) const;
    bool has(std::string_view name) const { return find(name) != nullptr; }
    /// True when a comma-separated list field has `token`, without case (Connection, Accept-Encoding).
    bool has_token(std::string_view name, std::string_view token) const;
    const std::vector<Field>& fields() const { return fields_; }
    void clear() { fields_.clear(); }

 private:
    std::vector<Field> fields_;
};

/// Equal without ASCII case.
bool equal_ignoring_case(std::string_view left, std::string_view right);

/// The bytes of a message body, in pieces.
class BodyReader {
 public:
    virtual ~BodyReader() = default;
    /// 1..`size` bytes; 0 is the end. kInvalid when the framing is wrong or the limit is passed.
    virtual Task<core::Result<size_t>> read(char* buffer, size_t size) = 0;
    /// The rest; kInvalid when it is longer than `limit` bytes.
    Task<core::Result<core::Bytes>> read_all(size_t limit);
};

using QueryPair = std::pair<std::string, std::string>;

/// A request target in origin-form (RFC 9112 section 3.2.1), decoded.
struct Target {
    std::string path;  ///< decoded; starts with '/', has no empty component and no control character
    std::vector<QueryPair> query;  ///< decoded, in order
    /// The first value of `name`, or nullopt.
    std::optional<std::string_view> query_value(std::string_view name) const;
};
/// kInvalid names the rule: bad escapes, control characters, "." or ".." components, no path. Escapes are
/// decoded once and before anything else, so %2F is a slash (clients send application ids so) and a route
/// sees what a handler sees; empty components are dropped. Absolute-form is taken by its path.
core::Result<Target> parse_target(std::string_view raw);
/// Everything but unreserved characters (RFC 3986 section 2.3) as %XX.
std::string percent_encode(std::string_view text);

struct Request {
    std::string method;  ///< as sent: "GET"
    std::string raw_target;
    Target target;
    Headers headers;
    BodyReader* body = nullptr;  ///< never null in a handler; valid until it returns
    bool expects_body = false;   ///< has Content-Length > 0 or is chunked

    const std::string& path() const { return target.path; }
    std::optional<std::string_view> query(std::string_view name) const { return target.query_value(name); }
};

/// Where a streaming response goes. Each write reaches the client without waiting for more.
class BodyWriter {
 public:
    virtual ~BodyWriter() = default;
    /// Waits until the socket took it; an error means that the client is gone.
    virtual Task<core::Result<void>> write(core::BytesView bytes) = 0;
};

/// Writes a body in pieces and returns; an error breaks the connection so that the client sees a cut body.
using BodyProducer = core::Callback<Task<core::Result<void>>(BodyWriter&)>;

/// What a connection becomes after a 101: `stream` is its own until it returns (cancelled when the server
/// closes), `rest` is what came behind the request already.
using UpgradeHandler = core::Callback<Task<void>(Stream& stream, core::Bytes rest)>;

struct Response {
    int status = 200;
    Headers headers;  ///< Content-Length, Transfer-Encoding, Connection and Date are set by the server
    std::string body;
    BodyProducer stream;     ///< instead of body: chunked (or until close for HTTP/1.0)
    UpgradeHandler upgrade;  ///< of a 101, after its head
    bool close = false;      ///< close the connection after this response

    static Response text(int status, std::string_view text);
    static Response json(int status, std::string body);
    static Response html(std::string body);
    /// `{"error":"not_found","message":"..."}` with http_status and Retry-After.
    static Response error(const core::Error& error);
    Response& with(std::string_view name, std::string_view value) & {
        headers.add(name, value);
        return *this;
    }
    Response&& with(std::string_view name, std::string_view value) && {
        headers.add(name, value);
        return std::move(*this);
    }
};

/// "Not Found"; "Unknown" for a status without a registered phrase.
std::string_view reason_phrase(int status);

/// A field name is a token (RFC 9110 section 5.6.2); a value has no control characters but HTAB.
bool valid_field_name(std::string_view name);
bool valid_field_value(std::string_view value);

}  // namespace smackd::net::http
