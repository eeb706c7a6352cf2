#include "core/apps/service_ports.h"

#include <set>

namespace smackd::apps {

namespace {

/// The port it had at the same place, when it is still its own to keep.
uint32_t kept_port(const wire::AppDefinition* current, int index) {
    return current != nullptr && index < current->ports_size() ? current->ports(index).service_port() : 0;
}

}  // namespace

core::Result<void> assign_service_ports(wire::AppDefinition& app, const wire::AppDefinition* current,
                                        const ServicePorts& taken) {
    std::set<uint32_t> own;
    for (const wire::Port& port : app.ports()) own.insert(port.service_port());
    uint32_t next = kServicePortFirst;
    for (int i = 0; i < app.ports_size(); ++i) {
        wire::Port& port = *app.mutable_ports(i);
        if (port.service_port() != 0) continue;
        uint32_t chosen = kept_port(current, i);
        if (chosen == 0 || own.contains(chosen)) {
            while (next <= kServicePortLast &&
                   (taken.contains(static_cast<uint16_t>(next)) || own.contains(next)))
                ++next;
            chosen = next;
        }
        if (chosen > kServicePortLast && chosen != kept_port(current, i)) {
            return core::fail(core::Errc::kBusy, "app '{}': no service port from {} to {} is free", app.id(),
                              kServicePortFirst, kServicePortLast);
        }
        port.set_service_port(chosen);
        own.insert(chosen);
    }
    return {};
}

std::vector<ServicePortConflict> service_port_conflicts(const wire::AppDefinition& app,
                                                        const ServicePorts& taken) {
    std::vector<ServicePortConflict> conflicts;
    for (int i = 0; i < app.ports_size(); ++i) {
        const auto port = static_cast<uint16_t>(app.ports(i).service_port());
        const auto holder = taken.find(port);
        if (port == 0 || holder == taken.end() || holder->second == app.id()) continue;
        conflicts.push_back({port, static_cast<uint32_t>(i), holder->second});
    }
    return conflicts;
}

}  // namespace smackd::apps
