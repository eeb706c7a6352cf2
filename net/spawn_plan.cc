#include "net/spawn_plan.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

namespace smackd::net {

SpawnPlan::SpawnPlan(Session session) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    sigset_t set;
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes_, &set);
    sigfillset(&set);
    posix_spawnattr_setsigdefault(&attributes_, &set);
    int flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (session == Session::kOwn) flags |= POSIX_SPAWN_SETSID;
    posix_spawnattr_setflags(&attributes_, static_cast<short>(flags));
}

SpawnPlan::~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
}

void SpawnPlan::give(int descriptor, int number) {
    posix_spawn_file_actions_adddup2(&actions_, descriptor, number);
}

void SpawnPlan::give_no_input() {
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
}

core::Result<pid_t> SpawnPlan::start(const std::string& program, std::vector<std::string> words,
                                     std::string_view what, std::vector<std::string> environment) const {
    const auto pointers_to = [](std::vector<std::string>& strings) {
        std::vector<char*> pointers;
        pointers.reserve(strings.size() + 1);
        for (std::string& one : strings) pointers.push_back(one.data());
        pointers.push_back(nullptr);
        return pointers;
    };
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, program.c_str(), &actions_, &attributes_, pointers_to(words).data(),
                                    pointers_to(environment).data());
    if (error != 0) return core::fail_errno(error, what);
    return pid;
}

}  // namespace smackd::net
