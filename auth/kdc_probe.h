// A KDC's sign of life: a question that needs no key, and what the answer tells of the KDC.
//
// The question is an AS request without pre-authentication (RFC 4120 section 5.4.1), as kinit sends it first.
// A KDC answers it with an error that says its time and whether it knows realm and principal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

struct KdcAnswer {
    enum class Says : uint8_t {
        kKnows,             ///< the principal is known (and must prove itself)
        kUnknownPrincipal,  ///< the realm is its own, the principal is not in it
        kWrongRealm,        ///< it is a KDC of another realm
        kOther,             ///< text says what
    };
    Says says = Says::kOther;
    std::optional<int64_t> time_ms{};  ///< the KDC's clock; a KDC that asks for no proof does not tell it
    std::string text{};
};

/// The bytes to send to UDP port 88; for "smack/n1@REALM".
core::Result<core::Bytes> kdc_question(const std::string& principal);
/// kInvalid when it is no answer of a KDC.
core::Result<KdcAnswer> read_kdc_answer(core::BytesView answer);

/// "HOST:PORT" of each `kdc =` that krb5.conf has for the realm; none: DNS is asked for them.
core::Result<std::vector<std::string>> configured_kdcs(const std::string& realm);

}  // namespace smackd::auth
