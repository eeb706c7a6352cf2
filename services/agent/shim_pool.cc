#include "services/agent/shim_pool.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <array>
#include <string>

#include "services/agent/descriptor_channel.h"
#include "services/agent/shim.h"

namespace smackd::agent {
namespace {

/// posix_spawn's two parameter objects, for a shim.
struct ShimSpawn {
    posix_spawn_file_actions_t actions{};
    posix_spawnattr_t attributes{};

    ShimSpawn(int orders, int log) {
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, log, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
        posix_spawn_file_actions_adddup2(&actions, orders, kShimOrders);
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

core::Result<ShimPool::Ready> ShimPool::spawn(bool own_network) const {
    auto channel = make_descriptor_channel();
    if (!channel) return core::fail(core::Errc::kIo, "{}", channel.error().message());
    const ShimSpawn spawn(channel->theirs.get(), log_.get());
    std::string name = "smackd";
    std::string word(kReadyShim);
    word.resize(kReadyWordBytes, '-');  // room for what it is once it has a task
    std::string network = kShimOwnNetwork;
    std::array<char*, 4> arguments = {name.data(), word.data(), own_network ? network.data() : nullptr,
                                      nullptr};
    std::array<char*, 1> environment = {nullptr};
    Ready ready;
    // The binary that runs, whatever has been put in its place meanwhile: both ends of the protocol fit.
    const int error = ::posix_spawn(&ready.pid, "/proc/self/exe", &spawn.actions, &spawn.attributes,
                                    arguments.data(), environment.data());
    if (error != 0) return core::fail_errno(error, "starting the task's shim");
    ready.orders = std::move(channel->ours);
    return ready;
}

core::Result<int> ShimPool::start(const ShimDescriptors& task, bool own_network) {
    wanted_ = true;
    own_network_ = own_network;
    const std::vector<int> descriptors = {task.lock, task.directory, task.socket};
    while (!ready_.empty()) {
        const Ready first = std::move(ready_.front());
        ready_.erase(ready_.begin());
        if (send_descriptors(first.orders.get(), descriptors)) return first.pid;  // else it was killed
    }
    TRY_ASSIGN(const Ready made, spawn(own_network));
    auto sent = send_descriptors(made.orders.get(), descriptors);
    if (!sent) return core::fail(core::Errc::kIo, "the task's shim: {}", sent.error().message());
    return made.pid;
}

void ShimPool::prepare_one() {
    auto made = spawn(own_network_);
    if (made) {
        ready_.push_back(std::move(*made));
    } else {
        wanted_ = false;
    }
}

void ShimPool::let_go() {
    ready_.clear();
    wanted_ = false;
}

}  // namespace smackd::agent
