// Marathon's application JSON <-> wire::AppDefinition.
//
// Input may use the forms of any Marathon from 0.8 to 1.11 (uris, ports, ipAddress, docker.network and
// docker.portMappings beside fetch, portDefinitions, networks and container.portMappings), mixed only where
// Marathon allows it. A definition that came out of here is normalised: absolute id and dependencies,
// defaults filled in, lists that are sets sorted. Unknown fields are ignored, as Marathon does. What differs
// from Marathon: docs/marathon.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/json.h"
#include "core/marathon/problem.h"
#include "core/wire/app.pb.h"

namespace smackd::marathon {

/// Limits of one definition; each breach is a violation that names it.
inline constexpr size_t kAppIdBytesMax = 512;
inline constexpr uint32_t kInstancesMax = 100'000;
inline constexpr size_t kListMax = 256;             ///< ports, labels, volumes, constraints, ... each
inline constexpr size_t kEnvironmentMax = 1024;     ///< variables
inline constexpr size_t kTextBytesMax = 64 * 1024;  ///< cmd, one value of env or labels
inline constexpr size_t kUriBytesMax = 1024;
inline constexpr size_t kDefinitionBytesMax = 256 * 1024;  ///< as protobuf

struct AppContext {
    std::string base = "/";  ///< group that relative ids are resolved against
    std::string id;  ///< id from the URL, which the body may leave out or repeat; empty: from the body
};

/// A whole definition (POST, PUT with partialUpdate=false, a group's member). `version` in it is ignored.
///
/// 400 wrong JSON types, 422 broken rules with all of them. Version fields of the result are 0 (the leader
/// stamps them: apps::stamp), service ports that ask for "any" are 0 (apps::assign_service_ports).
Checked<wire::AppDefinition> app_from_json(const core::Json& json, const AppContext& context);

/// PUT with partialUpdate=true and PATCH: members given replace those of `current` whole, others stay; a null
/// member becomes the default. `{"version": ts}` alone (or with id) is no update but a rollback: see
/// rollback_of.
Checked<wire::AppDefinition> updated_app(const wire::AppDefinition& current, const core::Json& update,
                                         const AppContext& context);

/// The version a body asks to go back to, in ms, 0 when it asks for no rollback; 422 when `version` stands
/// beside anything but id, or is no timestamp.
Checked<int64_t> rollback_of(const core::Json& body);

/// Parses text into JSON, or Marathon's 400 "Invalid JSON".
Checked<core::Json> parse_body(std::string_view text);

/// The checks a definition from another door (package, job, gRPC) must pass too; app_from_json calls it.
Checked<void> check_app(const wire::AppDefinition& app);

/// The definition as GET prints it, without counts, tasks and deployments (task_json.h adds those).
core::Json app_to_json(const wire::AppDefinition& app);

}  // namespace smackd::marathon
