#include "cmd/smackd/node/edge_settings.h"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

using Texts = std::vector<std::string>;

services::AppsModel three_nodes() {
    services::AppsModel model;
    for (const uint64_t id : {1U, 2U, 3U}) {
        model.nodes[id].set_node_id(id);
        model.nodes[id].set_machine("n" + std::to_string(id));
        model.capacities[id].set_address("10.0.0." + std::to_string(id));
    }
    return model;
}

const wire::EdgeGroup& group(const wire::EdgeSettings& settings, std::string_view name) {
    return *std::ranges::find(settings.groups(), name, &wire::EdgeGroup::name);
}

template <class Field>
Texts texts(const Field& field) {
    return {field.begin(), field.end()};
}

const EdgePlace kPlace{core::NodeId{1}, "10.0.0.1", "10.64.5.1"};

TEST_CASE("without a word of configuration a node listens at the usual places") {
    EdgeSetup setup;
    setup.name_servers = {"10.0.0.53:53", "127.0.0.1:53"};
    const auto settings = edge_settings(setup, kPlace, three_nodes());
    CHECK(texts(settings.dns_listeners()) == Texts{"127.0.0.1:53", "10.0.0.1:53", "10.64.5.1:53"});
    CHECK(texts(settings.forwarders()) == Texts{"10.0.0.53:53"});  // itself is not asked
    for (const char* name : {"internal", "external"}) {
        CHECK(texts(group(settings, name).bind_addresses()) == Texts{"127.0.0.1", "10.0.0.1", "10.64.5.1"});
        CHECK(texts(group(settings, name).dns_addresses()) == Texts{"10.0.0.1"});
    }
    CHECK(texts(group(settings, "external").http_listeners()) == Texts{"0.0.0.0:80"});
    CHECK(texts(group(settings, "external").https_listeners()) == Texts{"0.0.0.0:443"});
    CHECK(group(settings, "internal").http_listeners().empty());
}

TEST_CASE("where a node is public the others leave the external group to it") {
    auto model = three_nodes();
    model.nodes[2].add_roles("public");
    EdgeSetup setup;
    const auto inside = edge_settings(setup, kPlace, model);
    CHECK(group(inside, "external").bind_addresses().empty());
    CHECK(group(inside, "external").http_listeners().empty());
    CHECK(texts(group(inside, "external").dns_addresses()) == Texts{"10.0.0.2"});
    CHECK(group(inside, "internal").bind_addresses_size() == 3);
    const auto outside = edge_settings(setup, {core::NodeId{2}, "10.0.0.2", ""}, model);
    CHECK(texts(group(outside, "external").http_listeners()) == Texts{"0.0.0.0:80"});
    CHECK(texts(group(outside, "external").dns_addresses()) == Texts{"10.0.0.2"});
}

TEST_CASE("the internal group never listens on a public address") {
    EdgeSetup setup;
    const auto settings = edge_settings(setup, {core::NodeId{1}, "203.0.113.7", "10.64.5.1"}, three_nodes());
    CHECK(texts(group(settings, "internal").bind_addresses()) == Texts{"127.0.0.1", "10.64.5.1"});
    CHECK(texts(group(settings, "external").bind_addresses()) ==
          Texts{"127.0.0.1", "203.0.113.7", "10.64.5.1"});
}

TEST_CASE("configured listeners replace the usual ones; an empty list is none") {
    EdgeSetup setup;
    setup.config.dns = Texts{"10.0.0.1:5353"};
    setup.config.http = Texts{};
    const auto settings = edge_settings(setup, kPlace, three_nodes());
    CHECK(texts(settings.dns_listeners()) == Texts{"10.0.0.1:5353", "10.64.5.1:53"});
    CHECK(group(settings, "external").http_listeners().empty());
    CHECK(group(settings, "external").https_listeners_size() == 1);
}

}  // namespace
}  // namespace smackd::cmd
