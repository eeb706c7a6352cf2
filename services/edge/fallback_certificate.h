// A certificate for HTTPS listeners while the table has none, as before a node has reached a server: nobody
// trusts it, but the way is encrypted (marathon-lb does the same).
#pragma once

#include <string>

#include "core/clock.h"
#include "core/result.h"

namespace smackd::edge {

struct FallbackCertificate {
    std::string chain_pem;
    std::string key_pem;
};

/// Self-signed, with a fresh key, valid for a year from `now`.
core::Result<FallbackCertificate> make_fallback_certificate(core::WallTime now);

}  // namespace smackd::edge
