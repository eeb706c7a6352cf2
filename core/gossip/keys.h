// The keys that seal gossip, and when they change. Pure.
//
// Who holds a key can speak for any member, so a node that is no longer let in leaves with a key that must
// become worthless. The leader then makes a new one, in steps that cut nobody off: every member gets it
// beside the old one; it seals; the old one is dropped. A member that was away meanwhile gets the keys over
// its stream.
#pragma once

#include <optional>
#include <vector>

#include "core/bytes.h"
#include "core/callback.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/units.h"
#include "core/wire/gossip.pb.h"

namespace smackd::core::gossip {

inline constexpr size_t kKeyBytes = 32;
/// From its making until a new key seals: by then every member that is connected has it.
inline constexpr Duration kKeyIntroduction = seconds(5);
/// From then on until the old one is dropped.
inline constexpr Duration kKeyRetirement = seconds(30);

struct KeysView {
    const wire::GossipKeys* keys = nullptr;  ///< null: there are none yet
    std::vector<NodeId> admitted;            ///< nodes that are let in
    uint64_t last_node = 0;                  ///< the highest node id ever given
    int64_t now_ms = 0;
};

/// kCorrupt unless it holds one or two keys of kKeyBytes and a version.
Result<void> check_keys(const wire::GossipKeys& keys);
/// The next version, or none when nothing is to be done now. `fresh` draws a key.
std::optional<wire::GossipKeys> next_keys(const KeysView& view, Callback<Bytes()> fresh);
/// When a rotation under way has its next step; none: not before the registry changes.
std::optional<Duration> next_keys_in(const wire::GossipKeys& keys, int64_t now_ms);

}  // namespace smackd::core::gossip
