#include "services/agent/shim_start.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <array>

#include "services/agent/shim.h"

namespace smackd::agent {
namespace {

/// posix_spawn's two parameter objects, for a shim.
struct ShimSpawn {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};

    explicit ShimSpawn(const ShimDescriptors& from) {
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, from.log, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, from.log, STDERR_FILENO);
        posix_spawn_file_actions_adddup2(&actions, from.lock, kShimLock);
        posix_spawn_file_actions_adddup2(&actions, from.directory, kShimDirectory);
        posix_spawn_file_actions_adddup2(&actions, from.socket, kShimSocket);
        if (from.network >= 0) posix_spawn_file_actions_adddup2(&actions, from.network, kShimNetwork);
        posix_spawnattr_init(&attributes);
        sigset_t set;
        sigemptyset(&set);
        posix_spawnattr_setsigmask(&attributes, &set);
        sigfillset(&set);
        posix_spawnattr_setsigdefault(&attributes, &set);
        // A session of its own: what is sent to the daemon's group, a terminal's ^C say, does not reach it.
        posix_spawnattr_setflags(&attributes,
                                 POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    }
    ShimSpawn(const ShimSpawn&) = delete;
    ShimSpawn& operator=(const ShimSpawn&) = delete;
    ~ShimSpawn() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
};

}  // namespace

core::Result<int> start_shim(std::string task_id, const ShimDescriptors& descriptors) {
    const ShimSpawn spawn(descriptors);
    std::string name = "smackd";
    std::string word = "shim";
    std::string network = kShimHasNetwork;
    std::array<char*, 5> arguments = {name.data(), word.data(), task_id.data(),
                                      descriptors.network < 0 ? nullptr : network.data(), nullptr};
    std::array<char*, 1> environment = {nullptr};
    pid_t pid = 0;
    // The binary that runs, whatever has been put in its place meanwhile: both ends of the protocol fit.
    const int error = ::posix_spawn(&pid, "/proc/self/exe", &spawn.actions, &spawn.attributes,
                                    arguments.data(), environment.data());
    if (error != 0) return core::fail_errno(error, "starting the task's shim");
    return pid;
}

}  // namespace smackd::agent
