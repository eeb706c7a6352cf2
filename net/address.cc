#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <uv.h>

#include <charconv>
#include <cstring>
#include <format>

#include "net/scope.h"
#include "net/wait.h"

namespace smackd::net {

namespace {

core::Result<uint16_t> parse_port(std::string_view text, std::string_view whole) {
    uint16_t port = 0;
    const char* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, port);
    if (text.empty() || error != std::errc() || stop != end) {
        return core::fail(core::Errc::kInvalid, "address '{}': the port is a number from 0 to 65535", whole);
    }
    return port;
}

}  // namespace

core::Result<HostPort> parse_host_port(std::string_view text) {
    size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return core::fail(core::Errc::kInvalid, "address '{}' has no port: write HOST:PORT", text);
    }
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[')) {
        if (!host.ends_with(']')) {
            return core::fail(core::Errc::kInvalid, "address '{}': '[' without ']' before the port", text);
        }
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return core::fail(core::Errc::kInvalid, "address '{}': write an IPv6 address as [ADDRESS]:PORT",
                          text);
    }
    if (host.size() > 253 || host.find('\0') != std::string_view::npos) {
        return core::fail(core::Errc::kInvalid, "address '{}': the host is longer than 253 bytes", text);
    }
    TRY_ASSIGN(uint16_t port, parse_port(text.substr(colon + 1), text));
    return HostPort{std::string(host), port};
}

core::Result<Address> Address::parse(std::string_view text) {
    TRY_ASSIGN(HostPort parts, parse_host_port(text));
    if (parts.host.empty()) parts.host = "::";
    Address address;
    sockaddr_in v4{};
    sockaddr_in6 v6{};
    if (uv_ip4_addr(parts.host.c_str(), parts.port, &v4) == 0) {
        std::memcpy(&address.storage_, &v4, sizeof v4);
    } else if (uv_ip6_addr(parts.host.c_str(), parts.port, &v6) == 0) {
        std::memcpy(&address.storage_, &v6, sizeof v6);
    } else {
        return core::fail(core::Errc::kInvalid, "address '{}': the host must be an IP address", text);
    }
    return address;
}

Address Address::from_sockaddr(const sockaddr* from) {
    Address address;
    size_t size = from->sa_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    std::memcpy(&address.storage_, from, size);
    return address;
}

const sockaddr* Address::raw() const {
    return reinterpret_cast<const sockaddr*>(&storage_);
}

std::string Address::host() const {
    char text[INET6_ADDRSTRLEN] = {};
    if (storage_.ss_family != AF_INET && storage_.ss_family != AF_INET6) return "";
    uv_ip_name(raw(), text, sizeof text);
    std::string_view view = text;
    // A dual-stack listener sees IPv4 clients as mapped addresses (RFC 4291 section 2.5.5.2); people know
    // them as IPv4.
    constexpr std::string_view kMapped = "::ffff:";
    if (view.starts_with(kMapped) && view.find('.') != std::string_view::npos)
        view.remove_prefix(kMapped.size());
    return std::string(view);
}

uint16_t Address::port() const {
    if (storage_.ss_family == AF_INET6)
        return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
    return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
}

std::string Address::to_string() const {
    std::string name = host();
    bool brackets = name.find(':') != std::string::npos;
    return brackets ? std::format("[{}]:{}", name, port()) : std::format("{}:{}", name, port());
}

bool Address::is_loopback() const {
    std::string name = host();
    return name.starts_with("127.") || name == "::1";
}

namespace {

using Addresses = std::vector<Address>;

/// One look-up. It is shared: libuv's thread may answer long after the waiter gave up.
struct Lookup {
    uv_getaddrinfo_t request{};
    Loop* loop = nullptr;
    Wait<Addresses>* waiter = nullptr;  // nullptr once it gave up
    std::string host;
    uint16_t port = 0;
};

core::Result<Addresses> collect(const Lookup& lookup, int status, const addrinfo* found) {
    if (status < 0) {
        return core::fail(core::Errc::kNotFound, "cannot resolve host '{}': {}", lookup.host,
                          uv_strerror(status));
    }
    Addresses addresses;
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6) continue;
        addresses.push_back(Address::from_sockaddr(at->ai_addr));
    }
    if (addresses.empty()) return core::fail(core::Errc::kNotFound, "host '{}' has no address", lookup.host);
    return addresses;
}

void on_resolved(uv_getaddrinfo_t* request, int status, addrinfo* found) {
    std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(request->data));
    Loop::Section section(*lookup->loop, "resolve");
    if (lookup->waiter != nullptr) lookup->waiter->complete(collect(*lookup, status, found));
    uv_freeaddrinfo(found);
}

Task<core::Result<Addresses>> look_up(Loop& loop, std::string host, uint16_t port) {
    Wait<Addresses> wait(loop);
    auto lookup = std::make_unique<Lookup>();
    lookup->request.data = lookup.get();
    lookup->loop = &loop;
    lookup->waiter = &wait;
    lookup->host = host;
    lookup->port = port;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    std::string service = std::to_string(port);
    int status =
        uv_getaddrinfo(loop.raw(), &lookup->request, on_resolved, host.c_str(), service.c_str(), &hints);
    if (status < 0)
        co_return core::fail(core::Errc::kIo, "cannot resolve '{}': {}", host, uv_strerror(status));
    Lookup* running = lookup.release();  // on_resolved frees it
    auto result = co_await wait;
    bool answered = result.has_value() || result.error().code == core::Errc::kNotFound;
    if (!answered) running->waiter = nullptr;  // cancelled: still running
    co_return result;
}

}  // namespace

Task<core::Result<Addresses>> resolve(Loop& loop, std::string host, uint16_t port, core::Duration limit) {
    bool v6 = host.find(':') != std::string::npos;
    auto address = Address::parse(v6 ? std::format("[{}]:{}", host, port) : std::format("{}:{}", host, port));
    if (address && !host.empty()) co_return Addresses{*address};
    if (host.empty()) co_return core::fail(core::Errc::kInvalid, "the host name is empty");
    std::string what = std::format("resolving '{}'", host);
    co_return co_await with_deadline(loop, limit, std::move(what), look_up(loop, std::move(host), port));
}

}  // namespace smackd::net
