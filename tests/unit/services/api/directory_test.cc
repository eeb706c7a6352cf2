// Sign-ins with tickets of a Windows directory: groups, users that come with them, and tickets that say less.
#include "tests/unit/services/api/world.h"

using namespace smackd;
using test::Answer;
using test::ApiWorld;
using test::negotiate;

namespace {

const std::string kOps = "S-1-5-21-1-2-3-1104";

/// A cluster whose `ops` may do everything, with the directory's group of it listed.
struct Office {
    ApiWorld world{false};

    Office() {
        REQUIRE(world.as("admin", "PUT", "/smack/v1/groups/ops", "{}").status == 200);
        REQUIRE(world
                    .as("admin", "PUT", "/smack/v1/rules/ops",
                        R"({"subject": "group:ops", "actions": ["admin"]})")
                    .status == 200);
        const Answer mapped = world.as("admin", "PUT", "/smack/v1/directory-groups/" + kOps,
                                       R"({"group": "ops", "note": "EXAMPLE\\smack-ops"})");
        INFO(mapped.body);
        REQUIRE(mapped.status == 200);
    }

    void directory_says(const std::string& user, std::vector<std::string> sids, int64_t signed_in_s) {
        auth::GssPeer& peer = world.kerberos.peers[user + "@EXAMPLE.COM"];
        peer.signed_in_s = signed_in_s;
        peer.logon = auth::LogonInfo{user, "Carla", "S-1-5-21-1-2-3-1103", std::move(sids)};
    }
    Answer whoami(const std::string& user) {
        return world.send("GET", "/smack/v1/whoami", {{"Authorization", negotiate(user + "@EXAMPLE.COM")}});
    }
    std::string groups(const std::string& user) { return whoami(user).json()["groups"].dump(); }
};

}  // namespace

TEST_CASE("whoever is in a listed group gets in, with its rights") {
    Office office;
    Answer answer = office.whoami("carla");
    CHECK(answer.status == 403);
    CHECK(answer.message().contains("no user 'carla'"));
    office.directory_says("carla", {"S-1-5-21-1-2-3-513"}, 100);
    CHECK(office.whoami("carla").status == 403);

    office.directory_says("carla", {kOps, "S-1-5-21-1-2-3-513"}, 100);
    CHECK(office.groups("carla") == R"(["ops"])");
    const Answer made = office.world.as("carla", "PUT", "/smack/v1/groups/new", "{}");
    INFO(made.body);
    CHECK(made.status == 200);
    const core::Json user = office.world.as("admin", "GET", "/smack/v1/users/carla").json();
    CHECK(user["full_name"].as_string() == "Carla");
    CHECK(user["groups"].dump() == R"(["ops"])");
    const size_t proposed = office.world.state->proposed.size();
    CHECK(office.groups("carla") == R"(["ops"])");  // nothing new: nothing is written
    CHECK(office.world.state->proposed.size() == proposed);
}

TEST_CASE("a newer ticket takes a group away, from tokens in hand too") {
    Office office;
    office.directory_says("carla", {kOps}, 100);
    CHECK(office.world.as("carla", "GET", "/smack/v1/users").status == 200);
    SECTION("it names the group no more") {
        office.directory_says("carla", {}, 200);
    }
    SECTION("it has no word of the directory at all") {
        office.world.kerberos.peers["carla@EXAMPLE.COM"].logon.reset();
        office.world.kerberos.peers["carla@EXAMPLE.COM"].signed_in_s = 200;
    }
    CHECK(office.groups("carla") == "[]");
    CHECK(office.world.as("carla", "PUT", "/smack/v1/groups/new", "{}").status == 403);
    office.directory_says("carla", {kOps}, 199);  // an old ticket that was kept
    CHECK(office.groups("carla") == "[]");
}

TEST_CASE("a password sign-in brings the groups as well") {
    Office office;
    office.world.kerberos.passwords["carla@EXAMPLE.COM"] = "correct horse battery";
    office.directory_says("carla", {kOps}, 100);
    const Answer answer = office.world.send("POST", "/smack/v1/login", {{"Content-Type", "application/json"}},
                                            R"({"user": "carla", "password": "correct horse battery"})");
    INFO(answer.body);
    REQUIRE(answer.status == 200);
    CHECK(office.world
              .send("GET", "/smack/v1/whoami",
                    {{"Authorization", "Bearer " + answer.json()["token"].as_string()}})
              .json()["groups"]
              .dump() == R"(["ops"])");
}

TEST_CASE("another name of an account is not that name's user") {
    Office office;
    office.directory_says("alice", {kOps}, 100);
    office.world.kerberos.peers["alice@EXAMPLE.COM"].logon->account = "alice$";
    const Answer answer = office.whoami("alice");
    CHECK(answer.status == 403);
    CHECK(answer.message().contains("another name of the directory's account 'alice$'"));
}

TEST_CASE("an older ticket brings back no group that a newer one did without, also between") {
    Office office;
    office.directory_says("carla", {kOps}, 100);
    CHECK(office.groups("carla") == R"(["ops"])");
    office.directory_says("carla", {}, 200);
    CHECK(office.groups("carla") == "[]");
    office.directory_says("carla", {}, 400);  // says the same: the state learns its time
    CHECK(office.groups("carla") == "[]");
    office.directory_says("carla", {kOps}, 300);
    CHECK(office.groups("carla") == "[]");
    // Without a leader only news about groups keep somebody out.
    office.world.state->failure = core::Error{core::Errc::kUnavailable, "no leader", 0};
    office.directory_says("carla", {}, 600);
    CHECK(office.groups("carla") == "[]");
    office.directory_says("carla", {kOps}, 700);
    CHECK(office.whoami("carla").status == 503);
}

TEST_CASE("a full name that is none for us does not stand in the way") {
    Office office;
    office.directory_says("carla", {kOps}, 100);
    office.world.kerberos.peers["carla@EXAMPLE.COM"].logon->full_name = "Carla\nAdmin";
    CHECK(office.groups("carla") == R"(["ops"])");
    CHECK(office.world.as("admin", "GET", "/smack/v1/users/carla").json()["full_name"].as_string().empty());
}

TEST_CASE("what cannot be read or kept refuses the sign-in") {
    Office office;
    office.world.kerberos.peers["carla@EXAMPLE.COM"].logon_problem =
        "logon info of the ticket: it is cut short";
    Answer answer = office.whoami("carla");
    CHECK(answer.status == 401);
    CHECK(answer.message().contains("cut short"));
    office.world.kerberos.peers.clear();
    office.directory_says("carla", {kOps}, 100);
    office.world.state->failure = core::Error{core::Errc::kUnavailable, "no leader", 0};
    answer = office.whoami("carla");
    CHECK(answer.status == 503);
    CHECK(answer.message().contains("no leader"));
}

TEST_CASE("only admins list groups of the directory, and only of a directory") {
    Office office;
    CHECK(office.world.as("alice", "PUT", "/smack/v1/directory-groups/S-1-5-32-544", R"({"group": "ops"})")
              .status == 403);
    CHECK(office.world.as("admin", "PUT", "/smack/v1/directory-groups/EXAMPLE%5Cops", R"({"group": "ops"})")
              .status == 422);
    CHECK(office.world.as("admin", "PUT", "/smack/v1/directory-groups/S-1-5-32-544", R"({"group": "none"})")
              .status == 404);
    const core::Json listed = office.world.as("admin", "GET", "/smack/v1/directory-groups").json();
    CHECK(listed["directory_groups"].as_array().size() == 1);
    CHECK(office.world.as("admin", "DELETE", "/smack/v1/directory-groups/" + kOps).status == 200);

    ApiWorld embedded;
    const Answer answer =
        embedded.as("admin", "PUT", "/smack/v1/directory-groups/" + kOps, R"({"group": "admins"})");
    CHECK(answer.message().contains("smackd group add"));
}
