#include "services/agent/task_network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <format>
#include <optional>
#include <utility>

#include "core/ipv4.h"
#include "core/result.h"
#include "net/netlink/links.h"
#include "net/netlink/nftables.h"
#include "services/agent/bridge_rules.h"
#include "services/agent/small_file.h"
#include "services/agent/task_link.h"

namespace smackd::agent {
namespace {

using net::netlink::Batch;
using net::netlink::Link;
using net::netlink::Links;

constexpr const char* kStep = "network namespace";
constexpr const char* kDevice = "eth0";

// net's errors carry their sentence; the step is ours.
template <class T>
Stepped<T> in_step(const char* step, core::Result<T> result) {
    if (!result) return fail_step_with(step, 0, std::move(result.error().message));
    if constexpr (!std::is_void_v<T>) return std::move(*result);
    if constexpr (std::is_void_v<T>) return {};
}

// There and back again.
class InNamespace {
 public:
    static Stepped<InNamespace> enter(int network_namespace) {
        InNamespace inside;
        inside.host_ = Descriptor(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
        const int entered =
            network_namespace < 0 ? ::unshare(CLONE_NEWNET) : ::setns(network_namespace, CLONE_NEWNET);
        if (!inside.host_ || entered != 0) return fail_step(kStep);
        return inside;
    }
    InNamespace(InNamespace&&) = default;
    InNamespace& operator=(InNamespace&&) = delete;
    InNamespace(const InNamespace&) = delete;
    InNamespace& operator=(const InNamespace&) = delete;
    ~InNamespace() {
        // A shim that cannot come back must not go on: what it did next would happen to the task.
        if (host_ && ::setns(host_.get(), CLONE_NEWNET) != 0) ::_exit(3);
    }

 private:
    InNamespace() = default;
    Descriptor host_;
};

// 0: unknown, the kernel's default.
uint32_t mtu_of(const std::string& device) {
    const auto text = read_small_file("/sys/class/net/" + device + "/mtu");
    return text ? static_cast<uint32_t>(std::strtoul(text->c_str(), nullptr, 10)) : 0;
}

Stepped<void> connect_to_bridge(const wire::ShimPlan& plan, int network_namespace, uint32_t address) {
    const char* step = "veth";
    const auto gateway = core::parse_ipv4(plan.gateway());
    if (!gateway || plan.bridge().empty())
        return fail_step_with(step, 0, "this node has no bridge for tasks");
    TRY_ASSIGN(Links links, in_step(step, Links::open()));
    const std::string device = task_device(plan.name(), address);
    TRY(in_step(step, links.make_veth(device, hardware_address(*gateway), kDevice, hardware_address(address),
                                      network_namespace, mtu_of(plan.bridge()))));
    TRY(in_step(step, lead_to_task(links, device, address, *gateway)));
    TRY_ASSIGN(const InNamespace inside, InNamespace::enter(network_namespace));
    TRY_ASSIGN(Links task_links, in_step(step, Links::open()));
    TRY_ASSIGN(const Link eth0, in_step(step, task_links.find(kDevice)));
    TRY(in_step(step, task_links.set_up(eth0.index)));
    TRY(in_step(step, task_links.add_address(eth0.index, address, plan.prefix_length())));
    return in_step(step, task_links.add_default_route(*gateway));
}

// Bound, not listening: whoever wants the port sees at once that it is taken. Packets to it never get here.
Stepped<Descriptor> reserve(const wire::PublishedPort& port) {
    const int type = port.protocol() == wire::PublishedPort::UDP ? SOCK_DGRAM : SOCK_STREAM;
    Descriptor socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port.host_port()));
    if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
        return fail_step("publish port", std::format("{}", port.host_port()));
    return socket;
}

Stepped<void> publish(const wire::ShimPlan& plan, uint32_t address, std::vector<Descriptor>& reserved) {
    Batch batch(bridge_table(plan.name()));
    for (const wire::PublishedPort& port : plan.spec().network().ports()) {
        TRY_ASSIGN(Descriptor socket, reserve(port));
        reserved.push_back(std::move(socket));
        batch.map_port(kPortMap, port_mapping(port, address));
    }
    if (batch.empty()) return {};
    TRY_ASSIGN(const int error_number, in_step("publish port", batch.commit()));
    if (error_number != 0) return fail_step_with("publish port", error_number);
    return {};
}

}  // namespace

Stepped<Descriptor> make_network_namespace() {
    TRY_ASSIGN(const InNamespace inside, InNamespace::enter(-1));
    Descriptor made(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!made) return fail_step(kStep, "/proc/self/ns/net");
    // In a user namespace over a network namespace of the host's these rights would otherwise be nobody's.
    (void)write_small_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    (void)write_small_file("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
    (void)write_small_file("/proc/sys/net/ipv6/conf/default/disable_ipv6",
                           "1");  // devices to come; lo keeps ::1
    TRY_ASSIGN(Links links, in_step(kStep, Links::open()));
    TRY_ASSIGN(const Link loopback, in_step(kStep, links.find("lo")));
    TRY(in_step(kStep, links.set_up(loopback.index)));
    return made;
}

Stepped<TaskNetwork> make_task_network(const wire::ShimPlan& plan, Descriptor prepared) {
    TaskNetwork network;
    if (plan.spec().network().mode() == wire::TaskNetwork::HOST) return network;
    network.network_namespace = std::move(prepared);
    if (!network.network_namespace) {
        TRY_ASSIGN(network.network_namespace, make_network_namespace());
    }
    if (plan.spec().network().mode() == wire::TaskNetwork::NONE) return network;
    const auto address = core::parse_ipv4(plan.spec().network().address());
    if (!address) return fail_step_with("veth", EINVAL, plan.spec().network().address());
    TRY(connect_to_bridge(plan, network.network_namespace.get(), *address));
    TRY(publish(plan, *address, network.reserved));
    network.published = true;
    return network;
}

void unpublish(const wire::ShimPlan& plan) {
    const auto address = core::parse_ipv4(plan.spec().network().address());
    if (!address) return;
    for (const wire::PublishedPort& port : plan.spec().network().ports()) {
        Batch batch(bridge_table(plan.name()));
        // Each for itself: one that is gone already must not keep the others.
        (void)batch.unmap_port(kPortMap, port_mapping(port, *address)).commit();
    }
}

}  // namespace smackd::agent
