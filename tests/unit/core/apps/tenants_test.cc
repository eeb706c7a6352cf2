#include "core/apps/tenants.h"

#include <catch2/catch_test_macros.hpp>

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

}  // namespace
}  // namespace smackd::apps
