// A shim that is exec'ed, as the launcher does, beside one that is a mere fork of a small process:
// milliseconds from the decision to the task's execve, and kilobytes of a shim that are its own. The tasks
// are real.
//
// Usage: shim_kinds SMACKD DIRECTORY COUNT          DIRECTORY: new, absolute; root only
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <format>
#include <fstream>
#include <string>
#include <vector>

#include "net/system_clock.h"
#include "services/agent/bridge.h"
#include "services/agent/cgroups.h"
#include "services/agent/shim.h"
#include "services/agent/task_directory.h"

namespace smackd::agent {
namespace {

constexpr int kFirstFree = 100;  // the shim's own numbers stay free until they are given
constexpr uint32_t kUserBase = 0x68000000;
constexpr int kLooks = 20000;
constexpr useconds_t kLookUs = 500;

Descriptor away(Descriptor from) {
    return Descriptor(::fcntl(from.get(), F_DUPFD_CLOEXEC, kFirstFree));
}

struct Started {
    std::string id;
    pid_t shim = 0;
    double milliseconds = 0;
    long own_kib = 0;
};

class Bench {
 public:
    Bench(std::string smackd, std::string directory)
        : smackd_(std::move(smackd)), directory_(std::move(directory)), name_(agent_name(directory_)) {}

    void run(int count) {
        for (const std::string& path : {directory_, tasks_directory(directory_), logs_directory(directory_)})
            ::mkdir(path.c_str(), 0700);
        if (!CgroupTree::open(name_)) stop("control groups");
        std::vector<Started> exec;
        std::vector<Started> fork;
        for (int i = 0; i < count; ++i) {  // in turn: both meet the same load
            exec.push_back(start(std::format("exec{}", i), false));
            fork.push_back(start(std::format("fork{}", i), true));
        }
        report("exec", exec);
        report("fork", fork);
        end(exec);
        end(fork);
        if (auto tree = CgroupTree::open(name_)) tree->remove_top();
    }

 private:
    Started start(const std::string& id, bool fork) {
        const auto began = std::chrono::steady_clock::now();
        wire::ShimPlan plan;
        plan.set_directory(directory_);
        plan.set_name(name_);
        plan.set_user_base(kUserBase);
        plan.mutable_spec()->set_task_id(id);
        for (const char* word : {"sleep", "1000"}) plan.mutable_spec()->mutable_arguments()->add_words(word);
        plan.set_taken_us(static_cast<uint64_t>(
            std::chrono::duration_cast<std::chrono::microseconds>(net::SystemClock().now().since_start)
                .count()));
        auto task = make_task_directory(directory_, id);
        if (!task || !write_plan(*task, plan)) stop("the task's directory");
        const Descriptor lock = away(std::move(task->lock));
        const Descriptor directory = away(std::move(task->directory));
        const Descriptor socket = away(Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)));
        Started started{id};
        started.shim = fork ? fork_shim(id, lock.get(), directory.get(), socket.get())
                            : exec_shim(id, lock.get(), directory.get(), socket.get());
        await(directory.get(), id);
        started.milliseconds =
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
        started.own_kib = own_kib(started.shim);
        return started;
    }

    pid_t exec_shim(std::string id, int lock, int directory, int socket) {
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, lock, kShimLock);
        posix_spawn_file_actions_adddup2(&actions, directory, kShimDirectory);
        posix_spawn_file_actions_adddup2(&actions, socket, kShimSocket);
        std::string word = "shim";
        std::array<char*, 4> arguments = {smackd_.data(), word.data(), id.data(), nullptr};
        std::array<char*, 1> environment = {nullptr};
        pid_t pid = 0;
        if (::posix_spawn(&pid, smackd_.c_str(), &actions, nullptr, arguments.data(), environment.data()) !=
            0)
            stop(smackd_);
        posix_spawn_file_actions_destroy(&actions);
        return pid;
    }

    static pid_t fork_shim(const std::string& id, int lock, int directory, int socket) {
        const pid_t pid = ::fork();
        if (pid != 0) return pid;
        ::dup2(lock, kShimLock);
        ::dup2(directory, kShimDirectory);
        ::dup2(socket, kShimSocket);
        ::close_range(kShimSocket + 1, ~0U, 0);
        ::_exit(shim_main({id}));
    }

    static void await(int directory, const std::string& id) {
        for (int i = 0; i < kLooks; ++i) {
            for (const wire::TaskEvent& event : read_events(directory)) {
                if (event.has_started()) return;
                stop(id + ": " + event.failed().message());
            }
            ::usleep(kLookUs);
        }
        stop(id + ": it does not start");
    }

    /// Private pages, written or not.
    static long own_kib(pid_t pid) {
        std::ifstream file(std::format("/proc/{}/smaps_rollup", pid));
        long kib = 0;
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with("Private_"))
                kib += std::strtol(line.c_str() + line.find(':') + 1, nullptr, 10);
        }
        return kib;
    }

    static void report(const char* kind, const std::vector<Started>& all) {
        std::vector<double> took;
        long kib = 0;
        for (const Started& one : all) {
            took.push_back(one.milliseconds);
            kib += one.own_kib;
        }
        std::ranges::sort(took);
        std::printf("%s %.2f %.2f %ld\n", kind, took[took.size() / 2], took[took.size() * 99 / 100],
                    kib / static_cast<long>(all.size()));
    }

    static void end(const std::vector<Started>& all) {
        for (const Started& one : all) ::kill(one.shim, SIGTERM);
        for (const Started& one : all) ::waitpid(one.shim, nullptr, 0);
    }

    [[noreturn]] static void stop(const std::string& why) {
        std::fprintf(stderr, "shim_kinds: %s\n", why.c_str());
        std::exit(1);
    }

    std::string smackd_;
    std::string directory_;
    std::string name_;
};

}  // namespace
}  // namespace smackd::agent

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: shim_kinds SMACKD DIRECTORY COUNT\n");
        return 2;
    }
    smackd::agent::Bench(argv[1], argv[2]).run(std::atoi(argv[3]));
    return 0;
}
