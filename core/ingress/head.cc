#include "core/ingress/head.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/planted.h"

namespace smackd::core::ingress {
namespace {

/// Characters by kind: bit 0 token (RFC 9110 section 5.6.2), bit 1 field value, bit 2 request target, bit 3
/// host.
constexpr std::array<uint8_t, 256> make_kinds() {
    std::array<uint8_t, 256> kinds{};
    for (int c = 0; c < 256; ++c) {
        const bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool digit = c >= '0' && c <= '9';
        const auto in = [c](std::string_view set) {
            return c != 0 && set.find(static_cast<char>(c)) != set.npos;
        };
        uint8_t kind = 0;
        if (alpha || digit || in("!#$%&'*+-.^_`|~")) kind |= 1;
        if (c == '\t' || (c >= ' ' && c != 127)) kind |= 2;
        if (c > ' ' && c < 127 && c != '#') kind |= 4;
        if (alpha || digit || in("-._~%!$&'()*+,;=")) kind |= 8;
        kinds[static_cast<size_t>(c)] = kind;
    }
    return kinds;
}
constexpr std::array<uint8_t, 256> kKinds = make_kinds();

bool all_of_kind(std::string_view text, uint8_t kind) {
    return std::ranges::all_of(text,
                               [kind](char c) { return (kKinds[static_cast<uint8_t>(c)] & kind) != 0; });
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

struct Known {
    std::string_view name;
    FieldName field;
};
constexpr Known kKnown[] = {{"host", FieldName::kHost},
                            {"connection", FieldName::kConnection},
                            {"content-length", FieldName::kContentLength},
                            {"transfer-encoding", FieldName::kTransferEncoding},
                            {"expect", FieldName::kExpect},
                            {"upgrade", FieldName::kUpgrade},
                            {"keep-alive", FieldName::kHopByHop},
                            {"proxy-connection", FieldName::kHopByHop},
                            {"proxy-authenticate", FieldName::kHopByHop},
                            {"proxy-authorization", FieldName::kHopByHop},
                            {"te", FieldName::kHopByHop},
                            {"trailer", FieldName::kHopByHop},
                            {"cookie", FieldName::kCookie},
                            {"set-cookie", FieldName::kSetCookie},
                            {"authorization", FieldName::kAuthorization},
                            {"x-forwarded-for", FieldName::kForwardedFor},
                            {"x-forwarded-proto", FieldName::kForwardedOther},
                            {"x-forwarded-port", FieldName::kForwardedOther},
                            {"x-forwarded-host", FieldName::kForwardedOther},
                            {"forwarded", FieldName::kForwardedOther}};

// Sizes of the names above, to reject most fields by their length alone.
constexpr uint64_t kKnownSizes = [] {
    uint64_t sizes = 0;
    for (const Known& known : kKnown) sizes |= 1ULL << known.name.size();
    return sizes;
}();

FieldName classify(std::string_view name) {
    if (name.size() > 63 || ((kKnownSizes >> name.size()) & 1) == 0) return FieldName::kOther;
    for (const Known& known : kKnown) {
        if (known.name.size() == name.size() && same_word(known.name, name)) return known.field;
    }
    return FieldName::kOther;
}

template <class Use>
void for_each_word(std::string_view list, Use use) {
    while (!list.empty()) {
        const size_t comma = std::min(list.find(','), list.size());
        const std::string_view word = trim(list.substr(0, comma));
        if (!word.empty()) use(word);
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
}

/// Reads lines of one head; the first broken rule ends it.
class HeadReader {
 public:
    HeadReader(Head& head, HeadFailure& failure) : head_(head), failure_(failure) {}

    HeadState fail(std::string_view reason, int status = 400) {
        failure_ = {status, reason};
        return HeadState::kFailed;
    }
    /// Finds the end of the head; the lines are then complete.
    HeadState frame(BytesView bytes) {
        const size_t end = bytes.find("\r\n\r\n");
        const BytesView seen = bytes.substr(0, end);
        if (end == BytesView::npos) {
            if (bytes.size() > kHeadBytesMax) return fail("the head is longer than 32 KiB", 431);
            return stray_line_end(bytes) ? fail("a line does not end with CR LF") : HeadState::kIncomplete;
        }
        if (seen.size() + 4 > kHeadBytesMax) return fail("the head is longer than 32 KiB", 431);
        head_.bytes = end + 4;
        lines_ = bytes.substr(0, end + 2);
        return HeadState::kComplete;
    }
    BytesView next_line() {
        const size_t end = lines_.find("\r\n");
        const BytesView line = lines_.substr(0, end);
        lines_.remove_prefix(end + 2);
        return line;
    }
    HeadState read_fields() {
        while (!lines_.empty()) {
            if (head_.field_count == kFieldsMax) return fail("more than 100 header fields", 431);
            const BytesView line = next_line();
            const size_t colon = line.find(':');
            if (colon == 0 || colon == BytesView::npos) return fail("a header field without name or colon");
            Field& field = head_.fields[head_.field_count++];
            field.name = line.substr(0, colon);
            // Also refuses white space before the colon and lines that continue the one before (obs-fold).
            if (!all_of_kind(field.name, 1)) return fail("the name of a header field is malformed");
            field.value = trim(line.substr(colon + 1));
            if (!all_of_kind(field.value, 2))
                return fail("the value of a header field has control characters");
            field.known = classify(field.name);
            if (note(field) == HeadState::kFailed) return HeadState::kFailed;
        }
        return finish();
    }

 private:
    /// A line feed without carriage return, or the reverse: some read a line's end there and some do not.
    static bool stray_line_end(BytesView bytes) {
        for (size_t at = bytes.find('\n'); at != BytesView::npos; at = bytes.find('\n', at + 1)) {
            if (at == 0 || bytes[at - 1] != '\r') return true;
        }
        return false;
    }
    HeadState note(const Field& field) {
        switch (field.known) {
            case FieldName::kContentLength:
                return note_length(field.value);
            case FieldName::kTransferEncoding:
                if (codings_++ > 0) return fail("more than one Transfer-Encoding field");
                if (!same_word(field.value, "chunked"))
                    return fail("the only Transfer-Encoding here is chunked", 501);
                head_.chunked = true;
                return HeadState::kComplete;
            case FieldName::kConnection:
                if (!head_.connection.empty()) return fail("more than one Connection field");
                head_.connection = field.value;
                return HeadState::kComplete;
            case FieldName::kUpgrade:
                upgrade_ = true;
                return HeadState::kComplete;
            default:
                return HeadState::kComplete;
        }
    }
    HeadState note_length(std::string_view text) {
        if (head_.content_length) return fail("more than one Content-Length field");
        uint64_t length = 0;
        const bool digits =
            !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
        auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), length);
        if (!digits || error != std::errc() || stop != text.data() + text.size() || length > (1ULL << 62))
            return fail("Content-Length is no number");
        head_.content_length = SMACK_BUG("fuzz_ingress_request") ? length ^ 1 : length;
        return HeadState::kComplete;
    }
    HeadState finish() {
        for_each_word(head_.connection, [&](std::string_view word) {
            head_.close |= same_word(word, "close");
            head_.keep_alive |= same_word(word, "keep-alive");
            head_.upgrade |= same_word(word, "upgrade") && upgrade_;
        });
        const bool both = head_.chunked && head_.content_length;
        if (both) return fail("both Transfer-Encoding and Content-Length");
        if (head_.chunked && head_.minor_version == 0) return fail("Transfer-Encoding in HTTP/1.0");
        return HeadState::kComplete;
    }

    Head& head_;
    HeadFailure& failure_;
    BytesView lines_;
    int codings_ = 0;
    bool upgrade_ = false;
};

void reset(Head& head) {
    head.field_count = 0;
    head.bytes = 0;
    head.minor_version = 1;
    head.content_length.reset();
    head.chunked = head.close = head.keep_alive = head.upgrade = false;
    head.connection = {};
}

/// "HTTP/1.x": the digit, or -1.
int minor_version(std::string_view text) {
    return text.size() == 8 && text.starts_with("HTTP/1.") && (text[7] == '0' || text[7] == '1')
               ? text[7] - '0'
               : -1;
}

/// Takes the host out of "host[:port]" in lower case; false when it is malformed.
bool read_host(RequestHead& head) {
    std::string_view host = head.authority;
    if (host.starts_with('[')) {
        const size_t end = host.find(']');
        if (end == host.npos) return false;
        const std::string_view rest = host.substr(end + 1);
        if (!rest.empty() && rest.front() != ':') return false;
        if (!std::ranges::all_of(host.substr(1, end - 1), [](char c) {
                return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
                       c == ':' || c == '.';
            }))
            return false;
        host = host.substr(0, end + 1);
    } else {
        host = host.substr(0, host.find(':'));
        if (!all_of_kind(host, 8)) return false;
    }
    const std::string_view port = head.authority.substr(host.size());
    if (port.size() > sizeof(":65535") - 1) return false;
    if (!port.empty() && !std::ranges::all_of(port.substr(1), [](char c) { return c >= '0' && c <= '9'; }))
        return false;
    if (host.ends_with('.')) host.remove_suffix(1);
    if (host.empty() || host.size() > kHostBytesMax) return false;
    std::ranges::transform(host, head.host_buffer.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    head.host_size = host.size();
    return true;
}

/// Absolute form becomes origin form; false when it is none of both.
bool read_target(RequestHead& head) {
    std::string_view target = head.target;
    if (target.starts_with('/')) return true;
    if (target == "*") return head.method == "OPTIONS";
    const bool http = target.size() > 7 && same_word(target.substr(0, 7), "http://");
    const bool https = target.size() > 8 && same_word(target.substr(0, 8), "https://");
    if (!http && !https) return false;
    target.remove_prefix(http ? 7 : 8);
    const size_t end = target.find_first_of("/?");
    head.authority = target.substr(0, end);
    head.target = end == target.npos ? std::string_view("/") : target.substr(end);
    return head.target.front() == '/' && head.authority.find('@') == head.authority.npos;
}

HeadState finish_request(RequestHead& head, HeadReader& reader) {
    std::string_view host;
    int hosts = 0;
    for (size_t i = 0; i < head.field_count; ++i) {
        const Field& field = head.fields[i];
        if (field.known == FieldName::kHost) {
            ++hosts;
            host = field.value;
        }
        if (field.known != FieldName::kExpect || head.minor_version == 0) continue;
        if (!same_word(field.value, "100-continue"))
            return reader.fail("the only expectation is 100-continue", 417);
        head.expects_continue = true;
    }
    if (hosts > 1) return reader.fail("more than one Host field");
    if (hosts == 0 && head.minor_version == 1) return reader.fail("the Host field is missing");
    head.authority = host;
    if (!read_target(head)) return reader.fail("the request target is malformed");
    if (head.authority.empty() && head.minor_version == 0) return HeadState::kComplete;
    if (!read_host(head)) return reader.fail("the Host field is malformed");
    return HeadState::kComplete;
}

}  // namespace

bool same_word(std::string_view left, std::string_view right) {
    if (left.size() != right.size()) return false;
    for (size_t i = 0; i < left.size(); ++i) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
        if (lower(left[i]) != lower(right[i])) return false;
    }
    return true;
}

bool Head::is_named_by_connection(std::string_view name) const {
    bool named = false;
    for_each_word(connection, [&](std::string_view word) { named |= same_word(word, name); });
    return named;
}

bool RequestHead::idempotent() const {
    return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
           method == "OPTIONS" || method == "TRACE";
}

HeadState parse_request_head(BytesView bytes, RequestHead& head, HeadFailure& failure) {
    reset(head);
    head.host_size = 0;
    head.authority = {};
    head.expects_continue = false;
    HeadReader reader(head, failure);
    if (const HeadState framed = reader.frame(bytes); framed != HeadState::kComplete) return framed;
    const BytesView line = reader.next_line();
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    if (first == BytesView::npos || first == last) return reader.fail("the request line is malformed");
    head.method = line.substr(0, first);
    head.target = line.substr(first + 1, last - first - 1);
    head.minor_version = minor_version(line.substr(last + 1));
    if (!all_of_kind(head.method, 1) || head.method.empty() || head.method.size() > 32)
        return reader.fail("the method is malformed");
    if (head.target.empty() || !all_of_kind(head.target, 4))
        return reader.fail("the request target is malformed");
    if (head.minor_version < 0) return reader.fail("only HTTP/1.0 and HTTP/1.1 are spoken here", 505);
    if (head.method == "CONNECT") return reader.fail("CONNECT is for proxies", 405);
    if (reader.read_fields() == HeadState::kFailed) return HeadState::kFailed;
    return finish_request(head, reader);
}

HeadState parse_response_head(BytesView bytes, ResponseHead& head, HeadFailure& failure) {
    reset(head);
    HeadReader reader(head, failure);
    if (const HeadState framed = reader.frame(bytes); framed != HeadState::kComplete) return framed;
    const BytesView line = reader.next_line();
    head.minor_version = minor_version(line.substr(0, 8));
    const auto digit = [&](size_t at) { return at < line.size() && line[at] >= '0' && line[at] <= '9'; };
    const bool shaped = line.size() >= 12 && line[8] == ' ' && digit(9) && digit(10) && digit(11) &&
                        (line.size() == 12 || line[12] == ' ');
    if (head.minor_version < 0 || !shaped) return reader.fail("the status line is malformed");
    head.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
    head.reason = line.size() > 13 ? line.substr(13) : BytesView();
    if (head.status < 100 || !all_of_kind(head.reason, 2)) return reader.fail("the status line is malformed");
    return reader.read_fields();
}

}  // namespace smackd::core::ingress
