#include "services/agent/users.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;
using namespace smackd::agent;

namespace {
constexpr const char* kPasswd =
    "root:x:0:0:root:/root:/bin/bash\n"
    "broken line\n"
    "app:x:1000:1001:App:/srv/app:/bin/sh\n"
    "bad:x:notanumber:1:::\n"
    "huge:x:70000:70000::/:\n"
    "last:x:7:8::relative:";
constexpr const char* kGroup =
    "root:x:0:\nstaff:x:50:app,last\nwheel:x:10:app\napps:x:1001:\nfar:x:99999:app\n";
}  // namespace

TEST_CASE("a user by name has its group, home and supplementary groups") {
    const auto user = find_user("app", kPasswd, kGroup);
    REQUIRE(user);
    CHECK(user->uid == 1000);
    CHECK(user->gid == 1001);
    CHECK(user->home == "/srv/app");
    CHECK(user->groups == std::vector<uint32_t>{50, 10});  // ids that do not exist in a task are left out
    CHECK(find_user("last", kPasswd, kGroup)->home == "/");
}

TEST_CASE("nobody named is root, also in an image without files") {
    CHECK(find_user("", "", "")->uid == 0);
    CHECK(find_user("0", "", "")->gid == 0);
    CHECK(find_user("root", kPasswd, kGroup)->home == "/root");
    CHECK(find_user("root", "", "").error().code == core::Errc::kNotFound);
}

TEST_CASE("numbers need no entry; a group given wins") {
    CHECK(find_user("1234", kPasswd, kGroup)->gid == 0);
    CHECK(find_user("1000", kPasswd, kGroup)->gid == 1001);
    CHECK(find_user("1000:5", kPasswd, kGroup)->gid == 5);
    CHECK(find_user("app:wheel", kPasswd, kGroup)->gid == 10);
    CHECK(find_user("app:wheel", kPasswd, kGroup)->groups.empty());
    CHECK(find_user(":wheel", kPasswd, kGroup)->uid == 0);
}

TEST_CASE("what is not there or out of a task's range is refused") {
    for (const char* user : {"nobody-here", "app:nogroup", "bad", "-1", "4294967296"})
        CHECK(find_user(user, kPasswd, kGroup).error().code == core::Errc::kNotFound);
    for (const char* user : {"huge", "65536", "1:65536", "4294967295"})
        CHECK(find_user(user, kPasswd, kGroup).error().code == core::Errc::kInvalid);
}
