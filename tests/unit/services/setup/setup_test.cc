#include "services/setup/setup.h"

#include <catch2/catch_test_macros.hpp>

using namespace smackd;

namespace {

services::ClusterSetup good() {
    services::ClusterSetup setup;
    setup.cluster_id = std::string(64, 'a');
    setup.cluster_name = "office";
    setup.realm = "DEMO.SMACK";
    setup.embedded_realm = true;
    setup.machine = "n1";
    setup.admin = "admin";
    return setup;
}

}  // namespace

TEST_CASE("the first command makes cluster, machine, admin, group and rule at once") {
    services::ClusterSetup setup = good();
    wire::PutPrincipal principal;
    principal.set_name("K/M@DEMO.SMACK");
    setup.principals.push_back(principal);
    const auto command = services::make_setup_command(setup);
    REQUIRE(command);
    CHECK(command->actor().kind() == wire::Actor::SYSTEM);
    CHECK(command->feature_level() == services::kSetupFeatureLevel);
    REQUIRE(command->changes_size() == 6);
    CHECK(command->changes(0).init_cluster().cluster_name() == "office");
    CHECK(command->changes(1).put_principal().name() == "K/M@DEMO.SMACK");
    CHECK(command->changes(2).put_machine().roles_size() == 3);
    CHECK(command->changes(3).put_user().name() == "admin");
    CHECK(command->changes(4).put_group().members(0) == "admin");
    CHECK(command->changes(5).put_rule().subject() == "group:admins");
    CHECK(command->changes(5).put_rule().actions(0) == "admin");
}

TEST_CASE("names are checked before anything is made") {
    auto wrong = [](auto change) {
        services::ClusterSetup setup = good();
        change(setup);
        const auto command = services::make_setup_command(setup);
        return command ? std::string("accepted") : command.error().message;
    };
    CHECK(wrong([](auto& setup) { setup.realm = "demo"; }).starts_with("realm 'demo'"));
    CHECK(wrong([](auto& setup) { setup.admin = "Root"; }).starts_with("user name 'Root'"));
    CHECK(wrong([](auto& setup) { setup.machine = "n_1"; }).starts_with("machine name"));
    CHECK(wrong([](auto& setup) { setup.cluster_id = "12"; }).starts_with("cluster id"));
    CHECK(wrong([](auto& setup) { setup.cluster_name = ""; }).starts_with("cluster name"));
}
