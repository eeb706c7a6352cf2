#include "services/agent/task_network.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "core/result.h"

namespace smackd::agent {
namespace {

constexpr const char* kStep = "network namespace";

Stepped<void> raise_loopback() {
    const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    if (!socket || ::ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0) return fail_step(kStep, "lo");
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) return fail_step(kStep, "lo");
    return {};
}

// Calls `set_up` in a new namespace and comes back.
template <class SetUp>
Stepped<Descriptor> make_namespace(SetUp set_up) {
    const Descriptor host(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!host || ::unshare(CLONE_NEWNET) != 0) return fail_step(kStep);
    Descriptor made(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
    Stepped<void> done = made ? set_up() : fail_step(kStep);
    if (::setns(host.get(), CLONE_NEWNET) != 0) return fail_step(kStep, "setns");
    TRY(done);
    return made;
}

}  // namespace

Stepped<TaskNetwork> make_task_network(const wire::ShimPlan& plan) {
    TaskNetwork network;
    if (plan.spec().network().mode() == wire::TaskNetwork::HOST) return network;
    TRY_ASSIGN(network.network_namespace, make_namespace([] { return raise_loopback(); }));
    if (plan.spec().network().mode() == wire::TaskNetwork::NONE) return network;
    return fail_step_with("bridge network", 0, "this node has no bridge for tasks");
}

void remove_task_network(const wire::ShimPlan&) {}

}  // namespace smackd::agent
