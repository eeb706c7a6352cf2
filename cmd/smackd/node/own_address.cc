#include "cmd/smackd/node/own_address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "cmd/smackd/config.h"

namespace smackd::cmd {

namespace {

constexpr std::string_view kOurBridges = "smk";

std::string text_of(const sockaddr* address) {
    char text[INET_ADDRSTRLEN] = {};
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return text;
}

/// The source address of the default route; nothing is sent. Empty without such a route.
std::string default_source() {
    const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return "";
    sockaddr_in out{};
    out.sin_family = AF_INET;
    out.sin_port = htons(53);
    ::inet_pton(AF_INET, "192.0.2.1", &out.sin_addr);  // documentation (RFC 5737): somewhere outside
    sockaddr_in own{};
    socklen_t length = sizeof own;
    const bool found = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&out), sizeof out) == 0 &&
                       ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &length) == 0;
    ::close(descriptor);
    return found ? text_of(reinterpret_cast<const sockaddr*>(&own)) : "";
}

}  // namespace

std::vector<std::string> interface_addresses() {
    std::vector<std::string> all;
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) return all;
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owned(first, ::freeifaddrs);
    for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
        const bool fits = one->ifa_addr != nullptr && one->ifa_addr->sa_family == AF_INET &&
                          (one->ifa_flags & IFF_UP) != 0 &&
                          !std::string_view(one->ifa_name).starts_with(kOurBridges);
        if (fits) all.push_back(text_of(one->ifa_addr));
    }
    return all;
}

std::vector<std::string> addresses_of_name(const std::string& host) {
    std::vector<std::string> all;
    addrinfo hints{};
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* first = nullptr;
    if (host.empty() || ::getaddrinfo(host.c_str(), nullptr, &hints, &first) != 0) return all;
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(first, ::freeaddrinfo);
    for (const addrinfo* one = first; one != nullptr; one = one->ai_next)
        all.push_back(text_of(one->ai_addr));
    return all;
}

std::string choose_address(const std::vector<std::string>& wanted, const std::vector<std::string>& own) {
    const auto fits = [](const std::string& address) { return !address.starts_with("127."); };
    for (const std::string& address : wanted) {
        if (fits(address) && std::ranges::find(own, address) != own.end()) return address;
    }
    const auto first = std::ranges::find_if(own, fits);
    return first == own.end() ? "" : *first;
}

std::string find_own_address(const std::string& advertised) {
    std::vector<std::string> wanted = addresses_of_name(host_of(advertised));
    wanted.push_back(default_source());
    return choose_address(wanted, interface_addresses());
}

}  // namespace smackd::cmd
