#include "services/api/realm_door.h"

#include <algorithm>

#include "auth/keytab.h"

namespace smackd::services {

using core::Result;

namespace {

Result<wire::PutPrincipal> to_change(Result<auth::PrincipalRow> row) {
    if (!row) return core::pass(std::move(row));
    wire::PutPrincipal put;
    put.set_name(std::move(row->name));
    put.set_record(std::move(row->record));
    return put;
}

}  // namespace

Result<wire::PutPrincipal> EmbeddedRealmDoor::with_password(std::string_view user,
                                                            std::string_view password) {
    TRY(auth::check_password_policy(user, password));
    const std::scoped_lock lock(mutex_);
    return to_change(realm_.user(user, password, clock_.wall()));
}

Result<wire::PutPrincipal> EmbeddedRealmDoor::with_random_key(std::string_view name) {
    const std::scoped_lock lock(mutex_);
    return to_change(realm_.random_key(name, clock_.wall()));
}

Result<wire::PutPrincipal> EmbeddedRealmDoor::change_password(const std::string& name,
                                                              const std::string& record,
                                                              std::string_view password) {
    TRY(auth::check_password_policy(std::string_view(name).substr(0, name.find('@')), password));
    const std::scoped_lock lock(mutex_);
    return to_change(realm_.change_password({name, record}, password, clock_.wall()));
}

Result<wire::PutPrincipal> EmbeddedRealmDoor::rotate(const std::string& name, const std::string& record) {
    const std::scoped_lock lock(mutex_);
    return to_change(realm_.rotate_keys({name, record}, clock_.wall()));
}

Result<wire::PutPrincipal> EmbeddedRealmDoor::set_disabled(const std::string& name, const std::string& record,
                                                           bool disabled) {
    const std::scoped_lock lock(mutex_);
    const auth::PrincipalRow row{name, record};
    TRY_ASSIGN(auth::PrincipalOptions options, realm_.options(row));
    options.disabled = disabled;
    return to_change(realm_.change_options(row, options));
}

Result<core::Bytes> EmbeddedRealmDoor::keytab(const std::vector<wire::PutPrincipal>& principals) {
    auth::Keytab keytab;
    for (const wire::PutPrincipal& principal : principals) {
        const std::scoped_lock lock(mutex_);
        TRY_ASSIGN(auto entries, realm_.keys({principal.name(), principal.record()}));
        uint32_t newest = 0;
        for (const auth::KeytabEntry& entry : entries) newest = std::max(newest, entry.kvno);
        for (auth::KeytabEntry& entry : entries) {
            if (entry.kvno == newest) keytab.add(std::move(entry));
        }
    }
    return keytab.serialize();
}

}  // namespace smackd::services
