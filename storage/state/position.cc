#include "storage/state/position.h"

namespace smackd::storage::state {

core::Result<Position> Position::load(sqlite::Database& state) {
    TRY_ASSIGN(
        auto cursor,
        state.query(
            "SELECT applied_index, realm_index, secrets_index, epoch, revision, feature_level, time_ms, "
            "feed_floor, result_number FROM position"));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return core::fail(core::Errc::kCorrupt, "{}: table position is empty", state.path());
    const sqlite::Statement& row = cursor.row();
    Position position;
    position.applied_index = row.number(0);
    position.realm_index = row.number(1);
    position.secrets_index = row.number(2);
    position.epoch = row.number(3);
    position.revision = row.number(4);
    position.feature_level = static_cast<uint32_t>(row.number(5));
    position.time_ms = row.integer(6);
    position.feed_floor = row.number(7);
    position.result_number = row.number(8);
    return position;
}

core::Result<void> Position::store(sqlite::Database& state) const {
    return state.run(
        "UPDATE position SET applied_index = ?, realm_index = ?, secrets_index = ?, epoch = ?, revision = ?, "
        "feature_level = ?, time_ms = ?, feed_floor = ?, result_number = ?",
        {applied_index, realm_index, secrets_index, epoch, revision, feature_level, time_ms, feed_floor,
         result_number});
}

}  // namespace smackd::storage::state
