// What must hold whatever happens, checked as it happens and once more at the end.
//
// Every change of the state has a revision, so the first server to show revision r fixes what r is, for all.
// On top of that: what was acknowledged is in every later leader; a write acknowledged before another began
// comes first; a consistent read sees everything acknowledged or read before it began; the tables are what
// the feed says; a refused command leaves nothing; time does not run backwards; a feed neither loses nor
// repeats.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/process.h"

namespace smackd::sim {

/// One change of one row as the feed tells it.
struct Change {
    std::string kind, key;
    core::Bytes row;  ///< the Put message; empty when removed or secret
    bool removed = false;
    bool operator==(const Change&) const = default;
};

class Checker {
 public:
    explicit Checker(World& world) : world_(world) {}

    /// Follows the feed of a server over its lives, and compares states at equal applied indexes.
    void look(Process& process);
    /// Role, term or alarms of a server changed.
    void observe(Process& process, const storage::ReplicaStatus& status);
    /// The server has gone down; its watch is resumed in its next life.
    void forget_life(Process& process);

    /// A message says that `node` leads `term`.
    void leads(uint64_t node, uint64_t term);
    /// A command was acknowledged with the revision of its last change. `floor`: known(), when it began.
    void acknowledged(const std::vector<Change>& changes, uint64_t revision, uint64_t floor);
    /// A compare-and-set on `version` of a setting was acknowledged.
    void acknowledged_expecting(const std::string& key, uint64_t version, uint64_t revision);
    /// No server may ever show this row: its command must be refused.
    void forbid(const core::Bytes& row) { forbidden_.insert(row); }
    /// What a secret must hold in the end.
    void sealed(const std::string& name, const core::Bytes& value) { secrets_[name] = value; }
    /// A consistent read found setting `key` at `version` (0: none) with `row` at `revision`.
    void read(const std::string& key, uint64_t version, const core::Bytes& row, uint64_t revision,
              uint64_t floor);

    /// The highest revision that some client knows of.
    uint64_t known() const { return known_; }
    /// Of the cluster, as of the last revision shown.
    uint32_t feature_level() const { return feature_level_; }
    /// Version of a setting as of the last revision shown; 0: none.
    uint64_t version_of(const std::string& key) const;
    /// Revisions shown in (after, upto], of all kinds or of one.
    std::vector<uint64_t> revisions_of(const std::string& kind, uint64_t after, uint64_t upto) const;

    /// Everybody is at the same place; the states must be the same to the bit, and what the feed says.
    void compare_all(std::map<uint64_t, std::unique_ptr<Process>>& processes);
    uint64_t revisions() const { return history_.size(); }

 private:
    struct Shown {
        Change change;
        core::Bytes encoded;
        int64_t time_ms = 0;
    };
    struct Follower {
        std::unique_ptr<storage::feed::Watch> watch;
        uint64_t seen = 0;  ///< last revision taken from the feed, over all lives
        uint64_t epoch = 1;
        uint64_t revision = 0;  ///< of the state when last looked
        bool planned = false;
        uint64_t term = 0;
    };
    void follow_feed(Process& process, Follower& follower);
    void learn(uint64_t node, uint64_t revision, const storage::feed::Record& record);
    /// The revision that wrote the row last, as of `upto`; 0 when there is none.
    uint64_t last_change(const std::string& kind, const std::string& key, uint64_t upto) const;
    core::Result<void> compare_tables(Process& process);
    core::Result<void> compare_secrets(Process& process);
    void compare_rows(const std::string& kind,
                      const std::map<std::string, std::pair<core::Bytes, uint64_t>>& rows);
    void check_audit(const std::vector<storage::state::AuditRow>& newest_first);

    World& world_;
    std::map<uint64_t, Follower> followers_;
    std::vector<Shown> history_;               ///< revision 1 first
    std::map<core::Bytes, uint64_t> written_;  ///< revision of each unique row
    std::map<std::pair<std::string, std::string>, std::set<uint64_t>> changes_;  ///< by kind and key
    std::set<core::Bytes> forbidden_;
    std::map<std::string, core::Bytes> secrets_;
    std::set<uint64_t> commands_;              ///< revisions of acknowledged commands
    std::map<uint64_t, uint64_t> leaders_;     ///< by term
    std::map<uint64_t, std::string> digests_;  ///< by applied index
    uint64_t known_ = 0;
    uint32_t feature_level_ = 1;
};

}  // namespace smackd::sim
