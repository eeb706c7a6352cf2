// The transaction that apply() stages and commit() ends, over the three files at once.
//
// A writer hands out revisions, writes feed rows, and keeps realm.db and secrets.db from being changed twice
// by an entry they have already. Nothing it stages is visible before commit().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/wire/command.pb.h"
#include "storage/feed/record.h"
#include "storage/state/files.h"
#include "storage/state/limits.h"
#include "storage/state/outcome.h"

namespace smackd::storage::state {

/// A row's change as the feed tells it.
struct Emission {
    std::string_view kind;
    std::string_view key;
    bool removed = false;
    core::Bytes row = {};  ///< the Put message; empty when removed or secret
    std::string_view tenant = {};
};

class Writer {
 public:
    /// `files` outlive it and belong to it until commit() or rollback().
    explicit Writer(OpenFiles& files) : files_(files), position_(files.position) {}

    /// Begins the transaction when there is none, and moves to entry `index`.
    core::Result<void> begin_entry(uint64_t index);
    /// Everything since the last commit() is visible afterwards, or (on an error) undone. Returns what
    /// watchers see.
    core::Result<std::vector<feed::RecordPtr>> commit();
    void rollback();
    bool active() const { return active_; }

    /// One command: all of it or nothing.
    core::Result<void> begin_command(const wire::Command& command, bool with_savepoint);
    core::Result<void> keep_command();
    core::Result<void> drop_command();

    sqlite::Database& state() { return files_.state; }
    Position& position() { return position_; }
    const Position& position() const { return position_; }
    const wire::Command& command() const { return *command_; }

    /// The revision that the next emit() will give; rows are written with it before they are emitted.
    uint64_t next_revision() const { return position_.revision + 1; }
    /// Ends the change of one row: takes the next revision and writes its feed row.
    core::Result<void> emit(const Emission& emission);

    core::Result<void> put_principal(const std::string& name, const core::Bytes& record);
    core::Result<void> remove_principal(const std::string& name);
    core::Result<void> put_secret(const std::string& name, const core::Bytes& sealed);
    core::Result<void> remove_secret(const std::string& name);

 private:
    /// A file beside state.db: begun when first needed in a batch.
    struct Side {
        sqlite::Database& database;
        uint64_t& applied;  // entries up to here are in the file already
        bool begun = false;
        bool savepoint = false;
    };
    core::Result<bool> open_side(Side& side);
    core::Result<void> commit_side(Side& side);

    OpenFiles& files_;
    Position position_;  // staged; files_.position is the committed one
    Position before_command_;
    size_t staged_before_command_ = 0;
    Side realm_{files_.realm, files_.realm_applied};
    Side secrets_{files_.secrets, files_.secrets_applied};
    const wire::Command* command_ = nullptr;
    bool active_ = false;
    bool savepoint_ = false;
    std::vector<feed::RecordPtr> staged_;
};

}  // namespace smackd::storage::state
