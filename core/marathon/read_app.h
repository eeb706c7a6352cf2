// The parts of reading an application's JSON, one function per noun. Each fills its fields of `app` with what
// is given or the default, and notes what is wrong. Rules between fields are check_app's.
#pragma once

#include <string_view>

#include "core/marathon/app_json.h"
#include "core/marathon/fields.h"
#include "core/wire/app.pb.h"

namespace smackd::marathon {

/// All of it: `path` is where the app stands in the request ("" or "/apps(0)").
wire::AppDefinition read_app(const core::Json& json, const std::string& path, const AppContext& context,
                             Violations& violations);

void read_identity(const Fields& fields, const AppContext& context, wire::AppDefinition& app);
void read_resources(const Fields& fields, wire::AppDefinition& app);
void read_command(const Fields& fields, wire::AppDefinition& app);
void read_environment(const Fields& fields, wire::AppDefinition& app);
void read_fetch(const Fields& fields, wire::AppDefinition& app);
void read_container(const Fields& fields, wire::AppDefinition& app);
/// Networks and ports, in their new and old forms; after read_container.
void read_network(const Fields& fields, wire::AppDefinition& app);
void read_checks(const Fields& fields, wire::AppDefinition& app);
void read_placement(const Fields& fields, wire::AppDefinition& app);
/// Upgrade, back-off, kill and unreachable strategies; after read_container, whose volumes change defaults.
void read_strategies(const Fields& fields, wire::AppDefinition& app);

wire::Constraint read_constraint(const core::Json& json, const std::string& path, Violations& violations);
/// Labels of `name`, sorted by key.
void read_labels(const Fields& fields, std::string_view name,
                 google::protobuf::RepeatedPtrField<wire::Label>& labels);

/// Whether one of the volumes is persistent: the app's tasks are bound to a node.
bool is_resident(const wire::AppDefinition& app);
/// The rules between fields; `path` stands before each place.
void check_rules(const wire::AppDefinition& app, const std::string& path, Violations& violations);

}  // namespace smackd::marathon
