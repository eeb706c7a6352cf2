// Result and Error: how everything the outside world can do wrong travels.
//
// An Error has a small semantic code (one table maps codes to HTTP and exit codes) and one English
// sentence that a person can act on. Layers add context with Error::wrap as the error passes them.
#pragma once

#include <cstdint>
#include <expected>
#include <format>
#include <string>
#include <string_view>
#include <utility>

namespace smackd::core {

/// What went wrong, in the words a caller can decide on. Values are on the wire: never renumber.
enum class Errc : uint8_t {
    kInvalid = 1,          ///< the input breaks a rule; the message names the field and the rule
    kNotFound = 2,         ///< the thing named does not exist
    kConflict = 3,         ///< exists already, or its version is not the expected one
    kUnauthenticated = 4,  ///< who asks is not known
    kDenied = 5,           ///< who asks is known and may not
    kBusy = 6,             ///< a limit is reached; retry after Error::retry_after_ms
    kUnavailable = 7,      ///< not now: no leader, not ready, peer gone
    kTimeout = 8,          ///< a deadline passed
    kCorrupt = 9,          ///< stored or received bytes fail their check
    kDiskFull = 10,        ///< no space left on the device
    kIo = 11,              ///< the operating system refused
    kUnsupported = 12,     ///< needs a newer version or a capability this host lacks
    kCancelled = 13,       ///< the caller gave up or the owner closed
    kUnknownOutcome = 14,  ///< leadership was lost in flight: done or not done; retry with the same sequence
};

/// The lower-case name of a code as it stands in JSON ("not_found").
std::string_view errc_name(Errc code);

/// The HTTP status of a code (RFC 9110), e.g. kBusy is 503.
int http_status(Errc code);

struct [[nodiscard]] Error {
    Errc code = Errc::kIo;
    std::string message;
    uint32_t retry_after_ms = 0;  ///< hint for kBusy and kUnavailable; 0 is no hint

    /// The same error with "`context`: " before its message.
    Error wrap(std::string_view context) &&;
    /// "not_found: no user 'bob'".
    std::string to_string() const;
};

template <class T>
using Result = std::expected<T, Error>;

/// An unexpected Error from a format string: `return fail(Errc::kNotFound, "no user '{}'", name);`
template <class... Args>
[[nodiscard]] std::unexpected<Error> fail(Errc code, std::format_string<Args...> text, Args&&... args) {
    return std::unexpected<Error>(Error{code, std::format(text, std::forward<Args>(args)...), 0});
}

/// Passes an error on: `if (!r) return pass(std::move(r));`
template <class T>
[[nodiscard]] std::unexpected<Error> pass(Result<T>&& result) {
    return std::unexpected<Error>(std::move(result.error()));
}

/// Passes an error on with context added once per layer.
template <class T>
[[nodiscard]] std::unexpected<Error> pass(Result<T>&& result, std::string_view context) {
    return std::unexpected<Error>(std::move(result.error()).wrap(context));
}

/// An unexpected Error from errno: ENOSPC and EDQUOT are kDiskFull, ENOENT kNotFound, the rest kIo.
[[nodiscard]] std::unexpected<Error> fail_errno(int error_number, std::string_view what);

}  // namespace smackd::core

#define SMACK_CONCAT_(a, b) a##b
#define SMACK_CONCAT(a, b) SMACK_CONCAT_(a, b)

/// Returns the error of `expression` from the enclosing function (not for coroutines: see CO_TRY in
/// net/task.h).
#define TRY(expression)                                                   \
    do {                                                                  \
        if (auto try_result_ = (expression); !try_result_) [[unlikely]] { \
            return std::unexpected(std::move(try_result_.error()));       \
        }                                                                 \
    } while (false)

/// `TRY_ASSIGN(auto value, compute());` declares or assigns, or returns the error.
#define TRY_ASSIGN(target, expression)                                                  \
    auto SMACK_CONCAT(try_result_, __LINE__) = (expression);                            \
    if (!SMACK_CONCAT(try_result_, __LINE__)) [[unlikely]] {                            \
        return std::unexpected(std::move(SMACK_CONCAT(try_result_, __LINE__).error())); \
    }                                                                                   \
    target = std::move(*SMACK_CONCAT(try_result_, __LINE__))
