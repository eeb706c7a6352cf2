// What a machine that joins is given: the keytab of the machine, whom to ask, and which cluster to expect.
// One JSON file, as secret as the keytab in it: smackd machine add n2 --bundle - | ssh n2 smackd join -
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/json.h"
#include "core/result.h"

namespace smackd::cmd {

inline constexpr size_t kBundleBytesMax = 256 * 1024;
inline constexpr size_t kJoinSeedsMax = 16;
inline constexpr size_t kJoinKdcsMax = 16;
inline constexpr uint16_t kClusterPort = 5055;
inline constexpr uint16_t kKdcPort = 88;

/// A member to ask, and who it must prove to be.
struct JoinSeed {
    std::string address;    ///< HOST:PORT
    std::string principal;  ///< "smack/HOST@REALM"
};

struct JoinBundle {
    std::string machine;
    std::string realm;
    std::string cluster_name;
    std::string cluster_id;         ///< pin: hex SHA-256 of the CA's public key; empty: any
    std::vector<std::string> kdcs;  ///< HOST:PORT; empty: the host's krb5.conf
    std::vector<JoinSeed> seeds;
    core::Bytes keytab;  ///< the file's bytes
};

/// kInvalid names the member and the rule.
core::Result<JoinBundle> parse_bundle(std::string_view text);

/// Seeds as typed ("n1", "n1:5055", comma-separated or repeated) in `realm`. Addresses without a name need
/// `seed_principal`, since Kerberos proves names: kInvalid says so.
core::Result<std::vector<JoinSeed>> parse_seeds(const std::vector<std::string>& typed,
                                                std::string_view seed_principal, std::string_view realm);

}  // namespace smackd::cmd
