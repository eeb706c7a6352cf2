// Short-lived signed tokens: JWT (RFC 7519) with ES256 (RFC 7518 section 3.4), issued after a Kerberos proof.
//
// The parser takes exactly what the issuer makes: header members alg, typ, kid and no other, alg ES256 only.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/result.h"
#include "net/crypto/key.h"

namespace smackd::auth {

inline constexpr size_t kTokenBytesMax = 8 * 1024;
inline constexpr int64_t kTokenLifeSeconds = 3600;
inline constexpr int64_t kTokenLifeSecondsMax = 12 * 3600;
inline constexpr int64_t kTokenSkewSeconds = 60;  ///< clocks of two servers may differ by this
inline constexpr size_t kTokenCacheEntries = 4096;

/// Of a task; a server renews it well before.
inline constexpr int64_t kTaskTokenLifeSeconds = 900;

/// Whose token it is. Each kind has an audience of its own, so that none is ever taken for another's.
enum class TokenKind : uint8_t {
    kUser,  ///< given for a Kerberos proof
    kTask,  ///< given to the node of a running task
};

struct TokenClaims {
    std::string issuer;    ///< cluster id
    std::string audience;  ///< "smackd", "smackd-task"
    std::string subject;   ///< principal, "alice@REALM"; "task:ID"
    std::string id;        ///< unique: 128 random bits, hex
    int64_t issued_at_s = 0;
    int64_t not_before_s = 0;
    int64_t expires_s = 0;

    /// By the audience, which verify() has checked.
    TokenKind kind() const;
    bool operator==(const TokenClaims&) const = default;
};

/// A key tokens are signed with; several may be valid for checking while keys rotate.
struct TokenKey {
    std::string kid;              ///< first 16 hex digits of the SHA-256 of the public key
    std::string private_key_pem;  ///< secret; empty where only checking is needed
    std::string public_key_pem;

    static core::Result<TokenKey> generate();
    static core::Result<TokenKey> from_private_pem(const std::string& pem);
};

/// Says whether a token was revoked; asked at every use, cached or not. Callable from any thread.
class TokenRevocations {
 public:
    virtual ~TokenRevocations() = default;
    virtual bool revoked(const TokenClaims& claims) const = 0;
};

struct IssuedToken {
    std::string text;
    TokenClaims claims;
};

/// kInvalid for a life outside (0, kTokenLifeSecondsMax].
core::Result<IssuedToken> issue_token(const TokenKey& key, std::string_view issuer, std::string_view subject,
                                      core::WallTime now, int64_t life_s = kTokenLifeSeconds,
                                      TokenKind kind = TokenKind::kUser);

/// The parts of a token before its signature is checked; for the verifier and the fuzz target.
struct ParsedToken {
    std::string kid;
    TokenClaims claims;
    std::string_view signed_part;  ///< into the text given
    core::Bytes signature;         ///< 64 bytes r || s
};
/// kUnauthenticated names the rule that the text breaks, never its content.
core::Result<ParsedToken> parse_token(std::string_view text);

/// Checks tokens; callable from any thread. A first check costs an ECDSA verification (milliseconds with
/// mbedTLS): try find_cached() on the loop and verify() on a worker.
class TokenVerifier {
 public:
    TokenVerifier(std::string issuer, const TokenRevocations* revocations,
                  size_t cache_entries = kTokenCacheEntries);

    /// Replaces the keys (rotation); tokens of keys that are gone are refused, also from the cache. Only the
    /// public halves are kept. kInvalid for a key that is none; nothing changes then.
    core::Result<void> set_keys(const std::vector<TokenKey>& keys);

    /// A token checked before: its claims, an error when it expired or was revoked since, or nullptr when
    /// unknown.
    std::optional<core::Result<TokenClaims>> find_cached(std::string_view text, core::WallTime now);
    /// kUnauthenticated: malformed, unknown key, bad signature, other cluster, expired, not yet valid,
    /// revoked.
    core::Result<TokenClaims> verify(std::string_view text, core::WallTime now);

 private:
    struct Entry {
        std::string text;
        TokenClaims claims;
    };
    /// An immutable set, so that checks run outside the lock while keys rotate.
    using Keys = std::vector<std::pair<std::string, net::crypto::PublicKey>>;

    core::Result<void> check_time_and_revocation(const TokenClaims& claims, core::WallTime now) const;
    void remember(std::string_view text, const ParsedToken& parsed, const std::shared_ptr<const Keys>& keys);

    const std::string issuer_;
    const TokenRevocations* revocations_;
    const size_t cache_entries_;
    std::mutex mutex_;
    std::shared_ptr<const Keys> keys_;
    std::list<Entry> recent_;  ///< newest first
    std::unordered_map<std::string_view, std::list<Entry>::iterator> by_text_;
};

}  // namespace smackd::auth
