// What the API needs of the embedded realm: principal records to put into a command, keys to put into a
// keytab.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "auth/realm.h"
#include "core/clock.h"
#include "core/result.h"
#include "core/wire/command.pb.h"

namespace smackd::services {

/// Blocking (string-to-key takes milliseconds); callable from several worker threads at once. Absent on
/// clusters with an outside realm.
class RealmDoor {
 public:
    virtual ~RealmDoor() = default;
    /// The realm's name, as in "alice@NAME".
    virtual const std::string& realm() const = 0;
    /// kInvalid with the rule of auth::check_password_policy.
    virtual core::Result<wire::PutPrincipal> with_password(std::string_view user,
                                                           std::string_view password) = 0;
    /// `name` without realm: "smack/n1", "host/n1", "alice".
    virtual core::Result<wire::PutPrincipal> with_random_key(std::string_view name) = 0;
    /// New keys for the principal `name` (with realm) whose record is `record`.
    virtual core::Result<wire::PutPrincipal> change_password(const std::string& name,
                                                             const std::string& record,
                                                             std::string_view password) = 0;
    virtual core::Result<wire::PutPrincipal> rotate(const std::string& name, const std::string& record) = 0;
    virtual core::Result<wire::PutPrincipal> set_disabled(const std::string& name, const std::string& record,
                                                          bool disabled) = 0;
    /// A keytab file's bytes with the current keys of the records.
    virtual core::Result<core::Bytes> keytab(const std::vector<wire::PutPrincipal>& principals) = 0;
};

/// Over auth::Realm, which is not for two threads at once.
class EmbeddedRealmDoor final : public RealmDoor {
 public:
    EmbeddedRealmDoor(auth::Realm realm, core::Clock& clock) : realm_(std::move(realm)), clock_(clock) {}

    const std::string& realm() const override { return realm_.name(); }
    core::Result<wire::PutPrincipal> with_password(std::string_view user, std::string_view password) override;
    core::Result<wire::PutPrincipal> with_random_key(std::string_view name) override;
    core::Result<wire::PutPrincipal> change_password(const std::string& name, const std::string& record,
                                                     std::string_view password) override;
    core::Result<wire::PutPrincipal> rotate(const std::string& name, const std::string& record) override;
    core::Result<wire::PutPrincipal> set_disabled(const std::string& name, const std::string& record,
                                                  bool disabled) override;
    core::Result<core::Bytes> keytab(const std::vector<wire::PutPrincipal>& principals) override;

 private:
    std::mutex mutex_;
    auth::Realm realm_;
    core::Clock& clock_;
};

}  // namespace smackd::services
