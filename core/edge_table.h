// The edge's table in the order of its revisions: a snapshot, then deltas.
#pragma once

#include <map>
#include <string>

#include "core/result.h"
#include "core/wire/edge.pb.h"

namespace smackd::core {

inline constexpr size_t kEdgeFrameBytesMax = 64 * 1024 * 1024;
inline constexpr size_t kEdgeEntriesMax = 1'000'000;  ///< of each kind
inline constexpr size_t kEdgeKeyBytesMax = 1024;      ///< of an id or a name

class EdgeState {
 public:
    /// Takes the place of all that was there. kInvalid names the entry and the rule; nothing changes then.
    Result<void> replace(wire::EdgeTable table);
    /// kConflict when the delta is of another epoch or not newer; kInvalid as above. Nothing changes then.
    Result<void> apply(wire::EdgeDelta delta);

    uint64_t epoch() const { return epoch_; }
    uint64_t revision() const { return revision_; }
    const wire::EdgeSettings& settings() const { return settings_; }
    const std::map<std::string, wire::EdgeApp>& apps() const { return apps_; }
    const std::map<std::string, wire::EdgeTask>& tasks() const { return tasks_; }
    const std::map<std::string, wire::EdgeName>& names() const { return names_; }
    const std::map<std::string, wire::EdgeCertificate>& certificates() const { return certificates_; }

 private:
    uint64_t epoch_ = 0;
    uint64_t revision_ = 0;
    wire::EdgeSettings settings_;
    std::map<std::string, wire::EdgeApp> apps_;
    std::map<std::string, wire::EdgeTask> tasks_;
    std::map<std::string, wire::EdgeName> names_;
    std::map<std::string, wire::EdgeCertificate> certificates_;
};

}  // namespace smackd::core
