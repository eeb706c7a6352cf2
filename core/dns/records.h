// Which records a task, a name and the settings of the edge's table stand for: Mesos-DNS' names and ours.
#pragma once

#include <string>
#include <vector>

#include "core/dns/zone.h"
#include "core/result.h"
#include "core/wire/edge.pb.h"

namespace smackd::core::dns {

inline constexpr std::string_view kDomain = "mesos";
inline constexpr std::string_view kOwnDomain = "smack";
inline constexpr uint32_t kTtlS = 5;  ///< the table changes at once, so answers are to be forgotten soon

/// What the settings say about all names.
struct NameRules {
    std::string domain{kDomain};
    uint32_t ttl_s = kTtlS;
    static NameRules of(const wire::EdgeSettings& settings);
};

/// True for tasks that have names: running, not known to be ill, not on their way out.
bool is_named(const wire::EdgeTask& task);

/// Names of one task T of framework F, each in domain D. Where the task has addresses of its own, those and
/// its container ports are told, else the host's; a target and its port always belong together.
///   A/AAAA  T.F.D (dots kept, and as one label), T-HASH-AGENT.F.D; the host's: T.F.slave.D,
///   T-HASH-AGENT.F.slave.D SRV     _T._tcp.F.D, _PORTNAME._T._tcp.F.D, _T._tcp.F.slave.D and the same for
///   udp
std::vector<NamedRecord> records_of(const wire::EdgeTask& task, const NameRules& rules, TenantId tenant);

/// Records of a name; names that are under no zone of ours become zones of their own. kInvalid names field
/// and rule.
Result<std::vector<NamedRecord>> records_of(const wire::EdgeName& name, const NameRules& rules,
                                            TenantId tenant);

/// leader, master, slave, ns1, the frameworks, the load balancer's names, NODE.node.smack, and the zones
/// themselves. What is malformed is left out and named in `problems`.
std::vector<NamedRecord> records_of(const wire::EdgeSettings& settings, const NameRules& rules,
                                    std::vector<std::string>& problems);

/// APP.GROUP.smack and dcos-net's forms, looked up as Mesos-DNS names.
std::vector<SuffixAlias> aliases(const NameRules& rules);
/// SOA and NS of our zones.
Authority authority(const NameRules& rules, uint64_t revision);

}  // namespace smackd::core::dns
