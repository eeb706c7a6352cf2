// How a child begins: posix_spawn's two parameter objects, owned.
#pragma once

#include <spawn.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/result.h"

namespace smackd::net {

/// Whatever the caller blocks or ignores, the child starts with the default signals.
class SpawnPlan {
 public:
    /// kOwn: what is sent to the caller's group, a terminal's ^C say, does not reach the child.
    enum class Session : uint8_t { kParents, kOwn };

    explicit SpawnPlan(Session session = Session::kParents);
    ~SpawnPlan();
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    /// The child has the caller's `descriptor` as its `number`; they differ, or the copy would be none and be
    /// closed. In the order of the calls.
    void give(int descriptor, int number);
    /// Its standard input is empty.
    void give_no_input();

    /// Starts `program` with these words, the first of which is its name; its environment is `environment`
    /// alone. Errors: kIo, with `what` was to be done ("starting the KDC").
    core::Result<pid_t> start(const std::string& program, std::vector<std::string> words,
                              std::string_view what, std::vector<std::string> environment = {}) const;

 private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

}  // namespace smackd::net
