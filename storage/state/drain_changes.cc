// Nodes that are drained: which, since when and until when. What follows for tasks is core/apps's.
#include <utility>

#include "core/names.h"
#include "core/wire/serialize.h"
#include "storage/state/changes.h"

namespace smackd::storage::state {

using core::Errc;

namespace {

Outcome<void> check_times(const wire::DrainNode& drain) {
    if (drain.start_ms() < 0)
        return refuse(Errc::kInvalid, "start_ms {}: must not be negative", drain.start_ms());
    for (const auto& [name, value] :
         {std::pair("deadline_ms", drain.deadline_ms()), std::pair("length_ms", drain.length_ms())}) {
        if (value < 0 || value > kDrainMsMax)
            return refuse(Errc::kInvalid, "{} {}: must be from 0 to {}", name, value, kDrainMsMax);
    }
    return {};
}

}  // namespace

Outcome<void> drain_node(Writer& writer, const wire::DrainNode& change) {
    TRY_ASSIGN(const int64_t rows,
               writer.state().integer("SELECT count(*) FROM nodes WHERE node_id = ?", {change.node_id()}));
    if (rows == 0) return refuse(Errc::kNotFound, "no node {}", change.node_id());
    wire::DrainNode drain = change;
    if (drain.start_ms() == 0) drain.set_start_ms(writer.position().time_ms);
    TRY(check_times(drain));
    TRY(refused(core::check_text("note", drain.note(), kTextBytesMax)));
    drain.set_principal(writer.command().actor().principal());
    core::Bytes bytes = serialize(drain);
    TRY(writer.state().run("INSERT OR REPLACE INTO drains VALUES(?, ?, ?)",
                           {drain.node_id(), sqlite::Blob{bytes}, writer.next_revision()}));
    TRY(writer.emit({.kind = "drain", .key = std::to_string(drain.node_id()), .row = std::move(bytes)}));
    return {};
}

Outcome<void> undrain_node(Writer& writer, const wire::UndrainNode& change) {
    TRY(writer.state().run("DELETE FROM drains WHERE node_id = ?", {change.node_id()}));
    if (writer.state().changes() == 0)
        return refuse(Errc::kNotFound, "node {} is not drained", change.node_id());
    TRY(writer.emit({.kind = "drain", .key = std::to_string(change.node_id()), .removed = true}));
    return {};
}

Outcome<void> forget_node(Writer& writer, uint64_t node_id) {
    if (writer.position().feature_level < kLevelOfDrains) return {};
    const auto forget = [&](const char* sql, const char* kind) -> Outcome<void> {
        TRY(writer.state().run(sql, {node_id}));
        if (writer.state().changes() == 0) return {};
        TRY(writer.emit({.kind = kind, .key = std::to_string(node_id), .removed = true}));
        return {};
    };
    TRY(forget("DELETE FROM drains WHERE node_id = ?", "drain"));
    TRY(forget("DELETE FROM capacities WHERE node_id = ?", "capacity"));
    return {};
}

}  // namespace smackd::storage::state
