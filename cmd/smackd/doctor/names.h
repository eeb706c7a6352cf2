// Names: what this node's own name and those of the other nodes mean here, and whether the name servers
// answer.
#pragma once

#include <string>
#include <vector>

#include "cmd/smackd/doctor/finding.h"
#include "core/units.h"

namespace smackd::cmd {

struct NameChecks {
    std::string own{};                ///< the node's name
    bool loopback = false;            ///< this node listens on loopback alone: a demo, a test
    std::vector<std::string> others;  ///< names of other nodes and of seeds
};

inline constexpr core::Duration kNameLimit = core::seconds(5);
inline constexpr core::Duration kNameServerLimit = core::seconds(2);

Findings examine_names(const NameChecks& checks);

/// Pure parts, for tests. `meant` are the addresses of the name, `own` those of this machine.
Finding judge_own_name(const std::string& name, const std::vector<std::string>& meant,
                       const std::vector<std::string>& own, bool loopback);
/// Nothing to say of a name that leads elsewhere, as it should.
Findings judge_other_name(const std::string& name, const std::vector<std::string>& meant,
                          const std::vector<std::string>& own);

}  // namespace smackd::cmd
