// The embedded realm: principals as records for realm.db, made without kadmin.
//
// A record is made once, by the proposer of the command (random keys, times), and replicated as bytes; apply
// only stores it. Key bytes in a record are encrypted under the realm's master key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/keytab.h"
#include "core/bytes.h"
#include "core/clock.h"
#include "core/result.h"

namespace smackd::auth {

inline constexpr uint32_t kPasswordBytesMin = 12;
inline constexpr uint32_t kPasswordBytesMax = 256;
inline constexpr uint32_t kTicketLifeSeconds = 10 * 3600;
inline constexpr uint32_t kTicketRenewableSeconds = 7 * 24 * 3600;

/// The realm's master key (aes256-cts-hmac-sha384-192). Seal `key` before it is stored (auth/sealing.h).
struct MasterKey {
    int32_t enctype = 0;
    core::Bytes key;

    static core::Result<MasterKey> random();
    /// One line "ENCTYPE HEX\n", for sealing and for the pipe to the KDC child.
    std::string to_text() const;
    static core::Result<MasterKey> from_text(std::string_view text);
};

/// What is said about a principal beside its keys.
struct PrincipalOptions {
    bool disabled = false;
    int64_t expires_s = 0;  ///< Unix time; 0: never
    uint32_t max_life_s = kTicketLifeSeconds;
    uint32_t max_renewable_life_s = kTicketRenewableSeconds;
};

/// A principal ready to be put into realm.db.
struct PrincipalRow {
    std::string name;    ///< "alice@REALM": the key in realm.db
    core::Bytes record;  ///< wire::PrincipalRecord, serialized
};

/// kInvalid says which rule the password breaks: length, one repeated character, holds the user's name, a
/// well-known word.
core::Result<void> check_password_policy(std::string_view user, std::string_view password);

/// Makes and edits records of one realm. Not for two threads at once (it owns a krb5 context).
class Realm {
 public:
    /// `realm` as core::check_realm_name demands it.
    static core::Result<Realm> open(std::string realm, MasterKey master);
    Realm(Realm&&) noexcept;
    Realm& operator=(Realm&&) noexcept;
    ~Realm();

    const std::string& name() const;

    /// What a new realm holds before anybody is added: K/M and krbtgt/REALM.
    core::Result<std::vector<PrincipalRow>> initial_rows(core::WallTime now) const;

    /// A person. Keys by string-to-key of the password with the default salt; pre-authentication is required.
    core::Result<PrincipalRow> user(std::string_view name, std::string_view password,
                                    core::WallTime now) const;
    /// A principal with random keys ("HTTP/host", "smack/host", "alice"; without realm).
    core::Result<PrincipalRow> random_key(std::string_view name, core::WallTime now) const;

    /// New keys from a password, kvno + 1; attributes, expiry and the other data stay.
    core::Result<PrincipalRow> change_password(const PrincipalRow& row, std::string_view password,
                                               core::WallTime now) const;
    /// New random keys, kvno + 1, beside the `keep_old` newest older generations (so that tickets in hand
    /// live on).
    core::Result<PrincipalRow> rotate_keys(const PrincipalRow& row, core::WallTime now,
                                           uint32_t keep_old = 1) const;
    /// Sets disabled, expiry and lifetimes.
    core::Result<PrincipalRow> change_options(const PrincipalRow& row, const PrincipalOptions& options) const;
    core::Result<PrincipalOptions> options(const PrincipalRow& row) const;
    core::Result<uint32_t> kvno(const PrincipalRow& row) const;

    /// The decrypted keys of a record, all generations.
    core::Result<std::vector<KeytabEntry>> keys(const PrincipalRow& row) const;

 private:
    struct Context;
    explicit Realm(std::unique_ptr<Context> context);
    std::unique_ptr<Context> context_;
};

}  // namespace smackd::auth
