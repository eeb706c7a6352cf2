// The edge's table as JSON, for `smackd edge --table FILE`: the members are the fields of wire::EdgeTable.
#pragma once

#include "core/json.h"
#include "core/wire/edge.pb.h"

namespace smackd::edge {

/// kInvalid names the member and the rule; an unknown member is refused. Of certificates, `chain_pem` and
/// `key_pem` are the PEM text.
core::Result<wire::EdgeTable> table_from_json(const core::Json& json);

}  // namespace smackd::edge
