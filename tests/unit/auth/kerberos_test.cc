// Real tickets: GSS exchanges against real KDC children on loopback ports.
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "auth/acceptor.h"
#include "auth/initiator.h"
#include "test_realm.h"

using namespace smackd;
using auth::AcceptOutcome;
using auth::ClientCredential;
using auth::GssAcceptor;
using auth::GssInitiator;
using auth::RefusalReason;
using auth::test::TestRealm;

/// libgssapi's own switch for tests: a client that sends expired tickets.
extern "C" int krb5_gss_dbg_client_expcreds;

namespace {

struct Home {
    TestRealm realm{"SMACK.TEST"};
    std::string http = realm.add_with_keytab("HTTP/localhost");
    std::string robot = realm.add_with_keytab("robot");

    Home() {
        realm.add_user("alice");
        realm.start_kdc();
    }
    ClientCredential login() const {
        auto credential = ClientCredential::from_keytab(robot, "robot@SMACK.TEST");
        if (!credential) FAIL(credential.error().message);
        return std::move(*credential);
    }
    GssAcceptor acceptor(const std::string& replay_cache = {}) const {
        auto acceptor = GssAcceptor::open({http, "HTTP/localhost@SMACK.TEST", replay_cache});
        if (!acceptor) FAIL(acceptor.error().message);
        return std::move(*acceptor);
    }
};

GssInitiator initiate(const ClientCredential& credential, core::Bytes binding = {}, bool spnego = true) {
    auto initiator = GssInitiator::open(credential, {"HTTP@localhost", std::move(binding), spnego});
    if (!initiator) FAIL(initiator.error().message);
    return std::move(*initiator);
}

core::Bytes token_of(const ClientCredential& credential, core::Bytes binding = {}) {
    GssInitiator initiator = initiate(credential, std::move(binding));
    auto token = initiator.step();
    if (!token) FAIL(token.error().message);
    return std::move(*token);
}

std::string status_line(int pid, const std::string& name) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(name)) return line;
    }
    return {};
}

}  // namespace

TEST_CASE("from nothing to the first ticket") {
    const auto begin = std::chrono::steady_clock::now();
    Home home;
    const ClientCredential credential = home.login();
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(credential.principal() == "robot@SMACK.TEST");
    std::printf("realm from nothing, KDC, first ticket: %lld ms; KDC %s\n",
                static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()),
                status_line(home.realm.kdc().pid(), "VmRSS").c_str());
}

TEST_CASE("a ticket is accepted, raw and in SPNEGO, and the server proves itself") {
    Home home;
    const ClientCredential credential = home.login();
    GssAcceptor acceptor = home.acceptor();
    for (const bool spnego : {true, false}) {
        INFO("spnego " << spnego);
        GssInitiator initiator = initiate(credential, {}, spnego);
        const auto token = initiator.step();
        REQUIRE(token);
        CHECK_FALSE(initiator.complete());
        const AcceptOutcome outcome = acceptor.accept(*token);
        INFO(outcome.error.message);
        REQUIRE(outcome.state == AcceptOutcome::State::kComplete);
        CHECK(outcome.peer.principal == "robot@SMACK.TEST");
        CHECK(outcome.peer.mutual);
        CHECK_FALSE(outcome.peer.channel_bound);
        CHECK(outcome.peer.lifetime_s > 9 * 3600);
        CHECK(outcome.peer.lifetime_s <= 10 * 3600);
        REQUIRE(initiator.step(outcome.token));
        CHECK(initiator.complete());
    }
}

TEST_CASE("a reply that proves nothing is refused by the client") {
    Home home;
    const ClientCredential credential = home.login();
    GssInitiator silent = initiate(credential);
    REQUIRE(silent.step());
    CHECK(silent.step("").error().message.contains("did not prove its identity"));
    GssInitiator forged = initiate(credential);
    GssInitiator other = initiate(credential);
    REQUIRE(forged.step());
    const AcceptOutcome answer = home.acceptor().accept(*other.step());
    CHECK_FALSE(forged.step(answer.token));  // an answer to another request
    CHECK_FALSE(forged.complete());
}

TEST_CASE("channel bindings: same, different, missing") {
    Home home;
    const ClientCredential credential = home.login();
    GssAcceptor acceptor = home.acceptor();
    const core::Bytes ours = "tls-exporter:" + std::string(32, 'a');
    const core::Bytes theirs = "tls-exporter:" + std::string(32, 'b');
    const AcceptOutcome same = acceptor.accept(token_of(credential, ours), ours);
    CHECK(same.state == AcceptOutcome::State::kComplete);
    CHECK(same.peer.channel_bound);
    const AcceptOutcome different = acceptor.accept(token_of(credential, theirs), ours);
    CHECK(different.state == AcceptOutcome::State::kRefused);
    CHECK(different.reason == RefusalReason::kBadBinding);
    CHECK(different.error.code == core::Errc::kUnauthenticated);
    // RFC 5056 lets it pass; whoever needs the binding must look at the flag.
    const AcceptOutcome missing = acceptor.accept(token_of(credential), ours);
    CHECK(missing.state == AcceptOutcome::State::kComplete);
    CHECK_FALSE(missing.peer.channel_bound);
}

TEST_CASE("a replayed token is refused where there is a replay cache") {
    Home home;
    const ClientCredential credential = home.login();
    GssAcceptor remembering = home.acceptor(home.realm.folder() + "/replays");
    const core::Bytes token = token_of(credential);
    REQUIRE(remembering.accept(token).state == AcceptOutcome::State::kComplete);
    const AcceptOutcome again = remembering.accept(token);
    CHECK(again.state == AcceptOutcome::State::kRefused);
    CHECK(again.reason == RefusalReason::kReplay);
    CHECK(home.acceptor(home.realm.folder() + "/replays").accept(token).reason == RefusalReason::kReplay);
    CHECK(home.acceptor().accept(token).state == AcceptOutcome::State::kComplete);
}

TEST_CASE("a ticket of another realm is refused, with both realms named") {
    Home home;
    TestRealm other("OTHER.TEST");
    other.add_with_keytab("HTTP/localhost");
    const std::string mallory = other.add_with_keytab("mallory");
    other.start_kdc();
    const auto credential = ClientCredential::from_keytab(mallory, "");
    REQUIRE(credential);
    const AcceptOutcome outcome = home.acceptor().accept(token_of(*credential));
    CHECK(outcome.reason == RefusalReason::kWrongRealm);
    CHECK(outcome.error.message.contains("OTHER.TEST"));
    CHECK(outcome.error.message.contains("SMACK.TEST"));
}

TEST_CASE("clock skew and expired tickets are told apart, with both clocks") {
    // This KDC lives two hours in the past, and its clients with it.
    TestRealm late("LATE.TEST", -7200);
    const std::string http = late.add_with_keytab("HTTP/localhost");
    const std::string robot = late.add_with_keytab("robot");
    const std::string brief = late.add_with_keytab("brief");
    late.put(late.realm().change_options(late.row("brief"), {.max_life_s = 3600}));
    late.start_kdc();
    auto acceptor = GssAcceptor::open({http});
    REQUIRE(acceptor);

    const auto credential = ClientCredential::from_keytab(robot, "");
    if (!credential) FAIL(credential.error().message);
    const AcceptOutcome skewed = acceptor->accept(token_of(*credential));
    INFO(skewed.error.message);
    CHECK(skewed.reason == RefusalReason::kClockSkew);
    const auto first = skewed.error.message.find(" UTC");
    CHECK(first != std::string::npos);
    CHECK(skewed.error.message.find(" UTC", first + 1) != std::string::npos);
    CHECK_FALSE(skewed.token.empty());  // the client is told too

    const auto short_lived = ClientCredential::from_keytab(brief, "");
    REQUIRE(short_lived);
    krb5_gss_dbg_client_expcreds = 1;
    const AcceptOutcome expired = acceptor->accept(token_of(*short_lived));
    krb5_gss_dbg_client_expcreds = 0;
    INFO(expired.error.message);
    CHECK(expired.reason == RefusalReason::kTicketExpired);
    CHECK(expired.error.message.contains("kinit"));
}

TEST_CASE("keytabs: lacking, unreadable, rotated") {
    Home home;
    const ClientCredential credential = home.login();
    const auto lacking = GssAcceptor::open({home.robot, "HTTP/localhost@SMACK.TEST"});
    REQUIRE_FALSE(lacking);
    CHECK(lacking.error().message.contains("it has: robot@SMACK.TEST kvno 1"));
    CHECK_FALSE(GssAcceptor::open({"/nonexistent"}));

    auto any = GssAcceptor::open({home.robot});
    REQUIRE(any);
    const AcceptOutcome no_key = any->accept(token_of(credential));
    CHECK(no_key.reason == RefusalReason::kNoKey);
    CHECK(no_key.error.message.contains("HTTP/localhost@SMACK.TEST"));
    CHECK(no_key.error.message.contains("robot@SMACK.TEST"));

    GssAcceptor acceptor = home.acceptor();
    const core::Bytes token = token_of(credential);
    const auto rotated =
        home.realm.realm().rotate_keys(home.realm.row("HTTP/localhost"), auth::test::wall_now(), 1);
    REQUIRE(rotated);
    home.realm.put(*rotated);
    home.realm.write_keytab(*rotated, "HTTP_localhost.keytab");
    CHECK(acceptor.accept(token).state == AcceptOutcome::State::kComplete);  // the old key is kept
    const auto only_new = home.realm.realm().rotate_keys(*rotated, auth::test::wall_now(), 0);
    home.realm.write_keytab(*only_new, "HTTP_localhost.keytab");
    const AcceptOutcome stale = acceptor.accept(token);
    INFO(stale.error.message);
    CHECK(stale.reason == RefusalReason::kStaleKey);
    CHECK(stale.error.message.contains("kvno 3"));

    std::filesystem::remove(home.http);
    CHECK(acceptor.accept(token).reason == RefusalReason::kUnreadableKeytab);
}

TEST_CASE("what is no ticket is refused") {
    Home home;
    GssAcceptor acceptor = home.acceptor();
    const core::Bytes token = token_of(home.login());
    CHECK(acceptor.accept("").reason == RefusalReason::kBadToken);
    CHECK(acceptor.accept("hello").reason == RefusalReason::kBadToken);
    CHECK(acceptor.accept(std::string(auth::kGssTokenBytesMax + 1, 'x')).reason == RefusalReason::kBadToken);
    CHECK(acceptor.accept(std::string("NTLMSSP\0\1\0\0\0", 12)).reason ==
          RefusalReason::kUnsupportedMechanism);
    for (size_t length = 1; length < token.size(); length += 37) {
        CHECK(acceptor.accept(token.substr(0, length)).state != AcceptOutcome::State::kComplete);
    }
    for (size_t i = 100; i < token.size(); i += 31) {
        core::Bytes damaged = token;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x55);
        CHECK(acceptor.accept(damaged).state != AcceptOutcome::State::kComplete);
    }
}

TEST_CASE("passwords are checked at the KDC, and the KDC against our key") {
    Home home;
    const auto check = [&](const std::string& principal, const char* password) {
        return auth::check_password({principal, password, home.http, "HTTP/localhost@SMACK.TEST"});
    };
    const auto good = check("alice@SMACK.TEST", TestRealm::kPassword);
    if (!good) FAIL(good.error().message);
    CHECK(good->principal == "alice@SMACK.TEST");
    CHECK(good->service == "HTTP/localhost@SMACK.TEST");
    CHECK_FALSE(good->logon);  // the embedded realm is no directory
    const auto wrong = check("alice@SMACK.TEST", "wrong");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == core::Errc::kUnauthenticated);
    const auto unknown = check("nobody@SMACK.TEST", "wrong");
    REQUIRE_FALSE(unknown);
    std::string text = unknown.error().message;
    text.replace(text.find("nobody"), 6, "alice");
    CHECK(text == wrong.error().message);
    CHECK_FALSE(check("alice@SMACK.TEST", ""));
    CHECK_FALSE(check("alice", TestRealm::kPassword));

    home.realm.put(home.realm.realm().change_options(home.realm.row("alice"), {.disabled = true}));
    CHECK(check("alice@SMACK.TEST", TestRealm::kPassword).error().message.contains("disabled"));
    home.realm.put(home.realm.realm().change_options(home.realm.row("alice"), {.expires_s = 1000}));
    CHECK(check("alice@SMACK.TEST", TestRealm::kPassword).error().message.contains("expired"));

    const auto dead = auth::check_password({"x@DEAD.TEST", "x", home.http, "HTTP/localhost@SMACK.TEST"});
    REQUIRE_FALSE(dead);
    CHECK(dead.error().code == core::Errc::kUnavailable);
    const auto unnamed =
        auth::check_password({"x@UNNAMED.TEST", "x", home.http, "HTTP/localhost@SMACK.TEST"});
    REQUIRE_FALSE(unnamed);
    CHECK(unnamed.error().code == core::Errc::kUnavailable);
    INFO(unnamed.error().message);
    CHECK(unnamed.error().message.contains("UNNAMED.TEST"));  // what the resolver says differs by machine
}

TEST_CASE("a fake KDC that knows a password of its own is refused") {
    TestRealm real("FAKE.TEST");
    const std::string http = real.add_with_keytab("HTTP/localhost");
    TestRealm fake("FAKE.TEST");
    fake.add_user("alice");
    fake.add_with_keytab("HTTP/localhost");
    fake.start_kdc();
    REQUIRE(ClientCredential::from_password("alice@FAKE.TEST", TestRealm::kPassword));
    const auto checked =
        auth::check_password({"alice@FAKE.TEST", TestRealm::kPassword, http, "HTTP/localhost@FAKE.TEST"});
    REQUIRE_FALSE(checked);
    CHECK(checked.error().code == core::Errc::kDenied);
    CHECK(checked.error().message.contains("not trusted"));
}

TEST_CASE("no ticket at all") {
    Home home;
    const auto none = ClientCredential::from_cache("FILE:" + home.realm.folder() + "/none.cc");
    REQUIRE_FALSE(none);
    CHECK(none.error().message.contains("kinit"));
    const std::string cache = "FILE:" + home.realm.folder() + "/robot.cc";
    REQUIRE(home.login().store(cache));
    const auto stored = ClientCredential::from_cache(cache);
    REQUIRE(stored);
    CHECK(stored->principal() == "robot@SMACK.TEST");
    CHECK(home.acceptor().accept(token_of(*stored)).state == AcceptOutcome::State::kComplete);
    const auto lacking = ClientCredential::from_keytab(home.http, "robot@SMACK.TEST");
    CHECK(lacking.error().message.contains("it has: HTTP/localhost@SMACK.TEST"));
}

TEST_CASE("no ticket is given for a person, and principals added later are known at once") {
    Home home;
    const ClientCredential credential = home.login();
    auto towards_alice = GssInitiator::open(credential, {"alice@localhost"});
    CHECK_FALSE((towards_alice && towards_alice->step()));
    CHECK_FALSE(ClientCredential::from_password("carol@SMACK.TEST", TestRealm::kPassword));
    home.realm.add_user("carol");
    CHECK(ClientCredential::from_password("carol@SMACK.TEST", TestRealm::kPassword));
}

TEST_CASE("two threads accept 10,000 tickets") {
    // With libkrb5's locks off, as a careless static link leaves them, this crashes or fails within seconds.
    constexpr int kTicketsEach = 5000;
    Home home;
    std::atomic<int> accepted{0};
    std::atomic<int> failed{0};
    const auto work = [&](int number) {
        auto credential = ClientCredential::from_keytab(home.robot, "");
        auto acceptor = GssAcceptor::open({home.http, "", home.realm.folder() + "/replays"});
        if (!credential || !acceptor) {
            failed++;
            return;
        }
        for (int i = 0; i < kTicketsEach; i++) {
            auto initiator = GssInitiator::open(*credential, {"HTTP@localhost", {}, (i + number) % 2 == 0});
            auto token = initiator ? initiator->step() : core::Result<core::Bytes>(core::Bytes());
            const AcceptOutcome outcome = acceptor->accept(token ? *token : core::Bytes());
            const bool mutual =
                outcome.state == AcceptOutcome::State::kComplete && initiator->step(outcome.token);
            (mutual && outcome.peer.principal == "robot@SMACK.TEST" ? accepted : failed)++;
        }
    };
    const auto begin = std::chrono::steady_clock::now();
    std::thread one(work, 0);
    std::thread two(work, 1);
    one.join();
    two.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    CHECK(accepted == 2 * kTicketsEach);
    CHECK(failed == 0);
    std::printf("two threads: %d tickets made and accepted in %.2f s\n", accepted.load(), took.count());
}

TEST_CASE("two threads share one credential") {
    Home home;
    GssAcceptor acceptor = home.acceptor();
    const ClientCredential credential = home.login();
    std::atomic<int> accepted{0};
    const auto work = [&] {
        for (int i = 0; i < 500; i++) {
            auto initiator = GssInitiator::open(credential, {"HTTP@localhost"});
            auto token = initiator ? initiator->step() : core::Result<core::Bytes>(core::Bytes());
            if (token && acceptor.accept(*token).state == AcceptOutcome::State::kComplete) accepted++;
        }
    };
    std::thread one(work);
    std::thread two(work);
    one.join();
    two.join();
    CHECK(accepted == 1000);
}
