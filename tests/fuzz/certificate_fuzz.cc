// Certificates and certificate requests as a peer may send them: names that come out are clean text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/assert.h"
#include "net/crypto/certificate.h"

using namespace smackd;
namespace crypto = net::crypto;

namespace {

constexpr size_t kNamesMax = 64;  // kAltNamesMax, in a header that is private to net/crypto

void check(const crypto::AltNames& names) {
    SMACK_ASSERT(names.dns.size() + names.uris.size() + names.ips.size() <= kNamesMax);
    for (const auto* list : {&names.dns, &names.uris}) {
        for (const std::string& name : *list) {
            SMACK_ASSERT(std::ranges::all_of(name, [](char c) { return c > ' ' && c < 0x7f; }));
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (const auto certificate = crypto::parse_certificate(bytes)) {
        check(certificate->names);
        const auto again = crypto::parse_certificate(certificate->pem);
        SMACK_ASSERT(again && again->der == certificate->der);
    }
    if (const auto request = crypto::parse_request(bytes)) check(request->names);
    return 0;
}
