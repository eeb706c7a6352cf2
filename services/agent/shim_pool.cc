#include "services/agent/shim_pool.h"

#include <spawn.h>
#include <unistd.h>

#include <array>
#include <string>

#include "net/spawn_plan.h"
#include "services/agent/descriptor_channel.h"
#include "services/agent/shim.h"

namespace smackd::agent {
core::Result<ShimPool::Ready> ShimPool::spawn(bool own_network) const {
    auto channel = make_descriptor_channel();
    if (!channel) return core::fail(core::Errc::kIo, "{}", channel.error().message());
    net::SpawnPlan plan(net::SpawnPlan::Session::kOwn);
    plan.give_no_input();
    plan.give(log_.get(), STDOUT_FILENO);
    plan.give(log_.get(), STDERR_FILENO);
    plan.give(channel->theirs.get(), kShimOrders);
    std::string word(kReadyShim);
    word.resize(kReadyWordBytes, '-');  // room for what it is once it has a task
    std::vector<std::string> words = {"smackd", std::move(word)};
    if (own_network) words.emplace_back(kShimOwnNetwork);
    Ready ready;
    // The binary that runs, whatever has been put in its place meanwhile: both ends of the protocol fit.
    TRY_ASSIGN(ready.pid, plan.start("/proc/self/exe", std::move(words), "starting the task's shim"));
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
