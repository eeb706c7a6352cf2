// Heads of HTTP/1.1 messages as the ingress reads them (RFC 9112): in place, strict, without copies. What two
// readers might frame differently is refused. llhttp must agree with whatever this accepts
// (tests/fuzz/ingress_request_fuzz.cc).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"

namespace smackd::core::ingress {

inline constexpr size_t kHeadBytesMax = 32 * 1024;
inline constexpr size_t kFieldsMax = 100;
inline constexpr size_t kHostBytesMax = 255;

/// Fields that mean something to a proxy.
enum class FieldName : uint8_t {
    kOther,
    kHost,
    kConnection,
    kContentLength,
    kTransferEncoding,
    kExpect,
    kUpgrade,
    kHopByHop,  ///< Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization, TE, Trailer
    kCookie,
    kSetCookie,
    kAuthorization,
    kForwardedFor,
    kForwardedOther,  ///< X-Forwarded-Proto, -Port, -Host; Forwarded
};

struct Field {
    std::string_view name;
    std::string_view value;  ///< without white space around it
    FieldName known = FieldName::kOther;
};

/// What both kinds of head have. Views point into the bytes that were parsed.
struct Head {
    std::array<Field, kFieldsMax> fields;
    size_t field_count = 0;
    size_t bytes = 0;  ///< of the whole head, with its empty line
    int minor_version = 1;
    std::optional<uint64_t> content_length;
    bool chunked = false;
    bool close = false;           ///< "Connection: close"
    bool keep_alive = false;      ///< "Connection: keep-alive"
    bool upgrade = false;         ///< "Connection: upgrade" with an Upgrade field
    std::string_view connection;  ///< the Connection field: its words name fields that end here

    /// True when the peer goes on with this connection afterwards.
    bool persistent() const { return minor_version >= 1 ? !close : keep_alive && !close; }
    /// True when `name` is a word of the Connection field.
    bool is_named_by_connection(std::string_view name) const;
};

struct RequestHead : Head {
    std::string_view method;
    std::string_view target;     ///< in origin form ("/a?b"), or "*"
    std::string_view authority;  ///< what Host says, or the target in absolute form
    std::array<char, kHostBytesMax> host_buffer;
    size_t host_size = 0;
    bool expects_continue = false;

    std::string_view host() const { return {host_buffer.data(), host_size}; }  ///< lower case, without port
    std::string_view path() const { return target.substr(0, target.find('?')); }
    bool has_body() const { return chunked || content_length.value_or(0) > 0; }
    /// RFC 9110 section 9.2.2: may be sent again when it is not known what became of it.
    bool idempotent() const;
};

struct ResponseHead : Head {
    int status = 0;
    std::string_view reason;
};

struct HeadFailure {
    int status = 400;
    std::string_view reason;  ///< a literal
};

enum class HeadState : uint8_t { kIncomplete, kComplete, kFailed };

/// Parses the head that `bytes` begins with; `failure` is set at kFailed. kIncomplete also for no bytes at
/// all.
HeadState parse_request_head(BytesView bytes, RequestHead& head, HeadFailure& failure);
/// The same for what a backend answers; any failure is its fault.
HeadState parse_response_head(BytesView bytes, ResponseHead& head, HeadFailure& failure);

/// Equal without ASCII case.
bool same_word(std::string_view left, std::string_view right);

}  // namespace smackd::core::ingress
