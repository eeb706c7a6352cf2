// The directory that becomes a task's /run/smackd: its token and its socket.
//
// Root makes it; the shim gives it to the task's user before the task begins, and its owner says from then on
// whose what is made in it anew is to be. The task sees it read-only, but one that has the node (privileged)
// may write here: nothing in it is trusted or followed.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"
#include "services/agent/descriptor.h"

namespace smackd::cmd {

class IdentityDirectory {
 public:
    /// Makes it when it is not there; its parent is. Errors name the path.
    static core::Result<IdentityDirectory> open(std::string path);

    const std::string& path() const { return path_; }
    /// Where the socket belongs.
    std::string socket() const { return path_ + "/api.sock"; }
    /// Replaces the token whole; for the task's user alone (0400).
    core::Result<void> write_token(std::string_view token) const;
    /// Gives the socket to the task's user, once it is there.
    core::Result<void> give_socket() const;

    /// With what is in it. Best effort.
    static void remove(const std::string& path);

 private:
    IdentityDirectory(std::string path, agent::Descriptor directory)
        : path_(std::move(path)), directory_(std::move(directory)) {}

    std::string path_;
    agent::Descriptor directory_;
};

}  // namespace smackd::cmd
