// The conditions a request carries beside its body: expected versions, idempotency, how fresh a read must be.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/ids.h"
#include "core/result.h"
#include "core/units.h"
#include "core/wire/command.pb.h"
#include "net/http/message.h"

namespace smackd::services {

inline constexpr size_t kIdempotencyKeyBytesMax = 128;
inline constexpr core::milliseconds kReadWaitDefault{5000};  ///< for min_revision without wait_ms
inline constexpr core::milliseconds kReadWaitMax{30000};

/// Which version of the row a write was decided on.
struct WriteConditions {
    std::optional<core::Revision> version;  ///< If-Match: "3.42" or ?if_version=3.42
    bool must_be_absent = false;            ///< If-None-Match: *, and POST

    /// kInvalid when malformed, or when both forms are given and differ.
    static core::Result<WriteConditions> of(const net::http::Request& request);
    /// Adds the Expect for the row `key` of `kind`. kConflict for a version of another epoch than `now`'s.
    core::Result<void> apply_to(wire::Command& command, std::string_view kind, std::string_view key,
                                core::Revision now) const;
};

/// How fresh a read must be.
struct ReadConditions {
    std::optional<core::Revision> min_revision;
    core::milliseconds wait = kReadWaitDefault;
    bool consistent = false;

    /// ?min_revision=3.42&wait_ms=5000&consistent=true; kInvalid names the parameter.
    static core::Result<ReadConditions> of(const net::http::Request& request);
};

/// What makes a command apply once: derived from who asks, the Idempotency-Key and the request it came with,
/// so that a retry is the same and anything else is not. (0, 0) without a key. kInvalid for a key that is too
/// long or has control characters.
struct Idempotency {
    uint64_t client = 0;
    uint64_t sequence = 0;
    static core::Result<Idempotency> of(const net::http::Request& request, std::string_view principal,
                                        core::BytesView body);
};

/// A whole number in [low, high] from the query; the fallback when absent.
core::Result<int64_t> query_integer(const net::http::Request& request, std::string_view name,
                                    int64_t fallback, int64_t low, int64_t high);
/// "true"/"1" or "false"/"0".
core::Result<bool> query_flag(const net::http::Request& request, std::string_view name);

}  // namespace smackd::services
