#include <signal.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <format>
#include <utility>

#include "net/crypto/random.h"
#include "net/system_clock.h"
#include "services/agent/file_tree.h"
#include "services/agent/shim.h"
#include "services/agent/shim_process.h"
#include "services/agent/task_directory.h"

namespace smackd::agent {

using wire::TaskExited;

namespace {

constexpr core::Duration kKillLook = core::milliseconds(20);
constexpr int kDiskLookShare = 20;  // looking takes at most a twentieth of the time
constexpr core::Duration kLastWords = core::milliseconds(500);
constexpr int kRemoveGroupTries = 400;
constexpr useconds_t kRemoveGroupPauseUs = 5000;

std::string describe(const TaskExited& exited) {
    const std::string how =
        exited.signal() != 0
            ? std::format("signal {} ({})", exited.signal(), ::sigdescr_np(static_cast<int>(exited.signal())))
            : std::format("exit code {}", exited.code());
    switch (exited.reason()) {
        case TaskExited::OUT_OF_MEMORY:
            return std::format("out of memory: it met its limit of {}",
                               core::format_bytes(exited.usage().memory_limit_bytes()));
        case TaskExited::KILLED:
            return "killed as asked: " + how;
        case TaskExited::LEASE_EXPIRED:
            return "its lease was not renewed: " + how;
        case TaskExited::MAX_RUNTIME:
            return "it ran for as long as it may: " + how;
        case TaskExited::DISK_LIMIT:
            return "it used more disk than it may: " + how;
        default:
            return "ended with " + how;
    }
}

}  // namespace

/// To the task's first process.
void Shim::signal(int number) const {
    ::syscall(SYS_pidfd_send_signal, task_.pidfd.get(), number, nullptr, 0);
}

void Shim::begin_stop(TaskExited::Reason reason, core::Duration grace) {
    if (!stopping_) {
        stopping_ = reason;
        const int number = spec().stop_signal() == 0 ? SIGTERM : static_cast<int>(spec().stop_signal());
        signal(number);
    }
    const core::Instant at = loop_.now() + grace;
    if (!kill_at_ || *kill_at_ > at) kill_at(at);
}

void Shim::kill_at(core::Instant at) {
    kill_at_ = at;
    loop_.cancel(kill_timer_);
    const core::Duration grace = at - loop_.now();
    if (grace <= core::Duration(0)) return kill_all();
    kill_timer_ = loop_.start(grace, [this] { kill_all(); });
}

void Shim::kill_all() {
    // Its pid 1 first: the kernel then ends the whole namespace. The group has what was put in from outside.
    signal(SIGKILL);
    cgroups_->kill(group());
}

void Shim::renew_lease(int64_t until_ms) {
    if (!lease_ || until_ms <= 0) return;
    itimerspec at{};
    at.it_value.tv_sec = until_ms / 1000;
    at.it_value.tv_nsec = static_cast<long>(until_ms % 1000) * 1'000'000;
    ::timerfd_settime(lease_.get(), TFD_TIMER_ABSTIME, &at, nullptr);
}

void Shim::look_at_disk() {
    const core::Instant began = loop_.now();
    std::optional<uint64_t> used = spec().sandbox().empty() ? 0 : tree_bytes(spec().sandbox());
    const auto root = tree_bytes(task_directory(plan_.directory(), group()) + "/upper");
    if (used && root) disk_bytes_ = *used + *root;
    if (!used || !root || disk_bytes_ > spec().limits().disk_bytes())
        return begin_stop(TaskExited::DISK_LIMIT, core::Duration(0));
    loop_.start(std::max(kDiskLook, (loop_.now() - began) * kDiskLookShare), [this] { look_at_disk(); });
}

void Shim::out_of_memory() {
    std::array<char, 4096> events{};
    (void)!::read(memory_notice_.descriptor.get(), events.data(), events.size());
    look_for_kill();
}

/// v1 tells of the shortage before anything is killed: the count follows a moment later.
void Shim::look_for_kill(int looks) {
    if (stopping_ || !memory_notice_.descriptor) return;
    if (cgroups_->out_of_memory_kills(group()) == 0) {
        if (looks > 0) loop_.start(kKillLook, [this, looks] { look_for_kill(looks - 1); });
        return;
    }
    // All of it goes, as with v2's memory.oom.group: a task that lost one process is not what was asked for.
    loop_.forget(memory_notice_.descriptor.get());
    begin_stop(TaskExited::OUT_OF_MEMORY, core::Duration(0));
}

wire::TaskUsage Shim::usage() const {
    wire::TaskUsage now = cgroups_->usage(group());
    now.set_time_ms(net::SystemClock().wall().unix_ms);
    now.set_disk_bytes(disk_bytes_);
    now.set_log_bytes(out_->written() + error_->written());
    return now;
}

void Shim::ended() {
    int status = 0;
    ::waitpid(task_.pid, &status, 0);
    // The init's own status is a copy at best; killed from outside, it has told nothing.
    if (int told = 0; task_.status && ::read(task_.status.get(), &told, sizeof(told)) == sizeof(told))
        status = told;
    out_->drain();
    error_->drain();
    wire::TaskEvent event;
    TaskExited& exited = *event.mutable_exited();
    *exited.mutable_usage() = usage();
    exited.set_code(WIFEXITED(status) ? static_cast<uint32_t>(WEXITSTATUS(status)) : 0);
    exited.set_signal(WIFSIGNALED(status) ? static_cast<uint32_t>(WTERMSIG(status)) : 0);
    exited.set_reason(stopping_.value_or(TaskExited::ENDED));
    if (!stopping_ && exited.usage().out_of_memory_kills() > 0) exited.set_reason(TaskExited::OUT_OF_MEMORY);
    exited.set_message(describe(exited));
    loop_.forget(task_.pidfd.get());
    release_ports();  // whoever hears of the end may start another task on them at once
    tell(std::move(event), true);
    loop_.stop();
}

void Shim::tell(wire::TaskEvent event, bool durable) {
    event.set_task_id(group());
    event.set_sequence(++sequence_);
    event.set_uuid(net::crypto::random_bytes(16));
    event.set_time_ms(net::SystemClock().wall().unix_ms);
    // A full disk must not lose it: what is in the way of the last event is taken away and it is tried again.
    while (!write_event(kShimDirectory, event, false)) {
        remove_tree(kShimDirectory, "upper");
        ::usleep(200'000);
    }
    wire::ShimAnswer answer;
    *answer.mutable_event() = event;
    for (Client& client : clients_) client.connection->send(answer);
    // For the machine that fails before anybody has heard of it; who listens need not wait for the disk.
    if (durable) (void)sync_event(kShimDirectory, event.sequence());
}

void Shim::release_ports() {
    if (std::exchange(network_.published, false)) unpublish(plan_);
    network_.reserved.clear();
}

void Shim::clean_up() {
    for (Client& client : clients_) {
        client.exec.reset();
        client.connection->flush(kLastWords);
    }
    clients_.clear();
    release_ports();
    for (int tries = 0; cgroups_ && tries < kRemoveGroupTries && !cgroups_->remove(group()); tries++) {
        cgroups_->kill(group());
        ::usleep(kRemoveGroupPauseUs);  // the kernel lets go of a dead process's group a little later
    }
    for (const char* name : {"upper", "work", "staging", kSocketFile}) remove_tree(kShimDirectory, name);
}

}  // namespace smackd::agent
