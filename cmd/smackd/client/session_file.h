// What `smackd login` remembers: a token for each server, in a file of mode 0600 of the user.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/result.h"

namespace smackd::cmd {

struct Session {
    std::string server;  ///< ServerAddress::to_string
    std::string token;
    std::string principal;
    int64_t expires_s = 0;  ///< Unix time
    std::string ca_pem;     ///< the cluster's CA, pinned at login
};

/// SMACKD_SESSION_FILE, or $XDG_CONFIG_HOME/smackd/session.json, or ~/.config/smackd/session.json.
std::string session_path();

/// The saved session of a server; nothing when there is none or the file belongs to another user.
std::optional<Session> load_session(const std::string& server);
/// Saves or replaces the session of `session.server`.
core::Result<void> save_session(const Session& session);
/// Forgets it; fine when there was none.
core::Result<void> remove_session(const std::string& server);

}  // namespace smackd::cmd
