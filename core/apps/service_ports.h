// Service ports: which port of the edge belongs to which app.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/result.h"
#include "core/wire/app.pb.h"

namespace smackd::apps {

inline constexpr uint16_t kServicePortFirst = 10000;  ///< Marathon's local_port_min
inline constexpr uint16_t kServicePortLast = 20000;   ///< and local_port_max, both ends included

/// Who has which service port now: port -> app id (the first, where several asked for the same).
using ServicePorts = std::map<uint16_t, std::string>;

/// Gives each port of `app` that has none the lowest free one, keeping those that `current` (null: a new app)
/// had at the same place. kBusy when none is left.
core::Result<void> assign_service_ports(wire::AppDefinition& app, const wire::AppDefinition* current,
                                        const ServicePorts& taken);

/// A service port that another app has too. Marathon allows it (marathon-lb serves both); the door refuses
/// those of other tenants and warns of the rest.
struct ServicePortConflict {
    uint16_t port = 0;
    uint32_t port_index = 0;
    std::string app_id;  ///< who has it
};
std::vector<ServicePortConflict> service_port_conflicts(const wire::AppDefinition& app,
                                                        const ServicePorts& taken);

}  // namespace smackd::apps
