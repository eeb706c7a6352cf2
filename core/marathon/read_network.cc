// Networks and ports, which Marathon has had three languages for:
//   networks + portDefinitions | container.portMappings         since 1.5
//   container.docker.network + docker.portMappings, ipAddress   until 1.4
//   ports                                                       until 0.13
#include "core/marathon/read_app.h"

namespace smackd::marathon {

using core::Json;
using wire::AppDefinition;
using wire::Port;

namespace {

constexpr size_t kNameBytesMax = 256;
constexpr int64_t kPortMax = 65535;
constexpr size_t kNetworksMax = 32;

void read_protocol(const Fields& fields, Port& port) {
    const std::string protocol = fields.text("protocol", kNameBytesMax).value_or("tcp");
    port.set_tcp(protocol == "tcp" || protocol == "udp,tcp" || protocol == "tcp,udp");
    port.set_udp(protocol == "udp" || protocol == "udp,tcp" || protocol == "tcp,udp");
    if (!port.tcp() && !port.udp()) fields.wrong("protocol", "must be one of tcp, udp, 'udp,tcp'");
}

/// What both forms of a port have.
void read_port_description(const Fields& fields, Port& port) {
    read_protocol(fields, port);
    port.set_name(fields.text("name", kNameBytesMax).value_or(""));
    read_labels(fields, "labels", *port.mutable_labels());
}

void read_port_definition(const Fields& fields, Port& port) {
    port.set_service_port(static_cast<uint32_t>(fields.integer("port", 0, kPortMax).value_or(0)));
    port.set_host_port(0);
    read_port_description(fields, port);
}

/// `published`: without hostPort there is one all the same (bridge mode).
void read_port_mapping(const Fields& fields, bool published, Port& port) {
    port.set_container_port(static_cast<uint32_t>(fields.integer("containerPort", 0, kPortMax).value_or(0)));
    const auto host_port = fields.integer("hostPort", 0, kPortMax);
    if (host_port || published) port.set_host_port(static_cast<uint32_t>(host_port.value_or(0)));
    port.set_service_port(static_cast<uint32_t>(fields.integer("servicePort", 0, kPortMax).value_or(0)));
    read_port_description(fields, port);
    fields.texts("networkNames", kNetworksMax, kNameBytesMax,
                 [&](std::string name, const std::string&) { port.add_network_names(std::move(name)); });
}

void read_networks(const Fields& fields, AppDefinition& app) {
    fields.elements("networks", kNetworksMax, [&](const Json& element, const std::string& path) {
        const Fields given(element, path, fields.violations());
        wire::Network& network = *app.add_networks();
        const std::string mode = given.text("mode", kNameBytesMax).value_or("container");
        if (mode == "host") {
            network.set_mode(wire::NETWORK_HOST);
        } else if (mode == "container/bridge") {
            network.set_mode(wire::NETWORK_BRIDGE);
        } else if (mode == "container") {
            network.set_mode(wire::NETWORK_CONTAINER);
        } else {
            given.wrong("mode", "must be one of container, container/bridge, host");
        }
        network.set_name(given.text("name", kNameBytesMax).value_or(""));
        read_labels(given, "labels", *network.mutable_labels());
    });
}

/// Whatever form the networks were given in, as one of the new form.
void read_old_network(const Fields& fields, const Fields& docker, AppDefinition& app) {
    const std::string mode =
        docker.text("network", kNameBytesMax).value_or(fields.has("ipAddress") ? "USER" : "HOST");
    wire::Network& network = *app.add_networks();
    if (mode == "HOST") {
        network.set_mode(wire::NETWORK_HOST);
        if (fields.has("ipAddress")) fields.wrong("ipAddress", "must not be given with host networking");
        return;
    }
    if (mode == "BRIDGE") {
        network.set_mode(wire::NETWORK_BRIDGE);
        return;
    }
    if (mode != "USER") {
        network.set_mode(wire::NETWORK_HOST);
        docker.wrong("network",
                     mode == "NONE" ? "NONE is not supported" : "must be one of HOST, BRIDGE, USER");
        return;
    }
    network.set_mode(wire::NETWORK_CONTAINER);
    const Fields address = fields.object("ipAddress");
    network.set_name(address.text("networkName", kNameBytesMax).value_or(""));
    read_labels(address, "labels", *network.mutable_labels());
}

/// An empty list counts as none.
bool has_networks(const Fields& fields) {
    const Json* networks = fields.find("networks");
    return networks != nullptr && !(networks->is_array() && networks->as_array().empty());
}

void refuse_mixed_forms(const Fields& fields, const Fields& docker) {
    if (!has_networks(fields)) return;
    constexpr std::string_view kMixed = "is an old form: must not be given with networks";
    if (fields.has("ipAddress")) fields.wrong("ipAddress", std::string(kMixed));
    if (docker.has("network")) docker.wrong("network", std::string(kMixed));
    if (docker.has("portMappings")) docker.wrong("portMappings", std::string(kMixed));
}

/// Discovery ports of ipAddress: ports of the task's own address that nothing is published of.
void read_discovery_ports(const Fields& fields, AppDefinition& app) {
    const Fields discovery = fields.object("ipAddress").object("discovery");
    discovery.elements("ports", kListMax, [&](const Json& element, const std::string& path) {
        const Fields given(element, path, fields.violations());
        Port& port = *app.add_ports();
        port.set_container_port(static_cast<uint32_t>(given.integer("number", 0, kPortMax).value_or(0)));
        read_port_description(given, port);
    });
}

void read_port_mappings(const Fields& fields, const Fields& container, const Fields& docker,
                        AppDefinition& app) {
    const bool old_form = docker.has("portMappings");
    if (old_form && container.has("portMappings"))
        docker.wrong("portMappings", "is the old form of container.portMappings: give one of them");
    if (fields.has("portDefinitions") && !fields.find("portDefinitions")->as_array().empty())
        fields.wrong("portDefinitions",
                     "must be empty: they are for host networking, others have container.portMappings");
    const bool bridge = app.networks_size() == 1 && app.networks(0).mode() == wire::NETWORK_BRIDGE;
    const Fields& holder = old_form ? docker : container;
    holder.elements("portMappings", kListMax, [&](const Json& element, const std::string& path) {
        read_port_mapping(Fields(element, path, fields.violations()), bridge, *app.add_ports());
    });
    if (holder.has("portMappings")) return;
    if (fields.has("ipAddress")) return read_discovery_ports(fields, app);
    if (!bridge) return;
    Port& port = *app.add_ports();
    port.set_name("default");
    port.set_tcp(true);
    port.set_host_port(0);
}

void read_old_ports(const Fields& fields, AppDefinition& app) {
    google::protobuf::RepeatedPtrField<Port> ports;
    fields.elements("ports", kListMax, [&](const Json& element, const std::string& path) {
        Port& port = *ports.Add();
        port.set_tcp(true);
        port.set_host_port(0);
        if (element.is_integer() && element.as_integer() >= 0 && element.as_integer() <= kPortMax) {
            port.set_service_port(static_cast<uint32_t>(element.as_integer()));
        } else if (element.is_integer()) {
            fields.violations().add(path, "expected between 0 and 65535");
        } else {
            fields.violations().add_type(path, "error.expected.jsnumber: must be a whole number");
        }
    });
    if (!fields.has("portDefinitions")) {
        *app.mutable_ports() = std::move(ports);
        return;
    }
    bool same = ports.size() == app.ports_size();
    for (int i = 0; same && i < ports.size(); ++i)
        same = ports[i].service_port() == app.ports(i).service_port();
    if (!same)
        fields.wrong("ports",
                     "is the old form of portDefinitions: must be the same ports when both are given");
}

void read_host_ports(const Fields& fields, const Fields& container, const Fields& docker,
                     AppDefinition& app) {
    for (const Fields* holder : {&container, &docker}) {
        const Json* mappings = holder->find("portMappings");
        if (mappings != nullptr && !mappings->as_array().empty())
            holder->wrong("portMappings", "is only allowed with container or container/bridge networking");
    }
    app.set_require_ports(fields.boolean("requirePorts").value_or(false));
    fields.elements("portDefinitions", kListMax, [&](const Json& element, const std::string& path) {
        read_port_definition(Fields(element, path, fields.violations()), *app.add_ports());
    });
    if (fields.has("ports")) return read_old_ports(fields, app);
    if (fields.has("portDefinitions")) return;
    Port& port = *app.add_ports();
    port.set_name("default");
    port.set_tcp(true);
    port.set_host_port(0);
}

}  // namespace

void read_network(const Fields& fields, AppDefinition& app) {
    const Fields container = fields.object("container");
    const Fields docker = container.object("docker");
    refuse_mixed_forms(fields, docker);
    if (has_networks(fields)) {
        read_networks(fields, app);
    } else {
        read_old_network(fields, docker, app);
    }
    if (app.networks_size() > 0 && app.networks(0).mode() != wire::NETWORK_HOST) {
        // A command with a network of its own is what Marathon calls a MESOS container.
        if (!app.has_container() && (!app.cmd().empty() || app.args_size() > 0))
            app.mutable_container()->set_type(wire::Container::MESOS);
        read_port_mappings(fields, container, docker, app);
    } else {
        read_host_ports(fields, container, docker, app);
    }
}

}  // namespace smackd::marathon
