#include "core/apps/tenants.h"

#include <catch2/catch_test_macros.hpp>
#include <set>

namespace smackd::apps {
namespace {

TEST_CASE("an app belongs to the tenant with the longest path at or above it") {
    Tenants tenants;
    CHECK(tenants.of("/a/web").empty());
    tenants.set("a", {"/a", "/shared/a"});
    tenants.set("b", {"/b", "/a/b"});
    CHECK(tenants.of("/a") == "a");
    CHECK(tenants.of("/a/web/deep") == "a");
    CHECK(tenants.of("/a/b/web") == "b");
    CHECK(tenants.of("/shared/a/web") == "a");
    for (const char* common : {"/ab", "/shared", "/shared/ab", "/", "", "a"})
        CHECK(tenants.of(common).empty());
    tenants.set("b", {"/b"});
    CHECK(tenants.of("/a/b/web") == "a");
    tenants.set("a", {});
    CHECK(tenants.of("/a/web").empty());
    CHECK(tenants.all().size() == 1);
}

TEST_CASE("two tenants with one path: the first by name has it, whoever came first") {
    Tenants one;
    one.set("a", {"/x"});
    one.set("b", {"/x"});
    Tenants other;
    other.set("b", {"/x"});
    other.set("a", {"/x"});
    CHECK(one.of("/x/web") == "a");
    CHECK(other.of("/x/web") == "a");
    other.set("a", {});
    CHECK(other.of("/x/web") == "b");
}

TEST_CASE("what a tenant may not be") {
    Tenants tenants;
    tenants.set("a", {"/a"});
    CHECK(tenants.check("b", {"/b", "/a/b"}));
    CHECK(tenants.check("a", {"/a", "/c"}));
    const auto refused = [&](const std::string& name, const std::vector<std::string>& paths) {
        const auto checked = tenants.check(name, paths);
        REQUIRE_FALSE(checked);
        return checked.error();
    };
    CHECK(refused("b", {"/a"}).code == core::Errc::kConflict);
    CHECK(refused("b", {"/a"}).message.contains("'a'"));
    CHECK(refused("b", {}).message.contains("paths"));
    CHECK(refused("b", {"/"}).message.contains("everybody"));
    for (const char* path : {"b", "/b/", "/b//c", "/b/../a", "/B", "/b,c"})
        CHECK(refused("b", {path}).code == core::Errc::kInvalid);
    CHECK(refused("B b", {"/b"}).message.contains("tenant"));
    CHECK(refused("b", std::vector<std::string>(kTenantPathsMax + 1, "/b")).code == core::Errc::kInvalid);
    for (size_t i = tenants.all().size(); i < kTenantsMax; ++i)
        tenants.set("t" + std::to_string(i), {"/t" + std::to_string(i)});
    CHECK(refused("b", {"/b"}).code == core::Errc::kBusy);
    CHECK(tenants.check("a", {"/c"}));
}

TEST_CASE("tenants have numbers, each its own, and keep them") {
    Tenants tenants;
    tenants.set("a", {"/a"});
    tenants.set("b", {"/b"});
    // Without rows: every node finds the same ones.
    const auto without = tenants.numbers();
    REQUIRE(without.size() == 2);
    CHECK(without.at("a") != without.at("b"));
    CHECK(tenants.number_for("a") == without.at("a"));
    // A row counts, whatever it says.
    tenants.set_number(77, "b");
    CHECK(tenants.numbers().at("b") == 77);
    CHECK(tenants.numbers().at("a") == without.at("a"));
    // One whose place another one has takes the next.
    tenants.set_number(without.at("a"), "b");
    CHECK(tenants.numbers().at("a") != without.at("a"));
    CHECK(tenants.numbers().at("b") == std::min(77U, without.at("a")));
    // A number that a tenant which is gone still has is not given away.
    tenants.set("b", {});
    CHECK_FALSE(tenants.numbers().contains("b"));
    CHECK(tenants.number_for("a") != without.at("a"));
    tenants.set_number(without.at("a"), "");
    CHECK(tenants.number_for("a") == without.at("a"));
    // The common number and what does not fit into a packet are nobody's.
    tenants.set_number(kCommonTenant, "a");
    tenants.set_number(65536, "a");
    CHECK(tenants.numbers().at("a") == without.at("a"));
}

TEST_CASE("a thousand tenants have a thousand numbers, in whatever order they came") {
    Tenants forth;
    Tenants back;
    for (int i = 0; i < 1000; ++i) forth.set("t" + std::to_string(i), {"/t" + std::to_string(i)});
    for (int i = 999; i >= 0; --i) back.set("t" + std::to_string(i), {"/t" + std::to_string(i)});
    const auto numbers = forth.numbers();
    CHECK(numbers == back.numbers());
    std::set<uint32_t> different;
    for (const auto& [name, number] : numbers) {
        different.insert(number);
        CHECK((number >= kTenantNumberFirst && number <= kTenantNumberLast));
    }
    CHECK(different.size() == 1000);
}

TEST_CASE("what is allowed between tenants") {
    Tenants tenants;
    tenants.set("a", {"/a"});
    tenants.set("b", {"/b"});
    tenants.allow("a", "b", {{8080, false}, {53, true}, {8080, false}});
    REQUIRE(tenants.allowances().size() == 1);
    CHECK(tenants.allowances().at({"a", "b"}) == Tenants::Ports{{53, true}, {8080, false}});
    tenants.allow("a", "gone", Tenants::all_ports());
    CHECK(tenants.allowances().size() == 1);
    tenants.set("gone", {"/gone"});
    CHECK(tenants.allowances().size() == 2);
    tenants.allow("a", "b", {});
    CHECK_FALSE(tenants.allowances().contains({"a", "b"}));
    CHECK(tenants.check_allowance("a", "b", Tenants::all_ports()));
    CHECK(tenants.check_allowance("a", "nobody", Tenants::all_ports()).error().code == core::Errc::kNotFound);
    CHECK(tenants.check_allowance("a", "a", Tenants::all_ports()).error().code == core::Errc::kInvalid);
    CHECK(tenants.check_allowance("a", "b", {}).error().message.contains("ports"));
    const Tenants::Ports many(kAllowedPortsMax + 1, TenantPort{80, false});
    CHECK(tenants.check_allowance("a", "b", many).error().code == core::Errc::kInvalid);
}

TEST_CASE("ports of allowances") {
    CHECK(*parse_tenant_port("8080") == TenantPort{8080, false});
    CHECK(*parse_tenant_port("8080/tcp") == TenantPort{8080, false});
    CHECK(*parse_tenant_port("53/udp") == TenantPort{53, true});
    CHECK(format_tenant_port({53, true}) == "53/udp");
    for (const char* text : {"", "0", "65536", "80/", "80/icmp", "/tcp", "80 ", "-1", "80/tcp/udp"})
        CHECK(parse_tenant_port(text).error().message.contains("1 to 65535"));
}

}  // namespace
}  // namespace smackd::apps
