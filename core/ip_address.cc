#include "core/ip_address.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>
#include <functional>

#include "core/assert.h"

namespace smackd::core {
namespace {

constexpr std::string_view kMappedPrefix{"\0\0\0\0\0\0\0\0\0\0\xff\xff", 12};

bool bit(BytesView bytes, unsigned index) {
    return ((static_cast<uint8_t>(bytes[index / 8]) >> (7 - index % 8)) & 1) != 0;
}

}  // namespace

IpAddress IpAddress::from_bytes(BytesView bytes) {
    SMACK_ASSERT(bytes.size() == 4 || bytes.size() == 16);
    if (bytes.size() == 16 && bytes.starts_with(kMappedPrefix)) bytes.remove_prefix(kMappedPrefix.size());
    IpAddress address;
    std::memcpy(address.bytes_.data(), bytes.data(), bytes.size());
    address.size_ = static_cast<uint8_t>(bytes.size());
    return address;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
    char buffer[16];
    const std::string terminated(text);
    if (text.find('\0') == std::string_view::npos) {
        if (inet_pton(AF_INET, terminated.c_str(), buffer) == 1) return from_bytes({buffer, 4});
        if (inet_pton(AF_INET6, terminated.c_str(), buffer) == 1) return from_bytes({buffer, 16});
    }
    return fail(Errc::kInvalid, "'{}' is no IP address", text);
}

std::string IpAddress::to_string() const {
    char text[INET6_ADDRSTRLEN] = {};
    if (size_ == 0) return "";
    inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes_.data(), text, sizeof text);
    return text;
}

bool IpAddress::is_loopback() const {
    if (is_v4()) return bytes_[0] == 127;
    return bytes() == BytesView("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
}

Result<IpNetwork> IpNetwork::parse(std::string_view text) {
    const size_t slash = text.find('/');
    IpNetwork network;
    auto base = IpAddress::parse(text.substr(0, slash));
    if (!base) return fail(Errc::kInvalid, "'{}' is no network: write ADDRESS/BITS", text);
    network.base_ = *base;
    const auto most = static_cast<unsigned>(base->bytes().size() * 8);
    network.prefix_bits_ = most;
    if (slash == std::string_view::npos) return network;
    const std::string_view bits = text.substr(slash + 1);
    auto [stop, error] = std::from_chars(bits.data(), bits.data() + bits.size(), network.prefix_bits_);
    if (bits.empty() || error != std::errc() || stop != bits.data() + bits.size() ||
        network.prefix_bits_ > most)
        return fail(Errc::kInvalid, "'{}': the bits of a network are a number from 0 to {}", text, most);
    return network;
}

bool IpNetwork::contains(const IpAddress& address) const {
    if (address.bytes().size() != base_.bytes().size()) return false;
    const size_t whole = prefix_bits_ / 8;
    if (address.bytes().substr(0, whole) != base_.bytes().substr(0, whole)) return false;
    for (auto i = static_cast<unsigned>(whole * 8); i < prefix_bits_; ++i) {
        if (bit(address.bytes(), i) != bit(base_.bytes(), i)) return false;
    }
    return true;
}

size_t IpAddressHash::operator()(const IpAddress& address) const {
    return std::hash<std::string_view>()(address.bytes());
}

}  // namespace smackd::core
