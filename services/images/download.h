// download(): one URL into one file, by a confined child (`smackd fetch`) that has no network of its own.
//
// The child speaks TLS and HTTP, and asks us for each connection. We resolve, check the address, connect and
// hand the socket over: whoever takes the child over reaches nothing that the rules forbid.
#pragma once

#include <atomic>
#include <string>

#include "core/result.h"
#include "core/units.h"
#include "services/images/address_rules.h"
#include "services/images/url.h"

namespace smackd::services::images {

struct DownloadPlan {
    std::string program;
    Url url;
    std::string ca_pem;  ///< who signs servers' certificates; empty: https is refused
    int file = -1;       ///< empty, open for writing
    uint64_t bytes_max = 0;
    std::string etag{};  ///< of what the caller has: sent as If-None-Match
    core::Duration limit = std::chrono::minutes(30);
};

struct Downloaded {
    bool unchanged = false;  ///< 304: the caller's is still right
    std::string etag;
    uint64_t bytes = 0;
};

/// Blocks. kNotFound, kDenied (401, 403, address rules), kUnavailable, kTimeout, kCancelled, kCorrupt (cut
/// short), kInvalid (too long).
core::Result<Downloaded> download(const DownloadPlan& plan, const AddressRules& rules,
                                  const std::atomic<bool>& cancelled);

/// `smackd fetch`: descriptor 3 is the way to ask for connections, 4 the CA certificates, 5 the file.
int fetch_main();

}  // namespace smackd::services::images
