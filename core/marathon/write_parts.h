// Pieces of an application's JSON.
#pragma once

#include "core/json.h"
#include "core/units.h"
#include "core/wire/app.pb.h"

namespace smackd::marathon {

/// A number without a point when it is whole.
core::Json number_json(double value);
inline core::Json quotient(uint64_t value, uint64_t unit) {
    return number_json(static_cast<double>(value) / static_cast<double>(unit));
}
inline core::Json seconds_json(int64_t milliseconds) {
    return number_json(static_cast<double>(milliseconds) / 1000);
}
core::Json strings(const google::protobuf::RepeatedPtrField<std::string>& list);
core::Json labels_json(const google::protobuf::RepeatedPtrField<wire::Label>& labels);
core::Json constraints_json(const google::protobuf::RepeatedPtrField<wire::Constraint>& constraints);
/// "tcp", "udp" or "udp,tcp".
std::string_view protocol_name(const wire::Port& port);
/// cpus, mem, disk, gpus as members of `json`.
void write_requests(const wire::Resources& resources, core::Json& json);

/// "container", with the port mappings of an app that is not in host mode.
core::Json container_json(const wire::AppDefinition& app);
core::Json health_check_json(const wire::HealthCheck& check);
/// healthChecks, check, readinessChecks as members of `json`, where there are any.
void write_checks(const wire::AppDefinition& app, core::Json& json);

}  // namespace smackd::marathon
