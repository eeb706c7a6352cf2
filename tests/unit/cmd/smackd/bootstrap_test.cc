#include "cmd/smackd/bootstrap.h"

#include <stdlib.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>

#include "auth/keytab.h"
#include "core/wire/command.pb.h"
#include "net/system_clock.h"

namespace smackd::cmd {
namespace {

struct TemporaryDirectory {
    std::string path = "/tmp/smackd_test_XXXXXX";
    TemporaryDirectory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
    ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

BootstrapPlan plan_for(const std::string& directory) {
    BootstrapPlan plan;
    plan.directory = directory;
    plan.node_name = "n1.example.org";
    plan.realm = "EXAMPLE.ORG";
    plan.embedded_realm = true;
    plan.http_names = {"localhost", "n1.example.org"};
    return plan;
}

TEST_CASE("a new node has keys, keytabs, voters and the set-up command") {
    TemporaryDirectory temporary;
    DataDirectory directory(temporary.path + "/node");
    auto made = bootstrap(plan_for(directory.path()));
    REQUIRE((made ? "" : made.error().message) == std::string());
    CHECK_FALSE(made->recovery_key.empty());

    auto identity = read_identity(directory);
    REQUIRE(identity.has_value());
    CHECK(identity->node_id == 1);
    CHECK(identity->cluster_id == made->secrets.ca.cluster_id());
    CHECK(read_initial_voters(directory)->size() == 1);

    auto keytab = auth::Keytab::read(node_keytab_path(directory));
    REQUIRE(keytab.has_value());
    for (const char* name :
         {"HTTP/n1.example.org", "HTTP/localhost", "host/n1.example.org", "smack/n1.example.org"}) {
        CHECK(keytab->find(std::string(name) + "@EXAMPLE.ORG") != nullptr);
    }
    CHECK(keytab->find("krbtgt/EXAMPLE.ORG@EXAMPLE.ORG") == nullptr);
    CHECK(keytab->find("admin@EXAMPLE.ORG") == nullptr);
    auto admin = auth::Keytab::read(admin_keytab_path(directory));
    REQUIRE(admin.has_value());
    CHECK(admin->principals() == std::vector<std::string>{"admin@EXAMPLE.ORG"});

    auto text = read_small_file(setup_command_path(directory));
    REQUIRE(text.has_value());
    wire::Command command;
    REQUIRE(command.ParseFromString(*text));
    CHECK(command.changes(0).init_cluster().realm() == "EXAMPLE.ORG");

    auto again = bootstrap(plan_for(directory.path()));
    REQUIRE_FALSE(again.has_value());
    CHECK(again.error().message.contains("holds a node already"));
}

TEST_CASE("secrets are read back, and only with the server's key") {
    TemporaryDirectory temporary;
    DataDirectory directory(temporary.path);
    auto made = bootstrap(plan_for(directory.path()));
    REQUIRE(made.has_value());
    auto secrets = read_cluster_secrets(directory);
    REQUIRE((secrets ? "" : secrets.error().message) == std::string());
    CHECK(secrets->ca.key_pem() == made->secrets.ca.key_pem());
    CHECK(secrets->token_key.kid == made->secrets.token_key.kid);
    REQUIRE(secrets->master_key.has_value());
    CHECK(secrets->master_key->key == made->secrets.master_key->key);

    std::filesystem::remove(directory.cluster() + "/server.key");
    CHECK_FALSE(read_cluster_secrets(directory).has_value());
}

TEST_CASE("an interrupted bootstrap is made anew") {
    TemporaryDirectory temporary;
    DataDirectory directory(temporary.path);
    REQUIRE(bootstrap(plan_for(directory.path())).has_value());
    std::filesystem::remove(directory.identity());
    CHECK(bootstrap(plan_for(directory.path())).has_value());
}

TEST_CASE("voters of a static cluster share everything but their identity") {
    TemporaryDirectory temporary;
    BootstrapPlan plan = plan_for(temporary.path + "/a");
    plan.further_voters = {{2, "n2", "127.0.0.1:2"}};
    auto made = bootstrap(plan);
    REQUIRE(made.has_value());
    DataDirectory second(temporary.path + "/b");
    REQUIRE(bootstrap_further_voter(plan, *made, plan.further_voters[0], second.path()).has_value());
    CHECK(read_identity(second)->node_id == 2);
    CHECK(read_identity(second)->name == "n2");
    auto voters = read_initial_voters(second);
    REQUIRE(voters->size() == 2);
    CHECK(voters->front().name == "n1.example.org");
    CHECK(read_cluster_secrets(second)->ca.cluster_id() == made->secrets.ca.cluster_id());
}

TEST_CASE("a realm of the site needs the node's key in its keytab") {
    TemporaryDirectory temporary;
    BootstrapPlan plan = plan_for(temporary.path + "/node");
    plan.embedded_realm = false;
    plan.keytab = temporary.path + "/none.keytab";
    auto made = bootstrap(plan);
    REQUIRE_FALSE(made.has_value());
    CHECK(made.error().message.contains("none.keytab"));
    CHECK_FALSE(std::filesystem::exists(plan.directory));
}

TEST_CASE("a node's certificate is kept while it is good") {
    TemporaryDirectory temporary;
    DataDirectory directory(temporary.path);
    auto made = bootstrap(plan_for(directory.path()));
    REQUIRE(made.has_value());
    core::WallTime now = net::SystemClock().wall();
    auto first = node_tls_identity(directory, made->secrets.ca, made->identity, now);
    REQUIRE(first.has_value());
    auto same = node_tls_identity(directory, made->secrets.ca, made->identity, now);
    REQUIRE(same.has_value());
    CHECK(same->certificate_pem == first->certificate_pem);
    core::WallTime later{now.unix_ms + auth::kNodeCertificateLifeMs * 3 / 4};
    auto renewed = node_tls_identity(directory, made->secrets.ca, made->identity, later);
    REQUIRE(renewed.has_value());
    CHECK(renewed->certificate_pem != first->certificate_pem);
    CHECK(renewed->key_pem == first->key_pem);
}

}  // namespace
}  // namespace smackd::cmd
