// Sealing of gossip datagrams: AES-256-GCM under keys all members share, bound to cluster and epoch, each
// packet once.
//
// A key holder can speak for any member: sealing keeps strangers out, it does not prove who speaks (streams
// do). Removal of a node therefore rotates the key.
//
// datagram = version (1) || epoch (8) || nonce (12) || ciphertext || tag (16); integers little-endian
// nonce    = random prefix (7) || counter (5): the prefix is drawn for each Sealing, so that no two senders
// and no two
//            lives share one (10^4 of them under one key collide with a chance of 10^-9)
// plain    = sender (8) || session (8) || time sent, ms (8) || payload
// AAD      = "smack-gossip/1" || version || epoch || cluster id
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/bytes.h"
#include "core/clock.h"
#include "core/gossip/parameters.h"
#include "core/ids.h"
#include "net/crypto/aead.h"
#include "net/gossip/replay_window.h"

namespace smackd::net::gossip {

inline constexpr size_t kKeysMax = 4;
inline constexpr size_t kSealedOverheadBytes = 1 + 8 + crypto::kAeadNonceBytes + 24 + crypto::kAeadTagBytes;
static_assert(kSealedOverheadBytes <= core::gossip::kSealBytesMax);
/// Sent longer ago, or further ahead: refused. As Kerberos; clocks that far apart are named in the refusal.
inline constexpr int64_t kClockSkewMaxMs = 5 * 60 * 1000;
inline constexpr size_t kSendersMax = core::gossip::kMembersMax;

struct SealingOptions {
    std::string cluster_id;
    uint64_t epoch = 0;  ///< of the state; older ones are refused, newer ones wait for ours to catch up
    core::NodeId self;
    uint64_t session = 0;  ///< higher in each life of this node: ms since 1970 will do
};

struct Opened {
    core::NodeId sender;
    core::Bytes payload;
};

/// Since the start, by reason.
struct SealingCounts {
    uint64_t opened = 0;
    uint64_t malformed = 0;
    uint64_t wrong_epoch = 0;
    uint64_t wrong_key = 0;
    uint64_t wrong_time = 0;
    uint64_t replayed = 0;  ///< seen before, older than the window, or of an earlier life of the sender
};

/// One loop only.
class Sealing {
 public:
    explicit Sealing(SealingOptions options);

    /// 1 to kKeysMax keys of crypto::kAeadKeyBytes: the first seals, all of them open. To rotate: give every
    /// member the new key as second, then as first, then without the old one. kInvalid names the rule.
    core::Result<void> set_keys(const std::vector<core::Bytes>& keys);
    void set_epoch(uint64_t epoch) { options_.epoch = epoch; }

    /// At least one key is set. `payload` has at most core::gossip::kPayloadBytesMax.
    core::Bytes seal(core::BytesView payload, core::WallTime now);
    /// kInvalid (no datagram of ours), kDenied (epoch, key, time, replay): the message has the reason for the
    /// log of refusals. Does not allocate for packets that no key opens, beyond the copy.
    core::Result<Opened> open(core::BytesView datagram, core::WallTime now);

    const SealingCounts& counts() const { return counts_; }

 private:
    struct Sender {
        uint64_t session = 0;
        int64_t last_ms = 0;  ///< on our clock
        ReplayWindow window;
    };
    core::Bytes associated(uint64_t epoch) const;
    core::Result<void> check_fresh(core::NodeId sender, uint64_t session, int64_t sent_ms, uint64_t counter,
                                   core::WallTime now);
    void make_room(core::WallTime now);

    SealingOptions options_;
    std::vector<crypto::AeadKey> keys_;
    core::Bytes prefix_;
    uint64_t counter_ = 0;
    std::unordered_map<core::NodeId, Sender> senders_;
    SealingCounts counts_;
};

}  // namespace smackd::net::gossip
