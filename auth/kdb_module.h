// What the KDC child's database module works with. krb5kdc finds the module by the name `smack` in kdc.conf;
// the patch in third_party/patches/krb5 maps that name to krb5_smack_kdb_function_table.
#pragma once

#include <string>

#include "auth/kdc_throttle.h"
#include "auth/realm.h"

namespace smackd::auth {

struct KdbSource {
    std::string realm_db;  ///< as the child sees it, after chroot
    MasterKey master;
    KdcLimits limits;
};

/// Set once, before krb5kdc's main runs; the module has no other way to get at its key.
void set_kdb_source(KdbSource source);

}  // namespace smackd::auth
