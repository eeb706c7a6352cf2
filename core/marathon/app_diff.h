// What differs between two definitions of an app, field by field, as GET prints them.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "core/wire/app.pb.h"

namespace smackd::marathon {

struct FieldChange {
    std::string path;       ///< as in violations: "/upgradeStrategy/minimumHealthCapacity", "/fetch(1)/uri"
    core::Json before;      ///< null: there was none
    core::Json after;       ///< null: there is none any more
    bool restarts = false;  ///< tasks see it: those there are get replaced
};

/// In the order in which definitions are printed, without versions. `before` is null for a new app: then what
/// is not as the defaults are. Lists of plain values are one field, those of objects one for
/// each member of each element.
std::vector<FieldChange> changed_fields(const wire::AppDefinition* before, const wire::AppDefinition& after);

}  // namespace smackd::marathon
