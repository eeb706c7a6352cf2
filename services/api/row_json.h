// From rows of the state (the Put messages of core/wire/command.proto) to the JSON people and tools read.
// Pure.
//
// Secrets and Kerberos records have no JSON form at all: what is not written here cannot leak.
#pragma once

#include <string_view>

#include "core/bytes.h"
#include "core/json.h"
#include "core/wire/command.pb.h"
#include "core/wire/feed.pb.h"

namespace smackd::services {

core::Json to_json(const wire::PutUser& user);
core::Json to_json(const wire::PutGroup& group);
core::Json to_json(const wire::PutDirectoryGroup& group);
core::Json to_json(const wire::PutDirectoryUser& user);
core::Json to_json(const wire::PutMachine& machine);
core::Json to_json(const wire::PutRule& rule);
core::Json to_json(const wire::PutSetting& setting);
core::Json to_json(const wire::PutNode& node);
core::Json to_json(const wire::DrainNode& drain);
core::Json to_json(const wire::AppDefinition& app);
core::Json to_json(const wire::Task& task);
core::Json to_json(const wire::Deployment& deployment);

/// A serialized row of a feed kind ("user", "group", ...); null for kinds without a JSON form and for bytes
/// that are no such row.
core::Json row_to_json(std::string_view kind, core::BytesView row);

/// {"kind", "key", "removed", "revision", "time_ms", "actor", "row"}: one change as the event stream shows
/// it.
core::Json to_json(const wire::FeedChange& change);

}  // namespace smackd::services
