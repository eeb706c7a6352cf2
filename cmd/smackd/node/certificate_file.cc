#include "cmd/smackd/node/certificate_file.h"

#include <algorithm>
#include <vector>

#include "core/ascii.h"
#include "net/crypto/certificate.h"
#include "net/tls/config.h"

namespace smackd::cmd {
namespace {

using core::Errc;
using core::fail;
using core::Result;

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr std::string_view kEnd = "-----END ";
constexpr std::string_view kDashes = "-----";

/// A PEM block (RFC 7468) with its label.
struct Block {
    std::string_view label;
    std::string_view text;
};

Result<std::vector<Block>> blocks_of(std::string_view text) {
    std::vector<Block> blocks;
    while (true) {
        const size_t begin = text.find(kBegin);
        if (begin == std::string_view::npos) return blocks;
        text.remove_prefix(begin);
        const std::string_view label = text.substr(kBegin.size(), text.find('\n') - kBegin.size());
        const size_t dashes = label.find(kDashes);
        if (dashes == std::string_view::npos)
            return fail(Errc::kInvalid, "a PEM block has no end of its label");
        const std::string end = std::string(kEnd) + std::string(label.substr(0, dashes + kDashes.size()));
        const size_t last = text.find(end);
        if (last == std::string_view::npos)
            return fail(Errc::kInvalid, "PEM block '{}' has no end", label.substr(0, dashes));
        const size_t size = last + end.size();
        blocks.push_back({label.substr(0, dashes), text.substr(0, size)});
        text.remove_prefix(size);
    }
}

}  // namespace

Result<wire::EdgeCertificate> parse_certificate_file(std::string_view text) {
    if (text.size() > kCertificateFileBytesMax)
        return fail(Errc::kInvalid, "has {} bytes, the limit is {}", text.size(), kCertificateFileBytesMax);
    TRY_ASSIGN(const std::vector<Block> blocks, blocks_of(text));
    wire::EdgeCertificate certificate;
    std::string leaf;
    for (const Block& block : blocks) {
        const std::string pem = std::string(block.text) + "\n";
        if (block.label == "CERTIFICATE") {
            if (leaf.empty()) leaf = pem;
            certificate.mutable_chain_pem()->append(pem);
        } else if (block.label.ends_with("PRIVATE KEY")) {
            if (!certificate.key_pem().empty()) return fail(Errc::kInvalid, "has more than one private key");
            certificate.set_key_pem(pem);
        }
    }
    if (leaf.empty()) return fail(Errc::kInvalid, "has no certificate (PEM, the server's first)");
    if (certificate.key_pem().empty())
        return fail(Errc::kInvalid, "has no private key (PEM, beside the certificates)");
    TRY_ASSIGN(const net::crypto::Certificate read, net::crypto::parse_certificate(leaf));
    for (const std::string& name : read.names.dns) certificate.add_server_names(core::ascii_lower(name));
    if (read.names.dns.empty() && !read.common_name.empty())
        certificate.add_server_names(core::ascii_lower(read.common_name));
    net::TlsServerOptions works;
    works.certificate_pem = certificate.chain_pem();
    works.key_pem = certificate.key_pem();
    if (auto config = net::TlsConfig::server(std::move(works)); !config)
        return core::pass(std::move(config), "certificate and key");
    return certificate;
}

bool covers(const wire::EdgeCertificate& certificate, std::string_view host) {
    const size_t dot = host.find('.');
    return std::ranges::any_of(certificate.server_names(), [&](std::string_view name) {
        if (name == host) return true;
        return name.starts_with("*.") && dot != std::string_view::npos && dot != 0 &&
               name.substr(1) == host.substr(dot);
    });
}

}  // namespace smackd::cmd
