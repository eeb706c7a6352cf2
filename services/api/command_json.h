// From JSON bodies to the changes of core/wire/command.proto: checked translation, no I/O.
//
// Each function takes the name from the path (authoritative; a differing "name" in the body is refused) and
// the body; kInvalid names the field and the rule. apply checks again.
#pragma once

#include <string_view>

#include "core/json.h"
#include "core/result.h"
#include "core/wire/command.pb.h"

namespace smackd::services {

/// {"full_name", "disabled"}
core::Result<wire::PutUser> user_from_json(std::string_view name, const core::Json& body);
/// {"description", "members": [user, ...]}; members are sorted and made unique.
core::Result<wire::PutGroup> group_from_json(std::string_view name, const core::Json& body);
/// {"group", "note"}
core::Result<wire::PutDirectoryGroup> directory_group_from_json(std::string_view sid, const core::Json& body);
/// {"roles": ["server"|"agent"|"public"], "attributes": {..}, "state": "allowed"|"suspended", "generation"}
core::Result<wire::PutMachine> machine_from_json(std::string_view name, const core::Json& body);
/// {"start_ms": 0, "deadline_s": 0, "length_s": 0, "note"}; the node's id is the caller's to set.
core::Result<wire::DrainNode> drain_from_json(const core::Json& body);
/// {"subject", "actions": [..], "tenant": "*", "path": "/"}
core::Result<wire::PutRule> rule_from_json(std::string_view id, const core::Json& body);

}  // namespace smackd::services
