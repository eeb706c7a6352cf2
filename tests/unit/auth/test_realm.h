// An embedded realm with a real KDC child on a loopback port, for tests. The test binary itself is the child.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/kdc_supervisor.h"
#include "auth/realm.h"
#include "storage/sqlite/database.h"
#include "temporary_directory.h"

namespace smackd::auth::test {

/// Realms whose KDC ports are fixed before the first Kerberos call of the process (libkrb5 caches its
/// profile).
struct KerberosEnvironment {
    TemporaryDirectory directory;
    std::string krb5_conf = directory / "krb5.conf";

    KerberosEnvironment();
    /// "127.0.0.1:PORT" of "SMACK.TEST", "OTHER.TEST", "LATE.TEST", "FAKE.TEST", "DEAD.TEST".
    static std::string listen(const std::string& realm);
};
KerberosEnvironment& environment();

class TestRealm {
 public:
    explicit TestRealm(const std::string& name, int32_t clock_offset_s = 0);

    const Realm& realm() const { return *realm_; }
    const std::string& folder() const { return directory_.path(); }
    /// Adds or replaces principals, as the server's apply would: seen by a running KDC at once.
    void put(const std::vector<PrincipalRow>& rows);
    void put(const core::Result<PrincipalRow>& row);
    /// A person with kPassword.
    void add_user(const std::string& name);
    /// A principal with random keys; its keytab's path.
    std::string add_with_keytab(const std::string& name);
    std::string write_keytab(const PrincipalRow& row, const std::string& file);
    const PrincipalRow& row(const std::string& name) const;

    /// Puts a new file with the same rows in the database's place, as an installed snapshot does.
    void replace_database();
    /// Copies the WAL into the file and empties it when nobody reads.
    void checkpoint() { (void)database_->checkpoint(true); }

    void start_kdc(KdcConfig changes = {});
    /// Waits until the KDC was ready `times` times in all; false after 10 s.
    bool wait_ready(int times = 1);
    KdcSupervisor& kdc() { return *kdc_; }
    std::vector<KdcEvent> events();

    static constexpr const char* kPassword = "four unrelated words";

 private:
    void create_database(const std::string& path);

    TemporaryDirectory directory_;
    std::string name_;
    int32_t clock_offset_s_;
    std::optional<MasterKey> master_;
    std::optional<Realm> realm_;
    std::unique_ptr<storage::sqlite::Vfs> vfs_;
    std::optional<storage::sqlite::Database> database_;
    std::vector<PrincipalRow> rows_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<KdcEvent> events_;
    std::unique_ptr<KdcSupervisor> kdc_;
};

core::WallTime wall_now();

}  // namespace smackd::auth::test
