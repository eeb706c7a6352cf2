#include "cmd/smackd/node/halt.h"

#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "cmd/smackd/node/edge_socket.h"
#include "core/edge_table.h"
#include "core/wire/edge.pb.h"
#include "net/frame_channel.h"
#include "net/scope.h"
#include "services/agent/bridge.h"
#include "services/agent/task_runner.h"

namespace smackd::cmd {

using core::Errc;
using core::Result;

namespace {

constexpr core::Duration kLook = core::milliseconds(20);
/// For an edge that serves to say who it is, and for a task after SIGKILL.
constexpr core::Duration kHelloLimit = core::seconds(5);
constexpr core::Duration kEdgeLimit = core::seconds(2);
constexpr core::Duration kKilledLimit = core::seconds(10);

std::vector<std::string> running(const agent::TaskRunner& runner) {
    std::vector<std::string> ids;
    for (const wire::LocalTask& task : runner.list()) {
        if (task.phase() != wire::LocalTask::ENDED) ids.push_back(task.task_id());
    }
    return ids;
}

net::Task<bool> ended_within(net::Loop& loop, const agent::TaskRunner& runner, core::Duration limit) {
    const core::Instant end = loop.now() + limit;
    while (!running(runner).empty() && loop.now() < end) {
        if (!co_await net::sleep(loop, kLook)) break;
    }
    co_return running(runner).empty();
}

/// Hears from an edge who it is.
class EdgeGreeting final : public net::FrameChannel::Handler {
 public:
    void on_frame(core::BytesView frame, net::FrameChannel::Descriptors&) override {
        wire::EdgeReport report;
        if (report.ParseFromArray(frame.data(), static_cast<int>(frame.size())) && report.has_hello())
            pid_ = static_cast<int>(report.hello().pid());
    }
    void on_closed(const core::Error&) override { closed_ = true; }
    /// 0 until it has said it.
    int pid() const { return pid_; }
    bool over() const { return pid_ > 0 || closed_; }

 private:
    int pid_ = 0;
    bool closed_ = false;
};

/// It ends what is in hand, within kEdgeLimit. False when there is none.
net::Task<bool> end_edge(net::Loop& loop, std::string socket) {
    auto descriptor = connect_to_edge(socket);
    if (!descriptor) co_return false;
    EdgeGreeting greeting;
    auto channel = net::FrameChannel::adopt(loop, *descriptor, core::kEdgeFrameBytesMax, greeting);
    if (!channel) co_return false;
    const core::Instant heard = loop.now() + kHelloLimit;
    while (!greeting.over() && loop.now() < heard) (void)co_await net::sleep(loop, kLook);
    if (greeting.pid() == 0) co_return false;
    ::kill(greeting.pid(), SIGTERM);
    const core::Instant end = loop.now() + kEdgeLimit;
    while (::kill(greeting.pid(), 0) == 0 && loop.now() < end) (void)co_await net::sleep(loop, kLook);
    ::kill(greeting.pid(), SIGKILL);
    co_return true;
}

net::Task<Result<void>> end_tasks(net::Loop& loop, agent::TaskRunner& runner, Halted& halted) {
    halted.tasks = running(runner);
    for (const std::string& id : halted.tasks) {
        auto told = co_await runner.kill(id, std::nullopt);
        if (!told && told.error().code != Errc::kNotFound) co_return core::pass(std::move(told), id);
    }
    if (co_await ended_within(loop, runner, kHaltGrace)) co_return Result<void>();
    for (const std::string& id : running(runner)) (void)co_await runner.kill(id, core::Duration(0));
    if (co_await ended_within(loop, runner, kKilledLimit)) co_return Result<void>();
    co_return core::fail(Errc::kTimeout, "task {} does not end", running(runner).front());
}

net::Task<Result<void>> end_tasks_of(net::Loop& loop, std::string path, core::Logger logger, Halted& halted) {
    agent::RunnerOptions options;
    options.directory = path;
    options.logger = logger.named("tasks");
    CO_TRY_ASSIGN(auto runner, co_await agent::TaskRunner::start(loop, std::move(options)));
    auto ended = co_await end_tasks(loop, *runner, halted);
    co_await runner->close();
    CO_TRY(std::move(ended));
    co_return agent::remove_bridge(agent::agent_name(path));
}

net::Task<Result<void>> end_all(net::Loop& loop, DataDirectory directory, core::Logger logger,
                                Halted& halted) {
    const std::string socket = directory.edge_socket();
    if (::access(socket.c_str(), F_OK) == 0) halted.edge = co_await end_edge(loop, socket);
    if (::access((directory.agent() + "/tasks").c_str(), F_OK) == 0)
        CO_TRY(co_await end_tasks_of(loop, directory.agent(), logger, halted));
    std::error_code ignored;  // sockets and locks that nobody holds any more
    std::filesystem::remove_all(directory.runtime(), ignored);
    co_return Result<void>();
}

}  // namespace

Result<Halted> halt(const DataDirectory& directory, core::Logger logger) {
    TRY_ASSIGN(const DirectoryLock lock, DirectoryLock::take(directory));
    Halted halted;
    net::Loop loop("halt");
    TRY(net::block_on(loop, end_all(loop, directory, std::move(logger), halted)));
    return halted;
}

}  // namespace smackd::cmd
