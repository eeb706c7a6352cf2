// The KDC child as a process: rights, supervision, limits, and Debian's own tools against it.
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "auth/initiator.h"
#include "auth/krb5_handles.h"
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

/// What a client sends first.
std::string as_request(const std::string& name) {
    auto context = auth::KrbContext::make();
    REQUIRE(context);
    auto client = auth::parse_principal(*context, name);
    REQUIRE(client);
    auth::KrbOwned<krb5_init_creds_context, krb5_init_creds_free> login(*context);
    REQUIRE(krb5_init_creds_init(context->get(), client->get(), nullptr, nullptr, 0, nullptr, login.out()) ==
            0);
    krb5_data in{};
    krb5_data out{};
    krb5_data realm{};
    unsigned int flags = 0;
    REQUIRE(krb5_init_creds_step(context->get(), login.get(), &in, &out, &realm, &flags) == 0);
    std::string request(out.data, out.length);
    krb5_free_data_contents(context->get(), &out);
    krb5_free_data_contents(context->get(), &realm);
    return request;
}

/// UDP to a port of 127.0.0.1.
class Socket {
 public:
    explicit Socket(uint16_t port) : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    ~Socket() { ::close(fd_); }
    void send(const std::string& packet) const { CHECK(::send(fd_, packet.data(), packet.size(), 0) > 0); }
    /// Until half a second passes without one.
    int count_replies() const {
        int count = 0;
        char buffer[4096];
        pollfd wait = {fd_, POLLIN, 0};
        while (::poll(&wait, 1, 500) > 0 && ::recv(fd_, buffer, sizeof buffer, 0) > 0) count++;
        return count;
    }

 private:
    int fd_;
};

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

TEST_CASE("requests beyond the limit of their source are dropped before they are looked at") {
    TestRealm realm("SMACK.TEST");
    realm.add_user("alice");
    realm.start_kdc({.requests_per_source_s = 3});
    const std::string request = as_request("alice@SMACK.TEST");
    const std::string listen = auth::test::KerberosEnvironment::listen("SMACK.TEST");
    const Socket socket(static_cast<uint16_t>(std::stoi(listen.substr(listen.rfind(':') + 1))));
    for (int i = 0; i < 50; i++) socket.send(request);
    const int replies = socket.count_replies();
    CHECK(replies >= 3);
    CHECK(replies <= 9);  // the burst may lie across windows of a second
}

TEST_CASE("a database that a snapshot replaced is opened anew, with rights given again") {
    if (::geteuid() != 0) SKIP("needs root");
    TestRealm realm("SMACK.TEST");
    realm.add_user("alice");
    realm.start_kdc({.uid = kNobody, .gid = kNobody});
    REQUIRE(ClientCredential::from_password("alice@SMACK.TEST", TestRealm::kPassword));
    realm.replace_database();  // now root's, mode 0600: the child cannot read it
    realm.add_user("carol");
    (void)ClientCredential::from_password("carol@SMACK.TEST",
                                          TestRealm::kPassword);  // lost: the child gives up
    REQUIRE(realm.wait_ready(2));
    CHECK(ClientCredential::from_password("carol@SMACK.TEST", TestRealm::kPassword));
    CHECK(ClientCredential::from_password("alice@SMACK.TEST", TestRealm::kPassword));
}

TEST_CASE("the KDC reads on while the server writes, checkpoints and empties the WAL") {
    TestRealm realm("SMACK.TEST");
    const std::string robot = realm.add_with_keytab("robot");
    realm.start_kdc({.uid = ::geteuid() == 0 ? kNobody : 0, .gid = ::geteuid() == 0 ? kNobody : 0});
    const auth::PrincipalRow row = realm.row("robot");
    std::atomic<bool> done = false;
    int writes = 0;
    std::thread writer([&] {
        for (; !done; writes++) {
            realm.put(std::vector{row});
            realm.checkpoint();
        }
    });
    int logins = 0;
    for (int i = 0; i < 100; i++) logins += ClientCredential::from_keytab(robot, "") ? 1 : 0;
    done = true;
    writer.join();
    CHECK(logins == 100);
    CHECK(writes > 10);
    for (const auto& event : realm.events()) {
        INFO(event.text);
        CHECK(event.kind == auth::KdcEvent::Kind::kReady);
    }
}

TEST_CASE("Debian's kinit and kvno work with the embedded realm") {
    if (::access("/usr/bin/kinit", X_OK) != 0) SKIP("krb5-user is not installed");
    TestRealm realm("SMACK.TEST");
    realm.add_user("alice");
    const std::string robot = realm.add_with_keytab("robot");
    realm.add_with_keytab("HTTP/localhost");
    realm.start_kdc();
    const std::string environment = "KRB5_CONFIG=" + auth::test::environment().krb5_conf +
                                    " KRB5CCNAME=FILE:" + realm.folder() +
                                    "/kinit.cc KRB5_TRACE=" + realm.folder() + "/trace ";
    const auto run = [&](const std::string& command) {
        return ::system((environment + command + " >/dev/null 2>&1").c_str());
    };
    CHECK(run("kinit -kt " + robot + " robot@SMACK.TEST") == 0);
    CHECK(run("kvno HTTP/localhost@SMACK.TEST") == 0);
    CHECK(run("kvno HTTP/other@SMACK.TEST") != 0);
    CHECK(run(std::string("sh -c 'echo \"") + TestRealm::kPassword + "\" | kinit alice'") == 0);
    CHECK(run("sh -c 'echo wrong | kinit alice'") != 0);
    // Without SPAKE a sniffer could guess the password at home.
    std::ifstream trace(realm.folder() + "/trace");
    const std::string text(std::istreambuf_iterator<char>(trace), {});
    INFO(text);
    CHECK(text.contains("SPAKE"));
}
