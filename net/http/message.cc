#include "net/http/message.h"

#include <algorithm>
#include <format>

#include "core/json.h"

namespace smackd::net::http {

using core::Errc;
using core::Result;

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool token_character(char c) {
    bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return letter_or_digit || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

}  // namespace

bool equal_ignoring_case(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right, {}, lower, lower);
}

void Headers::set(std::string_view name, std::string_view value) {
    remove(name);
    add(name, value);
}

void Headers::remove(std::string_view name) {
    std::erase_if(fields_, [&](const Field& field) { return equal_ignoring_case(field.first, name); });
}

const std::string* Headers::find(std::string_view name) const {
    for (const Field& field : fields_) {
        if (equal_ignoring_case(field.first, name)) return &field.second;
    }
    return nullptr;
}

std::string_view Headers::get(std::string_view name) const {
    const std::string* value = find(name);
    return value == nullptr ? std::string_view() : std::string_view(*value);
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const Field& field : fields_) {
        if (equal_ignoring_case(field.first, name)) values.emplace_back(field.second);
    }
    return values;
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
    for (std::string_view value : all(name)) {
        while (!value.empty()) {
            size_t comma = std::min(value.find(','), value.size());
            if (equal_ignoring_case(trim(value.substr(0, comma)), token)) return true;
            value.remove_prefix(std::min(comma + 1, value.size()));
        }
    }
    return false;
}

bool valid_field_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, token_character);
}

bool valid_field_value(std::string_view value) {
    return std::ranges::none_of(value, [](char c) {
        auto byte = static_cast<unsigned char>(c);
        return (byte < 0x20 && c != '\t') || byte == 0x7f;
    });
}

Task<Result<core::Bytes>> BodyReader::read_all(size_t limit) {
    core::Bytes all;
    std::string piece(std::min<size_t>(limit + 1, 64 * 1024), '\0');
    for (;;) {
        CO_TRY_ASSIGN(size_t count, co_await read(piece.data(), piece.size()));
        if (count == 0) break;
        all.append(piece, 0, count);
        if (all.size() > limit)
            co_return core::fail(Errc::kInvalid, "the body is longer than {} bytes", limit);
    }
    co_return all;
}

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out.push_back(' ');
        } else if (text[i] != '%') {
            out.push_back(text[i]);
        } else {
            bool whole = text.size() - i > 2;
            int high = whole ? hex_digit(text[i + 1]) : -1;
            int low = whole ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) return core::fail(Errc::kInvalid, "target: '%' without two hex digits");
            out.push_back(static_cast<char>(high * 16 + low));
            i += 2;
        }
    }
    return out;
}

Result<std::string> normalise_path(std::string_view raw) {
    TRY_ASSIGN(std::string decoded, percent_decode(raw, false));
    if (!valid_field_value(decoded) || decoded.find('\t') != std::string::npos) {
        return core::fail(Errc::kInvalid, "target: a control character in the path");
    }
    std::string path;
    std::string_view rest = decoded;
    while (!rest.empty()) {
        size_t slash = std::min(rest.find('/'), rest.size());
        std::string_view component = rest.substr(0, slash);
        rest.remove_prefix(std::min(slash + 1, rest.size()));
        if (component.empty()) continue;
        if (component == "." || component == "..") {
            return core::fail(Errc::kInvalid, "target: '{}' as a path component", component);
        }
        path.append("/").append(component);
    }
    if (path.empty()) path = "/";
    return path;
}

Result<std::vector<QueryPair>> parse_query(std::string_view raw) {
    std::vector<QueryPair> pairs;
    while (!raw.empty()) {
        size_t end = std::min(raw.find('&'), raw.size());
        std::string_view pair = raw.substr(0, end);
        raw.remove_prefix(std::min(end + 1, raw.size()));
        if (pair.empty()) continue;
        size_t equals = std::min(pair.find('='), pair.size());
        TRY_ASSIGN(std::string name, percent_decode(pair.substr(0, equals), true));
        TRY_ASSIGN(std::string value, percent_decode(pair.substr(std::min(equals + 1, pair.size())), true));
        pairs.emplace_back(std::move(name), std::move(value));
    }
    return pairs;
}

/// The origin-form within an absolute-form target (RFC 9112 section 3.2.2); others stay as they are.
std::string_view without_authority(std::string_view raw) {
    for (std::string_view scheme : {"http://", "https://"}) {
        if (raw.size() < scheme.size() || !equal_ignoring_case(raw.substr(0, scheme.size()), scheme))
            continue;
        std::string_view rest = raw.substr(scheme.size());
        size_t path = std::min(rest.find_first_of("/?"), rest.size());
        return rest.substr(path);
    }
    return raw;
}

}  // namespace

Result<Target> parse_target(std::string_view raw) {
    std::string_view origin = without_authority(raw);
    bool absolute = origin.size() != raw.size();
    if (raw.empty() || (!absolute && raw[0] != '/' && raw != "*")) {
        return core::fail(Errc::kInvalid, "target: must begin with '/'");
    }
    if (origin.find('#') != std::string_view::npos)
        return core::fail(Errc::kInvalid, "target: has a fragment");
    size_t mark = std::min(origin.find('?'), origin.size());
    Target target;
    TRY_ASSIGN(target.path, normalise_path(raw == "*" ? "/" : origin.substr(0, mark)));
    TRY_ASSIGN(target.query, parse_query(origin.substr(std::min(mark + 1, origin.size()))));
    return target;
}

std::optional<std::string_view> Target::query_value(std::string_view name) const {
    for (const QueryPair& pair : query) {
        if (pair.first == name) return pair.second;
    }
    return std::nullopt;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    for (char c : text) {
        auto byte = static_cast<unsigned char>(c);
        bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          std::string_view("-._~").find(c) != std::string_view::npos;
        if (unreserved) {
            out.push_back(c);
        } else {
            out.push_back('%');
            out.push_back(kDigits[byte >> 4]);
            out.push_back(kDigits[byte & 15]);
        }
    }
    return out;
}

namespace {

Response with_type(int status, std::string_view type, std::string body) {
    Response response;
    response.status = status;
    response.headers.add("Content-Type", type);
    response.body = std::move(body);
    return response;
}

}  // namespace

Response Response::text(int status, std::string_view text) {
    return with_type(status, "text/plain; charset=utf-8", std::string(text));
}
Response Response::json(int status, std::string body) {
    return with_type(status, "application/json", std::move(body));
}
Response Response::html(std::string body) {
    return with_type(200, "text/html; charset=utf-8", std::move(body));
}

Response Response::error(const core::Error& error) {
    core::Json body = core::Json::object();
    body.set("error", core::errc_name(error.code)).set("message", error.message);
    Response response = json(core::http_status(error.code), body.dump());
    if (error.retry_after_ms > 0) {
        response.headers.add("Retry-After", std::to_string((error.retry_after_ms + 999) / 1000));
    }
    return response;
}

std::string_view reason_phrase(int status) {
    switch (status) {
        case 100:
            return "Continue";
        case 101:
            return "Switching Protocols";
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 206:
            return "Partial Content";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 421:
            return "Misdirected Request";
        case 422:
            return "Unprocessable Content";
        case 426:
            return "Upgrade Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 502:
            return "Bad Gateway";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        case 507:
            return "Insufficient Storage";
        default:
            return "Unknown";
    }
}

}  // namespace smackd::net::http
