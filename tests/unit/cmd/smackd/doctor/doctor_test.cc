#include "cmd/smackd/doctor/doctor.h"

#include <catch2/catch_test_macros.hpp>

#include "cmd/smackd/doctor/data.h"
#include "cmd/smackd/doctor/kerberos.h"
#include "cmd/smackd/doctor/machine.h"
#include "cmd/smackd/doctor/names.h"
#include "cmd/smackd/doctor/settings.h"
#include "cmd/smackd/doctor/socket_table.h"

namespace smackd::cmd {
namespace {

/// Whoever is told that something is wrong is told what to do, and what to type.
bool is_whole(const Finding& finding) {
    const bool ok = finding.verdict == Verdict::kOk;
    return !finding.message.empty() && finding.advice.empty() == ok && finding.fix.empty() == ok;
}

constexpr uint64_t kManyFiles = 1'000'000;

TEST_CASE("findings as text and as JSON") {
    const Finding finding = failed("keytab", "it is gone", "put it back", "cp a b");
    CHECK(finding_text(finding) == "fail  keytab: it is gone\n      -> put it back\n      $  cp a b");
    CHECK(finding_text(fine("disk", "1 GiB")) == "ok    disk: 1 GiB");
    CHECK(finding_json(finding)["fix"].as_string() == "cp a b");
}

TEST_CASE("free space") {
    CHECK(judge_free_space("/x", kFreeBytesWarn, kManyFiles).verdict == Verdict::kOk);
    CHECK(judge_free_space("/x", kFreeBytesWarn - 1, kManyFiles).verdict == Verdict::kWarn);
    const Finding full = judge_free_space("/x", kFreeBytesFail - 1, kManyFiles);
    CHECK(full.verdict == Verdict::kFail);
    CHECK(is_whole(full));
    CHECK(judge_free_space("/x", kFreeBytesWarn, 10).message.contains("only 10 more files"));
}

TEST_CASE("time of a write") {
    CHECK(judge_sync_time(kSyncWarn / 2).verdict == Verdict::kOk);
    CHECK(judge_sync_time(kSyncWarn).verdict == Verdict::kWarn);
    CHECK(judge_sync_time(kSyncFail).verdict == Verdict::kFail);
    CHECK(is_whole(judge_sync_time(kSyncFail)));
}

TEST_CASE("clock") {
    CHECK(judge_clock(1'000'000, 1'000'000 + kClockSkewWarnMs - 1, "the server's").verdict == Verdict::kOk);
    CHECK(judge_clock(1'000'000 + kClockSkewWarnMs, 1'000'000, "the server's").verdict == Verdict::kWarn);
    const Finding behind = judge_clock(1'000'000, 1'000'000 + kClockSkewFailMs, "the server's");
    CHECK(behind.verdict == Verdict::kFail);
    CHECK(behind.message == "this machine's clock is 2 min behind the server's");
    CHECK(judge_clock(kClockSkewFailMs, 0, "the server's").message.contains("ahead of the server's"));
}

TEST_CASE("modes of key files") {
    CHECK(judge_mode("/k", 0600, 0600).verdict == Verdict::kOk);
    CHECK(judge_mode("/k", 0400, 0600).verdict == Verdict::kOk);
    const Finding open = judge_mode("/k", 0640, 0600);
    CHECK(open.verdict == Verdict::kFail);
    CHECK(open.fix == "chmod 0600 /k");
}

TEST_CASE("memory of the machine and of its group") {
    CHECK(judge_memory(kMemoryWarn, 0).verdict == Verdict::kOk);
    CHECK(judge_memory(kMemoryWarn - 1, 0).verdict == Verdict::kWarn);
    const Finding limited = judge_memory(8 * kMemoryWarn, kMemoryFail - 1);
    CHECK(limited.verdict == Verdict::kFail);
    CHECK(limited.fix.contains("MemoryMax"));
    CHECK(judge_memory(kMemoryWarn, 8 * kMemoryWarn).verdict == Verdict::kOk);
    CHECK(is_whole(judge_memory(1, 0)));
}

TEST_CASE("open files") {
    CHECK(judge_descriptors(kDescriptorsWarn).verdict == Verdict::kOk);
    CHECK(judge_descriptors(kDescriptorsWarn - 1).verdict == Verdict::kWarn);
    CHECK(judge_descriptors(kDescriptorsFail - 1).verdict == Verdict::kFail);
    CHECK(is_whole(judge_descriptors(1)));
    CHECK(parse_open_files_limit(
              "Limit  Soft Limit  Hard Limit\n"
              "Max open files            1024                 524288               files\n") == 524288);
    CHECK(parse_open_files_limit("Max open files  1024  unlimited  files\n") == 0);
    CHECK(parse_open_files_limit("") == 0);
}

TEST_CASE("names") {
    const std::vector<std::string> own{"127.0.0.1", "10.0.0.5"};
    CHECK(judge_own_name("n1", {"10.0.0.5"}, own, false).verdict == Verdict::kOk);
    CHECK(judge_own_name("n1", {"127.0.1.1"}, own, false).verdict == Verdict::kWarn);
    CHECK(judge_own_name("n1", {"127.0.1.1"}, own, true).verdict == Verdict::kOk);
    CHECK(judge_own_name("n1", {"10.0.0.9"}, own, false).verdict == Verdict::kFail);
    CHECK(judge_own_name("n1", {}, own, false).verdict == Verdict::kFail);
    CHECK(judge_other_name("n2", {"10.0.0.6"}, own).empty());
    CHECK(judge_other_name("n2", {"10.0.0.5"}, own).at(0).verdict == Verdict::kFail);
    CHECK(judge_other_name("n2", {"127.0.0.1"}, own).at(0).message.contains("this machine itself"));
    CHECK(is_whole(judge_other_name("n2", {}, own).at(0)));
}

TEST_CASE("keytabs") {
    const KerberosChecks checks{"n1", "EXAMPLE.ORG", "/k", true};
    auth::Keytab keytab;
    keytab.add({"smack/n1@EXAMPLE.ORG", 1, 18, "key"});
    CHECK(judge_keytab(keytab, checks).message.contains("HTTP/n1@EXAMPLE.ORG"));
    keytab.add({"HTTP/n1@EXAMPLE.ORG", 1, 18, "key"});
    CHECK(judge_keytab(keytab, checks).verdict == Verdict::kOk);
    auth::Keytab foreign;
    foreign.add({"smack/n1@OTHER.ORG", 1, 18, "key"});
    const Finding other = judge_keytab(foreign, checks);
    CHECK(other.advice.contains("another realm"));
    CHECK(is_whole(other));
}

TEST_CASE("answers of KDCs") {
    const KerberosChecks checks{"n1", "EXAMPLE.ORG", "/k", true};
    using enum auth::KdcAnswer::Says;
    CHECK(judge_kdc("k:88", {kKnows}, checks).verdict == Verdict::kOk);
    for (const auto says : {kUnknownPrincipal, kWrongRealm, kOther}) {
        const Finding finding = judge_kdc("k:88", {says, {}, "why"}, checks);
        CHECK(finding.verdict != Verdict::kOk);
        CHECK(is_whole(finding));
    }
}

TEST_CASE("a question for a KDC, and what is no answer of one") {
    auto question = auth::kdc_question("smack/n1@EXAMPLE.ORG");
    REQUIRE(question);
    CHECK((*question)[0] == 0x6a);  // AS-REQ
    CHECK_FALSE(auth::kdc_question("no realm"));
    CHECK_FALSE(auth::read_kdc_answer(""));
    CHECK_FALSE(auth::read_kdc_answer("hello"));
    CHECK_FALSE(
        auth::read_kdc_answer("\x7e\x03"
                              "abc"));
}

TEST_CASE("sockets that listen") {
    const std::string_view text =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 "
        "x\n"
        "   1: 0100007F:1389 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 "
        "x\n";
    const auto tcp = parse_socket_table(text, net::ListenKind::kTcp, false);
    REQUIRE(tcp.size() == 1);
    CHECK(tcp[0].port == 5000);
    CHECK(tcp[0].inode == 4711);
    CHECK(tcp[0].address == "0100007F");
    CHECK(parse_socket_table(text, net::ListenKind::kUdp, false).size() == 2);
    CHECK(parse_socket_table("", net::ListenKind::kTcp, false).empty());
}

TEST_CASE("a node that is told another name") {
    NodeIdentity node;
    node.name = "n1";
    Config config;
    config.node_name = "n1";
    CHECK(judge_settings(config, &node).verdict == Verdict::kOk);
    config.node_name = "n7";
    CHECK(judge_settings(config, &node).verdict == Verdict::kWarn);
    CHECK(judge_settings(config, nullptr).verdict == Verdict::kOk);
}

}  // namespace
}  // namespace smackd::cmd
