// Times, counts and limits of the membership protocol, and what depends on the size of the cluster.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/units.h"

namespace smackd::core::gossip {

/// Defaults for one data centre.
///
/// memberlist's LAN profile probes once a second and then suspects for 4 s x log10 n. Here a node that is
/// gone must be found in about 3 to 4 s, and one that stood still for 2 s (a VM moved, a disk that hung, a
/// stopped process) must never be. So:
/// - a probe takes 500 ms, of which the first 200 ms are for the direct answer; a LAN round trip is below 1
/// ms, and
///   within the interval the ping is repeated, so loss costs packets rather than verdicts;
/// - the suspicion is at least `pause_tolerated` plus the time a refutation takes to reach everybody. That
/// second part
///   is what grows with the cluster (by rounds of gossip, log n of them), not the whole: 2.4 s for 5
///   nodes, 3.0 s for 500, where memberlist has 4 s and 10.8 s.
struct Parameters {
    Duration probe_interval = milliseconds(500);  ///< times (1 + health score)
    Duration probe_timeout = milliseconds(200);   ///< then helpers are asked and the ping is repeated
    uint32_t indirect_probes = 3;                 ///< helpers a round
    Duration pause_tolerated = seconds(2);        ///< a node that stands still for so long is not given up
    uint32_t confirmations = 2;                   ///< further accusers that bring a suspicion to its shortest
    uint32_t suspicion_max_factor = 6;            ///< without them it lasts so many times longer
    Duration gossip_interval = milliseconds(100);
    uint32_t gossip_fanout = 3;    ///< members told per interval
    uint32_t retransmit_mult = 5;  ///< one more than memberlist: who misses news by chance costs a push-pull
    Duration push_pull_interval = seconds(30);  ///< grows with the cluster
    Duration gossip_to_dead = seconds(30);  ///< the dead are told of their death so long; they may be alive
    Duration reconnect_interval =
        seconds(5);  ///< one dead member is tried; seeds too while nobody else is here
    Duration tombstone = std::chrono::hours(24);   ///< then a dead or departed member is forgotten
    Duration stream_silence = milliseconds(1500);  ///< three heartbeats of a member that lives by its stream
};

inline constexpr size_t kPacketBytesMax = 1400;  ///< of a sealed datagram: fits every path's MTU
inline constexpr size_t kSealBytesMax = 64;      ///< of it kept for net/gossip's sealing
inline constexpr size_t kPayloadBytesMax = kPacketBytesMax - kSealBytesMax;
inline constexpr size_t kMessagesMax = 128;  ///< in a packet
inline constexpr size_t kMembersMax = 8192;  ///< known, dead ones included
inline constexpr size_t kMetadataBytesMax = 512;
inline constexpr size_t kNameBytesMax = 128;
inline constexpr size_t kAddressesMax = 4;
inline constexpr size_t kAddressBytesMax = 64;
inline constexpr size_t kBroadcastsMax = 4096;  ///< what is dropped comes by push-pull
inline constexpr size_t kProbesMax = 8;         ///< of our own under way
inline constexpr size_t kRelaysMax = 256;       ///< pings for others under way
inline constexpr size_t kSeedsMax = 64;
inline constexpr size_t kSyncBytesMax = 8 * kMiB;
inline constexpr size_t kEffectsMax = 65536;  ///< events or streams not yet taken by the caller
inline constexpr uint32_t kHealthScoreMax = 7;
inline constexpr uint64_t kIncarnationMax = uint64_t{1}
                                            << 62;  ///< a higher one is refused: nobody could refute it
inline constexpr uint32_t kLastChecks = 3;          ///< pings to a suspect before it is given up
inline constexpr Duration kLateTolerated =
    milliseconds(50);  ///< a timer later than this means that we stood still

/// The shortest suspicion among `nodes` members.
Duration suspicion_min(const Parameters& parameters, size_t nodes);
/// How often each broadcast is sent: mult x ceil(log10(nodes + 1)).
uint32_t retransmit_limit(uint32_t mult, size_t nodes);
/// The interval of push-pull: doubled, tripled ... at each doubling of the cluster above 32 members.
Duration push_pull_scaled(Duration interval, size_t nodes);

}  // namespace smackd::core::gossip
