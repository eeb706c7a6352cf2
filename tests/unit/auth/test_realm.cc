#include "test_realm.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>

#include "storage/state/schema.h"

namespace smackd::auth::test {
namespace {

// A port that was free a moment ago, for UDP and TCP.
int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    ::bind(fd, reinterpret_cast<sockaddr*>(&address), length);
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    ::close(fd);
    return ntohs(address.sin_port);
}

std::map<std::string, std::string>& listens() {
    static std::map<std::string, std::string> all;
    return all;
}

}  // namespace

KerberosEnvironment::KerberosEnvironment() {
    std::string text = client_krb5_conf("SMACK.TEST", {});
    text.resize(text.find("[realms]"));
    text += "[realms]\n";
    for (const char* realm : {"SMACK.TEST", "OTHER.TEST", "LATE.TEST", "FAKE.TEST", "DEAD.TEST"}) {
        listens()[realm] = "127.0.0.1:" + std::to_string(free_port());
        text += std::string("  ") + realm + " = {\n kdc = " + listens()[realm] + "\n}\n";
    }
    text += "  UNNAMED.TEST = {\n kdc = kdc..invalid\n}\n";  // a name that nobody can look up
    std::ofstream(krb5_conf) << text;
    set_kerberos_environment(krb5_conf);
}

std::string KerberosEnvironment::listen(const std::string& realm) {
    return listens().at(realm);
}

KerberosEnvironment& environment() {
    static KerberosEnvironment instance;
    return instance;
}

core::WallTime wall_now() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return core::WallTime{std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

TestRealm::TestRealm(const std::string& name, int32_t clock_offset_s)
    : name_(name), clock_offset_s_(clock_offset_s), vfs_(storage::sqlite::Vfs::over_unix()) {
    auto master = MasterKey::random();
    REQUIRE(master);
    master_ = *master;
    auto realm = Realm::open(name, *master);
    REQUIRE(realm);
    realm_ = std::move(*realm);
    std::filesystem::create_directory(directory_ / "realm");
    create_database(directory_ / "realm/realm.db");
    auto rows = realm_->initial_rows(wall_now());
    REQUIRE(rows);
    put(*rows);
}

void TestRealm::create_database(const std::string& path) {
    database_.reset();
    auto database = storage::sqlite::Database::open(*vfs_, path, storage::sqlite::Access::kCreate);
    REQUIRE(database);
    database_ = std::move(*database);
    REQUIRE(storage::state::create_realm_schema(*database_));
}

void TestRealm::replace_database() {
    const std::string path = directory_ / "realm/realm.db";
    create_database(path + ".new");
    put(std::vector(rows_));
    REQUIRE(database_->checkpoint(true));
    database_.reset();
    for (const char* suffix : {"-wal", "-shm"}) {
        std::filesystem::remove(path + suffix);
        std::filesystem::remove(path + ".new" + suffix);
    }
    std::filesystem::rename(path + ".new", path);
    std::filesystem::permissions(path,
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    auto database = storage::sqlite::Database::open(*vfs_, path, storage::sqlite::Access::kReadWrite);
    REQUIRE(database);
    database_ = std::move(*database);
}

void TestRealm::put(const std::vector<PrincipalRow>& rows) {
    for (const PrincipalRow& row : rows) {
        const auto written = database_->run(
            "INSERT INTO principals VALUES(?, ?, 1) ON CONFLICT(name) DO UPDATE SET record = excluded.record",
            {row.name, storage::sqlite::Blob{row.record}});
        INFO((written ? "written" : written.error().to_string()));
        REQUIRE(written);
        std::erase_if(rows_, [&](const PrincipalRow& old) { return old.name == row.name; });
        rows_.push_back(row);
    }
}

void TestRealm::put(const core::Result<PrincipalRow>& row) {
    REQUIRE(row);
    put(std::vector{*row});
}

void TestRealm::add_user(const std::string& name) {
    put(realm_->user(name, kPassword, wall_now()));
}

std::string TestRealm::add_with_keytab(const std::string& name) {
    put(realm_->random_key(name, wall_now()));
    std::string file = name;
    std::ranges::replace(file, '/', '_');
    return write_keytab(row(name), file + ".keytab");
}

std::string TestRealm::write_keytab(const PrincipalRow& row, const std::string& file) {
    auto keys = realm_->keys(row);
    REQUIRE(keys);
    REQUIRE(Keytab(*keys).write(directory_ / file));
    return directory_ / file;
}

const PrincipalRow& TestRealm::row(const std::string& name) const {
    const auto found = std::ranges::find(rows_, name + "@" + name_, &PrincipalRow::name);
    REQUIRE(found != rows_.end());
    return *found;
}

void TestRealm::start_kdc(KdcConfig changes) {
    changes.realm = name_;
    changes.listen = KerberosEnvironment::listen(name_);
    changes.realm_db = directory_ / "realm/realm.db";
    changes.clock_offset_s = clock_offset_s_;
    auto started = KdcSupervisor::start(changes, *master_, core::Logger(), [this](const KdcEvent& event) {
        const std::lock_guard lock(mutex_);
        events_.push_back(event);
        changed_.notify_all();
    });
    REQUIRE(started);
    kdc_ = std::move(*started);
    const bool ready = wait_ready();
    for (const KdcEvent& event : events()) UNSCOPED_INFO("kdc: " << event.text);
    REQUIRE(ready);
}

bool TestRealm::wait_ready(int times) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
        return std::ranges::count(events_, KdcEvent::Kind::kReady, &KdcEvent::kind) >= times;
    });
}

std::vector<KdcEvent> TestRealm::events() {
    const std::lock_guard lock(mutex_);
    return events_;
}

}  // namespace smackd::auth::test
