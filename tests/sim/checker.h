// What must hold whatever happens, checked as it happens and once more at the end.
//
// Every change of the state has a revision, so the first server to show revision r fixes what r is, for all.
// On top of that: what was acknowledged is in every later leader; a write acknowledged before another began
// comes first; a consistent read sees everything acknowledged before it began; a feed neither loses nor
// repeats.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "tests/sim/process.h"

namespace smackd::sim {

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
    /// A write was acknowledged with the revision after it. `floor`: acknowledged(), when it began.
    void acknowledged(const std::string& value, uint64_t revision, uint64_t floor, bool two_changes);
    /// A compare-and-set on `version` of `key` was acknowledged.
    void acknowledged_expecting(const std::string& key, uint64_t version, uint64_t revision);
    void read(uint64_t revision, uint64_t floor);
    uint64_t acknowledged() const { return acknowledged_; }
    /// Version of a setting as of the last revision known; 0: none.
    uint64_t version_of(const std::string& key) const;

    /// Everybody is at the same place; the states must be the same to the bit.
    void compare_all(std::map<uint64_t, std::unique_ptr<Process>>& processes);
    uint64_t revisions() const { return history_.empty() ? 0 : history_.rbegin()->first; }

 private:
    struct Change {
        std::string kind, key, value;
        bool operator==(const Change&) const = default;
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
    void learn(uint64_t node, uint64_t revision, Change change);

    World& world_;
    std::map<uint64_t, Follower> followers_;
    std::map<uint64_t, Change> history_;                        ///< by revision
    std::map<std::string, uint64_t> values_;                    ///< revision of each value written: once each
    std::map<std::string, std::map<uint64_t, bool>> versions_;  ///< revisions of each setting
    std::map<uint64_t, uint64_t> leaders_;                      ///< by term
    std::map<uint64_t, std::string> digests_;                   ///< by applied index
    uint64_t acknowledged_ = 0;
};

}  // namespace smackd::sim
