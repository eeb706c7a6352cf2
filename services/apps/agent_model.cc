#include "services/apps/agent_model.h"

#include "core/wire/feed.pb.h"

namespace smackd::services {

using core::Result;

namespace {

std::string kind_in_model(const std::string& kind) {
    if (kind == "endpoint") return "task";
    return kind == "route" ? "app" : kind;
}

}  // namespace

std::vector<std::string> AgentModel::kinds() {
    return {"task", "definition", "endpoint", "route", "capacity", "node", "machine", "setting"};
}

Result<void> AgentModel::apply(const wire::AgentRow& row) {
    if (row.kind() == "definition") {
        if (row.removed()) {
            definitions.erase(row.key());
            return {};
        }
        if (definitions[row.key()].ParseFromString(row.row())) return {};
        definitions.erase(row.key());
        return core::fail(core::Errc::kCorrupt, "the definition '{}' cannot be read", row.key());
    }
    wire::FeedChange change;
    change.set_kind(kind_in_model(row.kind()));
    change.set_key(row.key());
    change.set_row(row.row());
    change.set_removed(row.removed());
    change.set_revision(row.version());
    storage::feed::Record record;
    record.kind = change.kind();
    record.key = row.key();
    record.removed = row.removed();
    record.encoded = change.SerializeAsString();
    return model.apply(record);
}

}  // namespace smackd::services
