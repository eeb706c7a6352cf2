#include "storage/state/reader.h"

#include <utility>

namespace smackd::storage::state {

core::Result<sqlite::Database*> StateReader::open(std::optional<sqlite::Database>& slot,
                                                  const std::string& path) {
    follow_generation();
    if (!slot) {
        TRY_ASSIGN(auto database, sqlite::Database::open(options_.vfs, path, sqlite::Access::kReadOnly));
        slot.emplace(std::move(database));
    }
    return &*slot;
}

void StateReader::follow_generation() {
    if (!options_.generation) return;
    const uint64_t now = options_.generation->load(std::memory_order_acquire);
    if (now == generation_) return;
    generation_ = now;
    state_.reset();
    realm_.reset();
    secrets_.reset();
}

core::Result<View> StateReader::view() {
    TRY_ASSIGN(sqlite::Database * database, open(state_, options_.directory + "/state.db"));
    TRY(database->begin_read());
    auto position = Position::load(*database);
    if (!position) {
        database->rollback();
        return core::pass(std::move(position));
    }
    return View(*database, {position->current(), core::Index{position->applied_index},
                            position->feature_level, position->time_ms});
}

core::Result<std::optional<core::Bytes>> StateReader::blob(std::optional<sqlite::Database>& slot,
                                                           const std::string& path, const char* sql,
                                                           std::string_view name) {
    TRY_ASSIGN(sqlite::Database * database, open(slot, path));
    TRY_ASSIGN(auto cursor, database->query(sql, {name}));
    TRY_ASSIGN(const bool found, cursor.next());
    if (!found) return std::optional<core::Bytes>();
    return std::optional<core::Bytes>(core::Bytes(cursor.row().blob(0)));
}

core::Result<std::optional<core::Bytes>> StateReader::principal(std::string_view name) {
    return blob(realm_, options_.directory + "/realm/realm.db",
                "SELECT record FROM principals WHERE name = ?", name);
}

core::Result<std::optional<core::Bytes>> StateReader::secret(std::string_view name) {
    return blob(secrets_, options_.directory + "/secrets.db", "SELECT sealed FROM secrets WHERE name = ?",
                name);
}

feed::History feed_history(ReaderOptions options) {
    auto reader = std::make_shared<StateReader>(std::move(options));
    return [reader](uint64_t after, size_t count) -> core::Result<std::vector<feed::RecordPtr>> {
        TRY_ASSIGN(auto view, reader->view());
        return view.feed_after(after, count);
    };
}

}  // namespace smackd::storage::state
