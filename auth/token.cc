#include "auth/token.h"

#include <algorithm>
#include <array>

#include "core/json.h"
#include "core/planted.h"
#include "net/crypto/random.h"

namespace smackd::auth {
namespace {

namespace crypto = net::crypto;
using core::Bytes;
using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using core::WallTime;

constexpr std::string_view kAudience = "smackd";
constexpr std::string_view kTaskAudience = "smackd-task";
constexpr size_t kKidLength = 16;
constexpr size_t kTokenIdBytes = 16;
constexpr size_t kClaimBytesMax = 512;

std::string encode(const Json& json) {
    return core::to_base64url(json.dump());
}

Result<Json> decode(std::string_view part, std::string_view name) {
    auto text = core::from_base64url(part);
    if (!text) return fail(Errc::kUnauthenticated, "token: the {} is not base64url", name);
    auto json = Json::parse(*text);
    if (!json || !json->is_object())
        return fail(Errc::kUnauthenticated, "token: the {} is not a JSON object", name);
    return json;
}

Result<std::string> take_text(const Json& object, std::string_view member) {
    const Json* value = object.find(member);
    if (value == nullptr || !value->is_string() || value->as_string().empty() ||
        value->as_string().size() > kClaimBytesMax) {
        return fail(Errc::kUnauthenticated, "token: {} must be a text of 1 to {} bytes", member,
                    kClaimBytesMax);
    }
    return value->as_string();
}

Result<int64_t> take_time(const Json& object, std::string_view member) {
    constexpr int64_t kYear9999 = 253402300799;
    const Json* value = object.find(member);
    if (value == nullptr || !value->is_integer() || value->as_integer() < 0 ||
        value->as_integer() > kYear9999) {
        return fail(Errc::kUnauthenticated, "token: {} must be a whole number of seconds", member);
    }
    return value->as_integer();
}

// Exactly {alg, typ, kid}: members such as jwk, jku, x5c or crit would let a token bring its own key or
// rules.
Result<std::string> check_header(const Json& header) {
    for (const auto& [name, value] : header.as_object()) {
        if (name != "alg" && name != "typ" && name != "kid") {
            return fail(Errc::kUnauthenticated, "token: the header has a member beside alg, typ and kid");
        }
    }
    if (header["alg"].as_string() != "ES256") return fail(Errc::kUnauthenticated, "token: alg must be ES256");
    if (header["typ"].as_string() != "JWT") return fail(Errc::kUnauthenticated, "token: typ must be JWT");
    return take_text(header, "kid");
}

Result<TokenClaims> read_claims(const Json& payload) {
    TokenClaims claims;
    TRY_ASSIGN(claims.issuer, take_text(payload, "iss"));
    TRY_ASSIGN(claims.audience, take_text(payload, "aud"));
    TRY_ASSIGN(claims.subject, take_text(payload, "sub"));
    TRY_ASSIGN(claims.id, take_text(payload, "jti"));
    TRY_ASSIGN(claims.issued_at_s, take_time(payload, "iat"));
    TRY_ASSIGN(claims.not_before_s, take_time(payload, "nbf"));
    TRY_ASSIGN(claims.expires_s, take_time(payload, "exp"));
    if (claims.expires_s <= claims.issued_at_s ||
        claims.expires_s - claims.issued_at_s > kTokenLifeSecondsMax) {
        return fail(Errc::kUnauthenticated, "token: exp must follow iat within {} s", kTokenLifeSecondsMax);
    }
    return claims;
}

// Exactly three parts.
Result<std::array<std::string_view, 3>> split(std::string_view text) {
    std::array<std::string_view, 3> parts;
    const size_t first = text.find('.');
    const size_t second = first == std::string_view::npos ? first : text.find('.', first + 1);
    if (second == std::string_view::npos || text.find('.', second + 1) != std::string_view::npos) {
        return fail(Errc::kUnauthenticated, "token: must have three parts");
    }
    parts[0] = text.substr(0, first);
    parts[1] = text.substr(first + 1, second - first - 1);
    parts[2] = text.substr(second + 1);
    return parts;
}

}  // namespace

TokenKind TokenClaims::kind() const {
    return audience == kTaskAudience ? TokenKind::kTask : TokenKind::kUser;
}

Result<TokenKey> TokenKey::generate() {
    TRY_ASSIGN(const crypto::KeyPair pair, crypto::KeyPair::generate());
    return from_private_pem(pair.to_pem());
}

Result<TokenKey> TokenKey::from_private_pem(const std::string& pem) {
    TRY_ASSIGN(const crypto::KeyPair pair, crypto::KeyPair::from_pem(pem));
    const crypto::PublicKey shared = pair.public_key();
    return TokenKey{core::to_hex(shared.sha256()).substr(0, kKidLength), pem, shared.to_pem()};
}

Result<IssuedToken> issue_token(const TokenKey& key, std::string_view issuer, std::string_view subject,
                                WallTime now, int64_t life_s, TokenKind kind) {
    if (life_s <= 0 || life_s > kTokenLifeSecondsMax) {
        return fail(Errc::kInvalid, "token life: {} s is not within 1 to {} s", life_s, kTokenLifeSecondsMax);
    }
    TRY_ASSIGN(const crypto::KeyPair pair, crypto::KeyPair::from_pem(key.private_key_pem));
    IssuedToken token;
    token.claims.issuer = issuer;
    token.claims.audience = kind == TokenKind::kTask ? kTaskAudience : kAudience;
    token.claims.subject = subject;
    token.claims.id = core::to_hex(crypto::random_bytes(kTokenIdBytes));
    token.claims.issued_at_s = now.unix_ms / 1000;
    token.claims.not_before_s = token.claims.issued_at_s;
    token.claims.expires_s = token.claims.issued_at_s + life_s;
    const Json header = Json::object().set("alg", "ES256").set("typ", "JWT").set("kid", key.kid);
    Json payload = Json::object()
                       .set("iss", token.claims.issuer)
                       .set("aud", token.claims.audience)
                       .set("sub", token.claims.subject);
    // What DC/OS clients look for.
    if (kind == TokenKind::kUser) payload.set("uid", subject.substr(0, subject.find('@')));
    payload.set("jti", token.claims.id)
        .set("iat", token.claims.issued_at_s)
        .set("nbf", token.claims.not_before_s)
        .set("exp", token.claims.expires_s);
    token.text = encode(header) + "." + encode(payload);
    token.text += "." + core::to_base64url(pair.sign_es256(token.text));
    if (token.text.size() > kTokenBytesMax)
        return fail(Errc::kInvalid, "token: longer than {} bytes", kTokenBytesMax);
    return token;
}

Result<ParsedToken> parse_token(std::string_view text) {
    if (text.empty() || text.size() > kTokenBytesMax) {
        return fail(Errc::kUnauthenticated, "token: must have 1 to {} bytes", kTokenBytesMax);
    }
    TRY_ASSIGN(const auto parts, split(text));
    TRY_ASSIGN(const Json header, decode(parts[0], "header"));
    TRY_ASSIGN(const Json payload, decode(parts[1], "payload"));
    ParsedToken parsed;
    TRY_ASSIGN(parsed.kid, check_header(header));
    TRY_ASSIGN(parsed.claims, read_claims(payload));
    auto signature = core::from_base64url(parts[2]);
    const bool whole =
        signature && (signature->size() == crypto::kEs256SignatureBytes || SMACK_BUG("fuzz_token"));
    if (!whole)
        return fail(Errc::kUnauthenticated, "token: the signature must be {} bytes",
                    crypto::kEs256SignatureBytes);
    parsed.signature = std::move(*signature);
    parsed.signed_part = text.substr(0, parts[0].size() + 1 + parts[1].size());
    return parsed;
}

TokenVerifier::TokenVerifier(std::string issuer, const TokenRevocations* revocations, size_t cache_entries)
    : issuer_(std::move(issuer)),
      revocations_(revocations),
      cache_entries_(cache_entries),
      keys_(std::make_shared<const Keys>()) {}

Result<void> TokenVerifier::set_keys(const std::vector<TokenKey>& keys) {
    auto made = std::make_shared<Keys>();
    for (const TokenKey& key : keys) {
        auto shared = crypto::PublicKey::from_pem(key.public_key_pem);
        if (!shared) return core::pass(std::move(shared), "token key");
        made->emplace_back(key.kid, std::move(*shared));
    }
    const std::lock_guard lock(mutex_);
    keys_ = std::move(made);
    by_text_.clear();
    recent_.clear();
    return {};
}

std::optional<Result<TokenClaims>> TokenVerifier::find_cached(std::string_view text, WallTime now) {
    TokenClaims claims;
    {
        const std::lock_guard lock(mutex_);
        const auto found = by_text_.find(text);
        if (found == by_text_.end()) return std::nullopt;
        recent_.splice(recent_.begin(), recent_, found->second);
        claims = found->second->claims;
    }
    if (auto valid = check_time_and_revocation(claims, now); !valid) return core::pass(std::move(valid));
    return claims;
}

Result<TokenClaims> TokenVerifier::verify(std::string_view text, WallTime now) {
    if (auto cached = find_cached(text, now)) return std::move(*cached);
    TRY_ASSIGN(const ParsedToken parsed, parse_token(text));
    std::shared_ptr<const Keys> keys;
    {
        const std::lock_guard lock(mutex_);
        keys = keys_;
    }
    const auto key = std::ranges::find(*keys, parsed.kid, &Keys::value_type::first);
    if (key == keys->end()) {
        return fail(Errc::kUnauthenticated,
                    "token: signed by a key that is no longer in use; sign in again (smackd login)");
    }
    if (!key->second.verify_es256(parsed.signed_part, parsed.signature)) {
        return fail(Errc::kUnauthenticated, "token: the signature is wrong");
    }
    const std::string& audience = parsed.claims.audience;
    if (parsed.claims.issuer != issuer_ || (audience != kAudience && audience != kTaskAudience)) {
        return fail(Errc::kUnauthenticated, "token: issued by another cluster; sign in here (smackd login)");
    }
    TRY(check_time_and_revocation(parsed.claims, now));
    remember(text, parsed, keys);
    return parsed.claims;
}

Result<void> TokenVerifier::check_time_and_revocation(const TokenClaims& claims, WallTime now) const {
    const int64_t now_s = now.unix_ms / 1000;
    if (now_s >= claims.expires_s) {
        return fail(Errc::kUnauthenticated, "token: expired {} s ago; sign in again (smackd login)",
                    now_s - claims.expires_s);
    }
    if (now_s + kTokenSkewSeconds < std::max(claims.not_before_s, claims.issued_at_s)) {
        return fail(Errc::kUnauthenticated,
                    "token: not valid before Unix time {}, the clock here says {}; check both clocks",
                    claims.not_before_s, now_s);
    }
    if (revocations_ != nullptr && revocations_->revoked(claims)) {
        return fail(Errc::kUnauthenticated, "token: revoked; sign in again (smackd login)");
    }
    return {};
}

void TokenVerifier::remember(std::string_view text, const ParsedToken& parsed,
                             const std::shared_ptr<const Keys>& keys) {
    const std::lock_guard lock(mutex_);
    // A key that went away during the check must not come back through the cache.
    if (keys != keys_ || cache_entries_ == 0 || by_text_.contains(text)) return;
    if (recent_.size() == cache_entries_) {
        by_text_.erase(recent_.back().text);
        recent_.pop_back();
    }
    recent_.push_front(Entry{std::string(text), parsed.claims});
    by_text_.emplace(recent_.front().text, recent_.begin());
}

}  // namespace smackd::auth
