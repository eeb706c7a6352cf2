#include "storage/state/writer.h"

#include <algorithm>

#include "core/assert.h"
#include "core/planted.h"
#include "core/wire/feed.pb.h"
#include "core/wire/serialize.h"

namespace smackd::storage::state {

core::Result<void> Writer::begin_entry(uint64_t index) {
    SMACK_ASSERT(index > position_.applied_index || SMACK_BUG("apply_twice"));
    if (!active_) {
        TRY(files_.state.begin_write());
        active_ = true;
    }
    position_.applied_index = std::max(position_.applied_index, index);
    return {};
}

core::Result<void> Writer::begin_command(const wire::Command& command, bool with_savepoint) {
    command_ = &command;
    before_command_ = position_;
    staged_before_command_ = staged_.size();
    savepoint_ = with_savepoint;
    if (with_savepoint) TRY(files_.state.run("SAVEPOINT command"));
    return {};
}

core::Result<void> Writer::keep_command() {
    command_ = nullptr;
    if (savepoint_) TRY(files_.state.run("RELEASE command"));
    for (Side* side : {&realm_, &secrets_}) {
        if (side->savepoint) TRY(side->database.run("RELEASE command"));
        side->savepoint = false;
    }
    return {};
}

core::Result<void> Writer::drop_command() {
    command_ = nullptr;
    // Without a savepoint the command had one change, and a change checks everything before it writes.
    if (!savepoint_) SMACK_ASSERT(position_.revision == before_command_.revision);
    if (SMACK_BUG("apply_not_atomic")) return {};
    position_ = before_command_;
    staged_.resize(staged_before_command_);
    if (savepoint_) TRY(files_.state.execute("ROLLBACK TO command; RELEASE command"));
    for (Side* side : {&realm_, &secrets_}) {
        const char* sql =
            SMACK_BUG("refused_secret_kept") ? "RELEASE command" : "ROLLBACK TO command; RELEASE command";
        if (side->savepoint) TRY(side->database.execute(sql));
        side->savepoint = false;
    }
    return {};
}

core::Result<void> Writer::commit_side(Side& side) {
    if (!side.begun) return {};
    TRY(side.database.run("UPDATE position SET applied_index = ?", {position_.applied_index}));
    TRY(side.database.commit());
    side.begun = false;
    side.applied = position_.applied_index;
    return {};
}

core::Result<std::vector<feed::RecordPtr>> Writer::commit() {
    // The order keeps state.db, which decides, never ahead of the files it does not look into.
    auto done = commit_side(realm_);
    if (done) done = commit_side(secrets_);
    if (done) done = position_.store(files_.state);
    if (done) done = files_.state.commit();
    if (!done) {
        rollback();
        return core::pass(std::move(done));
    }
    active_ = false;
    files_.position = position_;
    return std::exchange(staged_, {});
}

void Writer::rollback() {
    for (Side* side : {&realm_, &secrets_}) {
        side->database.rollback();
        side->begun = side->savepoint = false;
    }
    files_.state.rollback();
    active_ = savepoint_ = false;
    command_ = nullptr;
    position_ = files_.position;
    staged_.clear();
}

core::Result<void> Writer::emit(const Emission& emission) {
    const bool reuse = SMACK_BUG("reuse_revision") && emission.removed;
    if (!reuse) ++position_.revision;
    wire::FeedChange change;
    change.set_epoch(position_.epoch);
    change.set_revision(position_.revision);
    change.set_kind(emission.kind.data(), emission.kind.size());
    change.set_key(emission.key.data(), emission.key.size());
    change.set_removed(emission.removed);
    change.set_row(emission.row);
    change.set_time_ms(position_.time_ms);
    change.set_actor(command_->actor().principal());
    change.set_tenant(emission.tenant.data(), emission.tenant.size());
    auto record = std::make_shared<feed::Record>();
    record->revision = position_.current();
    record->kind = emission.kind;
    record->key = emission.key;
    record->tenant = emission.tenant;
    record->removed = emission.removed;
    record->encoded = serialize(change);
    if (SMACK_BUG("feed_skips_change") && position_.revision % 7 == 0) return {};
    const char* sql = reuse ? "INSERT OR REPLACE INTO feed VALUES(?, ?, ?, ?, ?)"
                            : "INSERT INTO feed VALUES(?, ?, ?, ?, ?)";
    TRY(files_.state.run(sql, {position_.revision, position_.time_ms, emission.kind, emission.key,
                               sqlite::Blob{record->encoded}}));
    staged_.push_back(std::move(record));
    return {};
}

/// False when the file has the entry already and must not be touched.
core::Result<bool> Writer::open_side(Side& side) {
    if (position_.applied_index <= side.applied) return false;
    if (!side.begun) {
        TRY(side.database.begin_write());
        side.begun = true;
    }
    if (savepoint_ && !side.savepoint) {
        TRY(side.database.run("SAVEPOINT command"));
        side.savepoint = true;
    }
    return true;
}

core::Result<void> Writer::put_principal(const std::string& name, const core::Bytes& record) {
    position_.realm_index = position_.applied_index;
    TRY_ASSIGN(const bool open, open_side(realm_));
    if (!open) return {};
    return files_.realm.run("INSERT OR REPLACE INTO principals VALUES(?, ?, ?)",
                            {name, sqlite::Blob{record}, next_revision()});
}

core::Result<void> Writer::remove_principal(const std::string& name) {
    position_.realm_index = position_.applied_index;
    TRY_ASSIGN(const bool open, open_side(realm_));
    if (!open) return {};
    return files_.realm.run("DELETE FROM principals WHERE name = ?", {name});
}

core::Result<void> Writer::put_secret(const std::string& name, const core::Bytes& sealed) {
    position_.secrets_index = position_.applied_index;
    TRY_ASSIGN(const bool open, open_side(secrets_));
    if (!open) return {};
    return files_.secrets.run("INSERT OR REPLACE INTO secrets VALUES(?, ?, ?)",
                              {name, sqlite::Blob{sealed}, next_revision()});
}

core::Result<void> Writer::remove_secret(const std::string& name) {
    position_.secrets_index = position_.applied_index;
    TRY_ASSIGN(const bool open, open_side(secrets_));
    if (!open) return {};
    return files_.secrets.run("DELETE FROM secrets WHERE name = ?", {name});
}

}  // namespace smackd::storage::state
