#include "net/http/parser.h"

#include <llhttp.h>

#include <algorithm>

#include "core/assert.h"
#include "core/planted.h"

namespace smackd::net::http {

struct Parser::Machine {
    Machine(Kind of, ParserLimits with) : kind(of), limits(with) {
        settings = callbacks();
        llhttp_init(&parser, kind == Kind::kRequest ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
        parser.data = this;
    }

    static llhttp_settings_t callbacks();
    static Machine& of(llhttp_t* parser) { return *static_cast<Machine*>(parser->data); }

    int fail(int status, std::string reason) {
        failure = {status, std::move(reason)};
        state = State::kFailed;
        return HPE_USER;
    }
    int count_head(size_t bytes) {
        head_bytes += bytes;
        if (head_bytes <= limits.head_bytes) return 0;
        return fail(431, std::format("the head is longer than {} bytes", limits.head_bytes));
    }
    int end_field();
    int end_head();
    int add_body(core::BytesView piece);

    Kind kind;
    ParserLimits limits;
    llhttp_settings_t settings{};
    llhttp_t parser{};
    State state = State::kHead;
    ParseFailure failure;
    Head head;
    core::Bytes body;
    std::string name;
    std::string value;
    size_t head_bytes = 0;      // of target, names and values
    size_t raw_head_bytes = 0;  // fed while the head was not complete
    size_t fields = 0;
    uint64_t body_bytes = 0;
    size_t extension_bytes = 0;
    bool begun = false;
    bool no_body = false;
};

namespace {

// llhttp resets the framing flags at the end of a message, so what is needed of them is copied at the head's
// end.
constexpr int kPause = HPE_PAUSED;

}  // namespace

int Parser::Machine::end_field() {
    if (++fields > limits.headers)
        return fail(431, std::format("more than {} header fields", limits.headers));
    // Trailers (RFC 9110 section 6.5) are counted and dropped: no rule here depends on one.
    if (state == State::kHead) head.headers.add(name, value);
    name.clear();
    value.clear();
    return 0;
}

int Parser::Machine::end_head() {
    parser.upgrade = 0;  // no protocol is switched to: the message is what its framing says
    head.minor_version = parser.http_minor;
    head.status = parser.status_code;
    head.keep_alive = llhttp_should_keep_alive(&parser) != 0;
    head.chunked = (parser.flags & F_CHUNKED) != 0;
    if ((parser.flags & F_CONTENT_LENGTH) != 0) head.content_length = parser.content_length;
    if (parser.http_major != 1) return fail(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    if (kind == Kind::kRequest) {
        head.method = llhttp_method_name(static_cast<llhttp_method_t>(parser.method));
        head.expects_continue =
            head.minor_version > 0 && equal_ignoring_case(head.headers.get("expect"), "100-continue");
        if (auto wrong = check_request_head(head)) return fail(wrong->status, std::move(wrong->reason));
    }
    if (head.content_length.value_or(0) > limits.body_bytes && !no_body) {
        return fail(413, std::format("the body is longer than {} bytes", limits.body_bytes));
    }
    head.has_body =
        !no_body && (kind == Kind::kResponse ? llhttp_message_needs_eof(&parser) != 0 || head.chunked ||
                                                   head.content_length.value_or(0) > 0
                                             : head.chunked || head.content_length.value_or(0) > 0);
    state = State::kBody;
    return no_body ? 1 : 0;
}

int Parser::Machine::add_body(core::BytesView piece) {
    body_bytes += piece.size();
    if (body_bytes > limits.body_bytes) {
        return fail(413, std::format("the body is longer than {} bytes", limits.body_bytes));
    }
    if (SMACK_BUG("fuzz_http_body") && piece.size() > 4) piece.remove_suffix(1);
    body.append(piece);
    return 0;
}

llhttp_settings_t Parser::Machine::callbacks() {
    llhttp_settings_t s{};
    llhttp_settings_init(&s);
    s.on_message_begin = [](llhttp_t* p) {
        of(p).begun = true;
        return 0;
    };
    s.on_url = [](llhttp_t* p, const char* at, size_t length) {
        of(p).head.target.append(at, length);
        return of(p).count_head(length);
    };
    s.on_header_field = [](llhttp_t* p, const char* at, size_t length) {
        of(p).name.append(at, length);
        return of(p).count_head(length);
    };
    s.on_header_value = [](llhttp_t* p, const char* at, size_t length) {
        if (SMACK_BUG("fuzz_http_head")) of(p).value.clear();
        of(p).value.append(at, length);
        return of(p).count_head(length);
    };
    s.on_header_value_complete = [](llhttp_t* p) { return of(p).end_field(); };
    s.on_headers_complete = [](llhttp_t* p) { return of(p).end_head(); };
    s.on_body = [](llhttp_t* p, const char* at, size_t length) {
        return of(p).add_body(core::BytesView(at, length));
    };
    auto extension = [](llhttp_t* p, const char*, size_t length) {
        Machine& machine = of(p);
        machine.extension_bytes += length;
        if (machine.extension_bytes <= kChunkExtensionBytesMax) return 0;
        return machine.fail(
            400, std::format("chunk extensions are longer than {} bytes", kChunkExtensionBytesMax));
    };
    s.on_chunk_extension_name = extension;
    s.on_chunk_extension_value = extension;
    s.on_message_complete = [](llhttp_t* p) {
        of(p).state = State::kDone;
        return kPause;  // what follows belongs to the next message
    };
    return s;
}

Parser::Parser(Kind kind, ParserLimits limits) : machine_(std::make_unique<Machine>(kind, limits)) {}
Parser::~Parser() = default;

size_t Parser::feed(core::BytesView bytes) {
    Machine& m = *machine_;
    if (m.state == State::kDone || m.state == State::kFailed || bytes.empty()) return 0;
    bool in_head = m.state == State::kHead;
    llhttp_errno_t error = llhttp_execute(&m.parser, bytes.data(), bytes.size());
    if (m.state == State::kFailed) return 0;
    size_t taken = bytes.size();
    if (error == HPE_PAUSED) {
        taken = static_cast<size_t>(llhttp_get_error_pos(&m.parser) - bytes.data());
    } else if (error != HPE_OK) {
        m.fail(400, std::string("malformed HTTP: ") + llhttp_get_error_reason(&m.parser));
        return 0;
    }
    // What no callback sees (empty lines before the message) counts as well, so that nobody sends it for
    // ever.
    if (in_head && m.state == State::kHead && (m.raw_head_bytes += taken) > 2 * m.limits.head_bytes) {
        m.fail(431, std::format("the head is longer than {} bytes", m.limits.head_bytes));
    }
    return taken;
}

void Parser::end_of_stream() {
    Machine& m = *machine_;
    if (m.state == State::kDone || m.state == State::kFailed) return;
    if (m.state == State::kHead && !m.begun) return;
    llhttp_errno_t error = llhttp_finish(&m.parser);
    if (error == HPE_PAUSED && m.state == State::kDone) return;
    if (error != HPE_OK || m.state != State::kDone) m.fail(400, "the connection ended inside a message");
}

void Parser::next() {
    Machine& m = *machine_;
    SMACK_ASSERT(m.state == State::kDone);
    llhttp_reset(&m.parser);
    m.state = State::kHead;
    m.head = Head{};
    m.body.clear();
    m.head_bytes = m.raw_head_bytes = m.fields = m.extension_bytes = 0;
    m.body_bytes = 0;
    m.begun = m.no_body = false;
}

void Parser::expect_no_body() {
    machine_->no_body = true;
}
Parser::State Parser::state() const {
    return machine_->state;
}
bool Parser::begun() const {
    return machine_->begun && machine_->state == State::kHead;
}
Head& Parser::head() {
    return machine_->head;
}
core::Bytes& Parser::body() {
    return machine_->body;
}
const ParseFailure& Parser::failure() const {
    return machine_->failure;
}

namespace {

constexpr size_t kHostFieldBytesMax = 255 + sizeof(".:65535") - 1;  // a name, its last dot, a port

/// uri-host [":" port] (RFC 9110 section 7.2): only the characters that can stand there.
bool valid_host(std::string_view host) {
    auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-._~:[]%!$&'()*+,;=").find(c) != std::string_view::npos;
    };
    return host.size() <= kHostFieldBytesMax && std::ranges::all_of(host, allowed);
}

}  // namespace

std::optional<ParseFailure> check_request_head(const Head& head) {
    const Headers& headers = head.headers;
    std::vector<std::string_view> hosts = headers.all("host");
    if (hosts.size() > 1) return ParseFailure{400, "more than one Host field"};
    if (hosts.empty() && head.minor_version >= 1) return ParseFailure{400, "the Host field is missing"};
    if (!hosts.empty() && !valid_host(hosts[0])) return ParseFailure{400, "the Host field is malformed"};
    std::vector<std::string_view> codings = headers.all("transfer-encoding");
    if (codings.size() > 1) return ParseFailure{400, "more than one Transfer-Encoding field"};
    if (!codings.empty() && head.minor_version == 0)
        return ParseFailure{400, "Transfer-Encoding in HTTP/1.0"};
    if (!codings.empty() && !equal_ignoring_case(codings[0], "chunked")) {
        return ParseFailure{501, "the only Transfer-Encoding understood is chunked"};
    }
    if (!codings.empty() && headers.has("content-length")) {
        return ParseFailure{400, "both Transfer-Encoding and Content-Length"};
    }
    if (headers.all("content-length").size() > 1)
        return ParseFailure{400, "more than one Content-Length field"};
    if (headers.has("expect") && !head.expects_continue && head.minor_version > 0)
        return ParseFailure{417, "the only expectation is 100-continue"};
    if (head.method == "CONNECT") return ParseFailure{400, "CONNECT is for proxies"};
    return std::nullopt;
}

}  // namespace smackd::net::http
