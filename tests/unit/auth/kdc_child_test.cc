// The KDC child as a process: rights, supervision, limits, and Debian's own tools against it.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "auth/initiator.h"
#include "test_realm.h"

using namespace smackd;
using auth::ClientCredential;
using auth::test::TestRealm;

namespace {

constexpr uint32_t kNobody = 65534;

std::string proc(int pid, const std::string& file) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/" + file);
    return std::string(std::istreambuf_iterator<char>(in), {});
}

std::string field(const std::string& status, const std::string& name) {
    const size_t at = status.find("\n" + name + ":\t");
    if (at == std::string::npos) return {};
    const size_t begin = at + name.size() + 3;
    return status.substr(begin, status.find('\n', begin) - begin);
}

}  // namespace

TEST_CASE("the KDC child has its own uid, no capability, and sees its folder only") {
    if (::geteuid() != 0) SKIP("needs root");
    TestRealm realm("SMACK.TEST");
    realm.add_user("alice");
    realm.start_kdc({.uid = kNobody, .gid = kNobody});
    const int pid = realm.kdc().pid();
    const std::string status = proc(pid, "status");
    CHECK(field(status, "Uid") == "65534\t65534\t65534\t65534");
    CHECK(field(status, "Gid") == "65534\t65534\t65534\t65534");
    CHECK(field(status, "Groups") == " ");
    CHECK(field(status, "CapEff") == "0000000000000000");
    CHECK(field(status, "CapPrm") == "0000000000000000");
    CHECK(field(status, "NoNewPrivs") == "1");
    CHECK(std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/root") ==
          realm.folder() + "/realm");
    // The key came by a pipe: it is in no argument, no environment, no file.
    CHECK_FALSE(proc(pid, "cmdline").contains("20 "));
    CHECK(proc(pid, "environ").empty());
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
        const std::string target = std::filesystem::read_symlink(entry.path());
        INFO(target);
        const bool expected = target == "/dev/null" || target.starts_with("pipe:") ||
                              target.starts_with("socket:") || target.starts_with("anon_inode:") ||
                              target.starts_with(realm.folder() + "/realm/");
        CHECK(expected);
    }
    CHECK(ClientCredential::from_password("alice@SMACK.TEST", TestRealm::kPassword));
}

TEST_CASE("a killed KDC is started again and knows everybody") {
    TestRealm realm("SMACK.TEST");
    realm.add_user("alice");
    realm.start_kdc();
    const int first = realm.kdc().pid();
    REQUIRE(::kill(first, SIGKILL) == 0);
    REQUIRE(realm.wait_ready(2));
    CHECK(realm.kdc().pid() != first);
    CHECK(ClientCredential::from_password("alice@SMACK.TEST", TestRealm::kPassword));
    const auto events = realm.events();
    REQUIRE(events.size() >= 2);
    CHECK(events[1].kind == auth::KdcEvent::Kind::kExited);
    CHECK(events[1].text.contains("signal 9"));
}

TEST_CASE("the KDC ends with its supervisor") {
    TestRealm realm("SMACK.TEST");
    realm.start_kdc();
    const int pid = realm.kdc().pid();
    realm.kdc().stop();
    CHECK(::kill(pid, 0) == -1);
    CHECK(realm.kdc().pid() == 0);
}

TEST_CASE("a KDC without its database says why") {
    TestRealm realm("SMACK.TEST");
    std::mutex mutex;
    std::condition_variable changed;
    std::string text;
    auto started = auth::KdcSupervisor::start(
        {.realm = "SMACK.TEST",
         .listen = auth::test::KerberosEnvironment::listen("SMACK.TEST"),
         .realm_db = realm.folder() + "/realm.db"},
        *auth::MasterKey::random(), core::Logger(), [&](const auth::KdcEvent& event) {
            const std::lock_guard lock(mutex);
            text = event.text;
            changed.notify_all();
        });
    REQUIRE(started);
    std::unique_lock lock(mutex);
    REQUIRE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return !text.empty(); }));
    CHECK(text.contains("realm.db"));
    lock.unlock();
    (*started)->stop();
}

TEST_CASE("guessing a password is held back, the right one too for that minute") {
    TestRealm realm("SMACK.TEST");
    realm.add_user("alice");
    realm.add_user("bob");
    realm.start_kdc({.failures_per_principal_min = 5});
    for (int i = 0; i < 5; i++) {
        const auto wrong = ClientCredential::from_password("alice@SMACK.TEST", "guess " + std::to_string(i));
        REQUIRE_FALSE(wrong);
        CHECK(wrong.error().message.contains("wrong name or key"));
    }
    const auto held = ClientCredential::from_password("alice@SMACK.TEST", TestRealm::kPassword);
    REQUIRE_FALSE(held);
    CHECK(held.error().message.contains("policy"));
    CHECK(ClientCredential::from_password("bob@SMACK.TEST", TestRealm::kPassword));
}

TEST_CASE("Debian's kinit and kvno work with the embedded realm") {
    if (::access("/usr/bin/kinit", X_OK) != 0) SKIP("krb5-user is not installed");
    TestRealm realm("SMACK.TEST");
    realm.add_user("alice");
    const std::string robot = realm.add_with_keytab("robot");
    realm.add_with_keytab("HTTP/localhost");
    realm.start_kdc();
    const std::string environment = "KRB5_CONFIG=" + auth::test::environment().krb5_conf +
                                    " KRB5CCNAME=FILE:" + realm.folder() + "/kinit.cc ";
    const auto run = [&](const std::string& command) {
        return ::system((environment + command + " >/dev/null 2>&1").c_str());
    };
    CHECK(run("kinit -kt " + robot + " robot@SMACK.TEST") == 0);
    CHECK(run("kvno HTTP/localhost@SMACK.TEST") == 0);
    CHECK(run("kvno HTTP/other@SMACK.TEST") != 0);
    CHECK(run(std::string("sh -c 'echo \"") + TestRealm::kPassword + "\" | kinit alice'") == 0);
    CHECK(run("sh -c 'echo wrong | kinit alice'") != 0);
}
