// The HTTP/1.1 parser: bytes in, heads and bodies out; no I/O. llhttp in its strict mode, plus our own rules.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "net/http/message.h"

namespace smackd::net::http {

struct ParserLimits {
    size_t head_bytes = 0;  ///< start line and fields together, trailers too
    size_t headers = 0;
    uint64_t body_bytes = 0;  ///< decoded
};

inline constexpr size_t kChunkExtensionBytesMax = 4096;  ///< of one body, together; nobody here wants any

/// The head of a request or response, as framed (RFC 9112).
struct Head {
    std::string method;     ///< request
    std::string target;     ///< request, raw
    int status = 0;         ///< response
    int minor_version = 1;  ///< HTTP/1.x
    Headers headers;
    bool keep_alive = true;
    bool chunked = false;
    std::optional<uint64_t> content_length;
    bool expects_continue = false;
    /// True when body bytes may follow.
    bool has_body = false;
};

/// What is wrong with a message and the status that says so.
struct ParseFailure {
    int status = 400;
    std::string reason;
};

class Parser {
 public:
    enum class Kind : uint8_t { kRequest, kResponse };
    enum class State : uint8_t {
        kHead,    ///< in the head, or before it
        kBody,    ///< head() is complete; body bytes may follow
        kDone,    ///< the message is complete
        kFailed,  ///< failure() says why; nothing can be read after it
    };

    Parser(Kind kind, ParserLimits limits);
    ~Parser();
    Parser(const Parser&) = delete;
    Parser& operator=(const Parser&) = delete;

    /// Takes bytes up to the end of the head or of the message and returns how many. Feed the rest again; in
    /// kDone and kFailed nothing is taken.
    size_t feed(core::BytesView bytes);
    /// The peer has closed: completes a response that is framed by it; otherwise kFailed unless nothing was
    /// begun.
    void end_of_stream();
    /// Begins the next message; in kDone only.
    void next();
    /// Responses: the request was HEAD, so no body follows whatever the fields say. Before the head is fed.
    void expect_no_body();

    State state() const;
    /// True when bytes of a message have been taken and its head is not complete.
    bool begun() const;
    Head& head();
    /// Body bytes decoded and not yet taken; the taker clears them.
    core::Bytes& body();
    const ParseFailure& failure() const;

 private:
    struct Machine;
    std::unique_ptr<Machine> machine_;
};

/// Rules of RFC 9112 that llhttp leaves to its user: Host, Transfer-Encoding, version. nullopt when all hold.
std::optional<ParseFailure> check_request_head(const Head& head);

}  // namespace smackd::net::http
