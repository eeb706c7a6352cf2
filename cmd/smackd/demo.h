// `smackd demo`: a cluster of one node in the foreground, with a realm of its own, everything under one
// folder.
#pragma once

#include <string>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

inline constexpr std::string_view kDemoRealm = "DEMO.SMACKD";
inline constexpr std::string_view kDemoHost = "localhost";  ///< in the keytab and in SMACKD_URL

struct DemoAddresses {
    std::string api = "127.0.0.1:5050";
    std::string cluster = "127.0.0.1:5055";
    std::string dns = "127.0.0.1:5053";
    std::string http = "127.0.0.1:8000";
    std::string https = "127.0.0.1:8443";
    std::string kdc = "127.0.0.1:5088";
};

/// The text of DIR/demo.env: what a shell needs to work with the demo. `program_folder` goes in front of
/// PATH.
std::string demo_environment(const std::string& directory, const DemoAddresses& addresses,
                             const std::string& program_folder);
/// "http://localhost:5050"
std::string demo_url(const DemoAddresses& addresses);

core::Result<void> run_demo(Context& context);

}  // namespace smackd::cmd
