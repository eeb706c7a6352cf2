#include <unistd.h>

#include <cstdio>
#include <utility>

#include "services/agent/monotonic.h"
#include "services/agent/shim.h"
#include "services/agent/shim_process.h"

namespace smackd::agent {

using core::Errc;
using wire::TaskExited;

namespace {

constexpr useconds_t kGroupsPauseUs = 100'000;
constexpr const char* kNoTask = "the task is not running";

}  // namespace

// ---- as the build that goes

void Shim::replace(const Client& client, uint32_t descriptor) {
    if (check_) return refuse(client.number, {Errc::kBusy, "the shim is being replaced already", 0});
    if (!task_.pidfd) return refuse(client.number, {Errc::kConflict, kNoTask, 0});
    auto binary = client.connection->open_of_peer(descriptor);
    if (!binary) return refuse(client.number, binary.error());
    KeptDescriptors kept;
    const int fd = binary->get();
    check_ = std::make_unique<TakeoverCheck>(
        loop_, [this, number = client.number, file = std::move(*binary)](core::Result<void> checked) mutable {
            replaced_by(std::move(file), number, std::move(checked));
        });
    auto asked = check_->start(fd, state(kept));
    if (asked) return;
    check_.reset();
    refuse(client.number, asked.error());
}

/// Runs from the loop, with no message half read and nothing of the log between pipe and file.
void Shim::replaced_by(Descriptor binary, uint64_t client, core::Result<void> checked) {
    check_.reset();
    if (!checked) return refuse(client, checked.error());
    KeptDescriptors kept;
    for (const int fd : {kShimLock, kShimDirectory, kShimSocket}) kept.keep(fd);
    const wire::ShimState now = state(kept);
    refuse(client, become_other_build(binary.get(), now, std::move(kept)));
}

void Shim::refuse(uint64_t client, const core::Error& why) {
    std::fprintf(stderr, "shim of %s is not replaced: %s\n", group().c_str(), why.message.c_str());
    wire::ShimAnswer answer;
    answer.mutable_refusal()->set_code(static_cast<uint32_t>(why.code));
    answer.mutable_refusal()->set_message(why.message);
    for (Client& one : clients_) {
        if (one.number == client) one.connection->send(answer);
    }
}

wire::ShimState Shim::state(KeptDescriptors& kept) const {
    wire::ShimState now;
    now.set_version(kShimStateVersion);
    *now.mutable_plan() = plan_;
    now.set_pid(static_cast<uint32_t>(task_.pid));
    now.set_pidfd(kept.keep(task_.pidfd));
    now.set_status(kept.keep(task_.status));
    for (const Descriptor& layer : task_.layers) now.add_layers(kept.keep(layer));
    now.set_logs(kept.keep(logs_));
    out_->save(*now.mutable_out(), kept);
    error_->save(*now.mutable_error(), kept);
    now.set_seccomp(seccomp_);
    for (const Descriptor& socket : network_.reserved) now.add_reserved(kept.keep(socket));
    now.set_published(network_.published);
    now.set_memory_notice(kept.keep(memory_notice_.descriptor));
    now.set_memory_notice_kept(kept.keep(memory_notice_.kept));
    now.set_lease(kept.keep(lease_));
    if (stopping_) now.set_stopping(static_cast<uint32_t>(*stopping_) + 1);
    if (kill_at_) now.set_kill_at_us(microseconds_of(*kill_at_));
    if (runtime_until_) now.set_runtime_until_us(microseconds_of(*runtime_until_));
    now.set_disk_bytes(disk_bytes_);
    now.set_sequence(sequence_);
    for (const Client& client : clients_) {
        if (client.connection->closed()) continue;
        wire::ShimClientState& one = *now.add_clients();
        client.connection->save(one, kept);
        if (client.exec) client.exec->save(*one.mutable_program(), kept);
    }
    return now;
}

// ---- as the build that comes

void Shim::restore(wire::ShimState state) {
    task_.pid = static_cast<int>(state.pid());
    task_.pidfd = handed_over(state.pidfd());
    task_.status = handed_over(state.status());
    for (const uint32_t layer : state.layers()) task_.layers.push_back(handed_over(layer));
    logs_ = handed_over(state.logs());
    out_ = std::make_unique<LogPipe>(loop_, logs_.get(), "stdout", spec().logs(), state.out());
    error_ = std::make_unique<LogPipe>(loop_, logs_.get(), "stderr", spec().logs(), state.error());
    seccomp_ = std::move(*state.mutable_seccomp());
    for (const uint32_t socket : state.reserved()) network_.reserved.push_back(handed_over(socket));
    network_.published = state.published();
    memory_notice_.descriptor = handed_over(state.memory_notice());
    memory_notice_.kept = handed_over(state.memory_notice_kept());
    lease_ = handed_over(state.lease());
    if (state.stopping() > 0) stopping_ = static_cast<TaskExited::Reason>(state.stopping() - 1);
    if (state.runtime_until_us() > 0) runtime_until_ = instant_of(state.runtime_until_us());
    disk_bytes_ = state.disk_bytes();
    sequence_ = state.sequence();
}

int Shim::go_on(wire::ShimState state) {
    // The check has found them a moment ago.
    for (;;) {
        auto found = CgroupTree::find(plan_.name());
        if (found) cgroups_ = std::move(*found);
        if (found) break;
        ::usleep(kGroupsPauseUs);
    }
    restore(state);
    watch_task();
    if (state.kill_at_us() > 0) kill_at(instant_of(state.kill_at_us()));
    look_for_kill();  // the other build may have been waiting for the kernel's count
    restore_clients(state);
    loop_.run();
    clean_up();
    return 0;
}

}  // namespace smackd::agent
