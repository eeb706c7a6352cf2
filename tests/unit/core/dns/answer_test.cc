#include "core/dns/answer.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "core/dns/records.h"
#include "tests/unit/core/dns/packet.h"

namespace smackd::core::dns {
namespace {

using test::question;
using test::Reply;

wire::EdgeTask task(const std::string& id, const std::string& name, const std::string& own,
                    uint32_t host_port) {
    wire::EdgeTask task;
    task.set_id(id);
    task.set_framework("marathon");
    task.set_name(name);
    task.set_agent("c0ffee-S1");
    task.set_running(true);
    task.add_host_addresses("10.0.0.1");
    if (!own.empty()) task.add_addresses(own);
    wire::EdgeTaskPort& port = *task.add_ports();
    port.set_name("http");
    port.set_host_port(host_port);
    port.set_container_port(80);
    return task;
}

/// A zone with what the test adds.
struct World {
    World() {
        zone.authority = authority(rules, 42);
        zone.aliases = aliases(rules);
        wire::EdgeSettings settings;
        settings.add_leader_addresses("10.0.0.9");
        settings.add_name_server_addresses("10.0.0.1");
        wire::EdgeGroup& group = *settings.add_groups();
        group.add_dns_names("marathon-lb.marathon.mesos");
        group.add_dns_addresses("10.0.0.1");
        wire::EdgeHost& host = *settings.add_hosts();
        host.set_name("n1");
        host.add_addresses("10.0.0.1");
        host.add_addresses("fd00::1");
        host.set_server(true);
        host.set_agent(true);
        std::vector<std::string> problems;
        zone.set("settings", records_of(settings, rules, problems));
        REQUIRE(problems.empty());
    }
    void add(const wire::EdgeTask& of, TenantId tenant = kEverybody) {
        zone.set("task " + of.id(), records_of(of, rules, tenant));
    }
    Answer raw(const Bytes& packet, TenantId asker, size_t bytes_max) {
        Query query;
        REQUIRE(query.parse(packet));
        out.assign(65535, '\xee');
        return answer(zone, query, {asker, bytes_max == 0 ? query.udp_bytes : bytes_max, rotation}, out);
    }
    Reply ask(const std::string& name, uint16_t type, TenantId asker = kEverybody, size_t bytes_max = 0) {
        const Answer made = raw(question(name, type, 1232), asker, bytes_max);
        REQUIRE(made.whose == Whose::kOurs);
        return test::read_reply({out.data(), made.bytes});
    }

    NameRules rules;
    Zone zone;
    std::vector<char> out;
    uint32_t rotation = 0;
};

using Lines = std::vector<std::string>;

TEST_CASE("a task of a group is found by all forms of its name") {
    World world;
    world.add(task("abc", "web.team", "172.16.0.5", 31001));
    for (const char* name :
         {"web.team.marathon.mesos", "web-team.marathon.mesos", "web-team-igcuh-s1.marathon.mesos",
          "web.team.smack", "web-team.marathon.containerip.dcos.thisdcos.directory",
          "web-team.marathon.mesos.thisdcos.directory"}) {
        CHECK(world.ask(name, kTypeA).sections[0] == Lines{std::string(name) + " A 172.16.0.5"});
    }
    for (const char* name :
         {"web.team.marathon.slave.mesos", "web-team.marathon.slave.mesos",
          "web-team-igcuh-s1.marathon.slave.mesos", "web-team.marathon.agentip.dcos.thisdcos.directory"}) {
        CHECK(world.ask(name, kTypeA).sections[0] == Lines{std::string(name) + " A 10.0.0.1"});
    }
}

TEST_CASE("service records name the task and the port that belongs to the address, with glue") {
    World world;
    world.add(task("abc", "web.team", "172.16.0.5", 31001));
    Reply reply = world.ask("_web-team._tcp.marathon.mesos", kTypeSrv);
    CHECK(reply.sections[0] ==
          Lines{"_web-team._tcp.marathon.mesos SRV web-team-igcuh-s1.marathon.mesos:80"});
    CHECK(reply.sections[2] == Lines{"web-team-igcuh-s1.marathon.mesos A 172.16.0.5"});
    reply = world.ask("_web-team._tcp.marathon.slave.mesos", kTypeSrv);
    CHECK(reply.sections[0] ==
          Lines{"_web-team._tcp.marathon.slave.mesos SRV web-team-igcuh-s1.marathon.slave.mesos:31001"});
    CHECK(reply.sections[2] == Lines{"web-team-igcuh-s1.marathon.slave.mesos A 10.0.0.1"});
    CHECK(world.ask("_http._web-team._tcp.marathon.mesos", kTypeSrv).sections[0].size() == 1);
    CHECK(world.ask("_web-team._udp.marathon.mesos", kTypeSrv).rcode == kNameError);
}

TEST_CASE("the host's port is told where a task has no address of its own") {
    World world;
    world.add(task("abc", "web", "", 31001));
    CHECK(world.ask("_web._tcp.marathon.mesos", kTypeSrv).sections[0] ==
          Lines{"_web._tcp.marathon.mesos SRV web-igcuh-s1.marathon.mesos:31001"});
}

TEST_CASE("well-known names") {
    World world;
    CHECK(world.ask("leader.mesos", kTypeA).sections[0] == Lines{"leader.mesos A 10.0.0.9"});
    CHECK(world.ask("marathon.mesos", kTypeA).sections[0] == Lines{"marathon.mesos A 10.0.0.9"});
    CHECK(world.ask("marathon-lb.marathon.mesos", kTypeA).sections[0].size() == 1);
    CHECK(world.ask("master0.mesos", kTypeA).sections[0].size() == 1);
    CHECK(world.ask("n1.node.smack", kTypeAaaa).sections[0] ==
          Lines{"n1.node.smack AAAA fd000000000000000000000000000001"});
    CHECK(world.ask("_leader._tcp.mesos", kTypeSrv).sections[0] ==
          Lines{"_leader._tcp.mesos SRV leader.mesos:5050"});
    CHECK(world.ask("mesos", kTypeSoa).sections[0] == Lines{"mesos SOA ns1.mesos"});
    CHECK(world.ask("mesos", kTypeNs).sections[0] == Lines{"mesos NS ns1.mesos"});
    CHECK(world.ask("ns1.mesos", kTypeA).sections[0] == Lines{"ns1.mesos A 10.0.0.1"});
}

TEST_CASE("what is not there: NXDOMAIN, NODATA and empty names, each with SOA") {
    World world;
    world.add(task("abc", "web.team", "172.16.0.5", 31001));
    Reply reply = world.ask("nobody.marathon.mesos", kTypeA);
    CHECK(reply.rcode == kNameError);
    CHECK(reply.sections[1] == Lines{"mesos SOA ns1.mesos"});
    reply = world.ask("leader.mesos", kTypeAaaa);
    CHECK(reply.rcode == kNoError);
    CHECK(reply.sections[0].empty());
    CHECK(reply.sections[1] == Lines{"mesos SOA ns1.mesos"});
    CHECK(world.ask("team.marathon.mesos", kTypeA).rcode == kNoError);  // web.team is below it
    CHECK(world.ask("nobody.smack", kTypeA).sections[1] == Lines{"smack SOA ns1.mesos"});
}

TEST_CASE("the question comes back in its own spelling") {
    World world;
    const Reply reply = world.ask("LeAdEr.MESOS", kTypeA);
    CHECK(reply.name == "LeAdEr.MESOS");
    CHECK(reply.id == 7);
    CHECK(reply.sections[0] == Lines{"LeAdEr.MESOS A 10.0.0.9"});
    CHECK((reply.flags & kFlagAuthoritative) != 0);
    CHECK(reply.edns);
}

TEST_CASE("names go with their task, and empty ones with them") {
    World world;
    const size_t before = world.zone.names();
    world.add(task("abc", "web.team", "172.16.0.5", 31001));
    world.add(task("abd", "web.team", "172.16.0.6", 31002));
    CHECK(world.ask("web-team.marathon.mesos", kTypeA).sections[0].size() == 2);
    CHECK(world.ask("web-team.marathon.slave.mesos", kTypeA).sections[0].size() == 1);  // one host, said once
    auto gone = task("abc", "web.team", "172.16.0.5", 31001);
    gone.set_draining(true);
    world.add(gone);
    CHECK(world.ask("web-team.marathon.mesos", kTypeA).sections[0] ==
          Lines{"web-team.marathon.mesos A 172.16.0.6"});
    gone.set_id("abd");
    gone.set_draining(false);
    gone.set_health(wire::EdgeTask::UNHEALTHY);
    world.add(gone);
    CHECK(world.ask("web-team.marathon.mesos", kTypeA).rcode == kNameError);
    CHECK(world.zone.names() == before);
}

TEST_CASE("a set begins with another record each time") {
    World world;
    for (int i = 1; i <= 3; ++i)
        world.add(task("t" + std::to_string(i), "web", "172.16.0." + std::to_string(i), 1));
    std::vector<std::string> first;
    for (world.rotation = 0; world.rotation < 3; ++world.rotation)
        first.push_back(world.ask("web.marathon.mesos", kTypeA).sections[0].front());
    std::ranges::sort(first);
    CHECK(first == Lines{"web.marathon.mesos A 172.16.0.1", "web.marathon.mesos A 172.16.0.2",
                         "web.marathon.mesos A 172.16.0.3"});
}

TEST_CASE("what does not fit into UDP is truncated; over TCP all of it comes") {
    World world;
    for (int i = 0; i < 200; ++i)
        world.add(task("t" + std::to_string(i), "web", "172.16.1." + std::to_string(i), 1));
    Reply reply = world.ask("web.marathon.mesos", kTypeA);
    CHECK((reply.flags & kFlagTruncated) != 0);
    CHECK(reply.sections[0].size() < 200);
    reply = world.ask("web.marathon.mesos", kTypeA, kEverybody, kMessageBytesMax);
    CHECK((reply.flags & kFlagTruncated) == 0);
    CHECK(reply.sections[0].size() == 200);
    const Answer plain = world.raw(question("web.marathon.mesos", kTypeA), kEverybody, 0);
    CHECK(plain.bytes <= kUdpBytesPlain);
}

TEST_CASE("glue that does not fit is left out without truncation") {
    World world;
    for (int i = 0; i < 20; ++i)
        world.add(task("t" + std::to_string(i), "web", "172.16.1." + std::to_string(i), 1));
    const Reply reply = world.ask("_web._tcp.marathon.mesos", kTypeSrv);
    CHECK((reply.flags & kFlagTruncated) == 0);
    CHECK(reply.sections[0].size() == 20);
    CHECK(reply.sections[2].size() < 20);
}

TEST_CASE("tasks see their own tenant's names and everybody's, and of others not even that they are there") {
    World world;
    TenantNumbers tenants;
    const TenantId a = tenants.of("/a");
    const TenantId b = tenants.of("/b");
    world.add(task("abc", "web.a", "172.16.0.5", 1), a);
    CHECK(world.ask("web.a.marathon.mesos", kTypeA, a).sections[0].size() == 1);
    CHECK(world.ask("web.a.marathon.mesos", kTypeA).sections[0].size() == 1);
    for (const char* name :
         {"web.a.marathon.mesos", "a.marathon.mesos", "web-a-igcuh-s1.marathon.mesos", "web.a.smack"})
        CHECK(world.ask(name, kTypeA, b).rcode == kNameError);
    CHECK(world.ask("web.a.marathon.mesos", kTypeAny, b).sections[0].empty());
    CHECK(world.ask("leader.mesos", kTypeA, b).sections[0].size() == 1);
}

TEST_CASE(
    "who asks is known by the address: a tenant's task, a common one, a task that is not known yet, others") {
    World world;
    TenantNumbers tenants;
    const TenantId a = tenants.of("a");
    const auto address = [](const char* text) { return *IpAddress::parse(text); };
    CHECK(world.zone.tenant_of(address("10.64.0.2")) == kEverybody);
    world.zone.task_networks.push_back(*IpNetwork::parse("10.64.0.0/24"));
    world.zone.set_source("task 1", {address("10.64.0.2")}, a);
    world.zone.set_source("task 2", {address("10.64.0.3")}, kEverybody);
    CHECK(world.zone.tenant_of(address("10.64.0.2")) == a);
    CHECK(world.zone.tenant_of(address("10.64.0.3")) == kEverybody);
    CHECK(world.zone.tenant_of(address("10.64.0.4")) == kStranger);
    CHECK(world.zone.tenant_of(address("127.0.0.1")) == kEverybody);
    world.add(task("abc", "web.a", "172.16.0.5", 1), a);
    CHECK(world.ask("web.a.marathon.mesos", kTypeA, kStranger).rcode == kNameError);
    CHECK(world.ask("leader.mesos", kTypeA, kStranger).sections[0].size() == 1);
    world.zone.set_source("task 1", {}, kEverybody);
    CHECK(world.zone.tenant_of(address("10.64.0.2")) == kStranger);
}

TEST_CASE("static names are zones of their own; the rest is forwarded") {
    World world;
    wire::EdgeName name;
    name.set_name("p1.dcos");
    name.add_addresses("10.0.0.1");
    auto records = records_of(name, world.rules, kEverybody);
    REQUIRE(records);
    world.zone.set("name p1.dcos", std::move(*records));
    CHECK(world.ask("p1.dcos", kTypeA).sections[0] == Lines{"p1.dcos A 10.0.0.1"});
    CHECK(world.ask("p1.dcos", kTypeAaaa).sections[1] == Lines{"p1.dcos SOA ns1.mesos"});
    CHECK(world.raw(question("p2.dcos", kTypeA), kEverybody, 0).whose == Whose::kForeign);
    CHECK(world.raw(question("example.org", kTypeA), kEverybody, 0).whose == Whose::kForeign);
    name.set_addresses(0, "10.0.0.300");
    CHECK_FALSE(records_of(name, world.rules, kEverybody));
}

TEST_CASE("an alias brings the records of what it stands for") {
    World world;
    wire::EdgeName name;
    name.set_name("boss.smack");
    name.set_alias("leader.mesos");
    world.zone.set("name boss.smack", *records_of(name, world.rules, kEverybody));
    CHECK(world.ask("boss.smack", kTypeA).sections[0] ==
          Lines{"boss.smack CNAME leader.mesos", "leader.mesos A 10.0.0.9"});
}

TEST_CASE("zone walks, other classes, other operations and malformed packets are refused") {
    World world;
    CHECK(world.ask("mesos", kTypeAxfr).rcode == kRefused);
    Bytes packet = question("mesos", kTypeA);
    packet[packet.size() - 1] = 3;  // CHAOS
    auto rcode = [&](const Bytes& bytes) {
        const Answer made = world.raw(bytes, kEverybody, 0);
        return test::read_reply({world.out.data(), made.bytes}).rcode;
    };
    CHECK(rcode(packet) == kRefused);
    packet = question("mesos", kTypeA);
    packet[2] = 0x28;  // UPDATE
    CHECK(rcode(packet) == kNotImplemented);
    packet = question("mesos", kTypeA);
    packet[5] = 2;  // two questions
    CHECK(rcode(packet) == kFormatError);
    packet = question("mesos", kTypeA);
    packet[kHeaderBytes] = '\xc0';  // a pointer in the question
    CHECK(rcode(packet) == kFormatError);
    packet = question("mesos", kTypeA, 4096);
    packet[packet.size() - 5] = 1;  // EDNS version 1
    CHECK(world.raw(packet, kEverybody, 0).rcode == kBadVersion);
    Query query;
    CHECK_FALSE(query.parse("short"));
    packet = question("mesos", kTypeA);
    packet[2] = '\x81';  // an answer
    CHECK_FALSE(query.parse(packet));
}

}  // namespace
}  // namespace smackd::core::dns
