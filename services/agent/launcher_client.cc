#include "services/agent/launcher_client.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "net/adopted_socket.h"
#include "net/spawn_plan.h"
#include "services/agent/descriptor.h"
#include "services/agent/launcher.h"

namespace smackd::agent {
namespace {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Result;
using net::Task;

Result<int> spawn_launcher(const std::string& binary, int socket) {
    net::SpawnPlan plan(net::SpawnPlan::Session::kOwn);
    plan.give_no_input();
    plan.give(socket, kLauncherSocket);
    return plan.start(binary, {"smackd", "launcher"}, "starting the launcher");
}

}  // namespace

LauncherClient::LauncherClient(net::Loop& loop, std::string binary, wire::LauncherSetup setup,
                               core::Logger logger)
    : loop_(loop),
      binary_(std::move(binary)),
      setup_(std::move(setup)),
      logger_(std::move(logger)),
      ready_(loop),
      scope_(loop) {}

Result<void> LauncherClient::spawn() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return fail_errno(errno, "socketpair");
    Descriptor ours(ends[0]);
    // The number it is to have must be another's, or the copy would be none and be closed.
    const Descriptor theirs(::fcntl(ends[1], F_DUPFD_CLOEXEC, kLauncherSocket + 1));
    ::close(ends[1]);
    TRY_ASSIGN(pid_, spawn_launcher(binary_, theirs.get()));
    TRY_ASSIGN(auto stream, net::adopt_unix(loop_, ours.release()));
    stream_ = std::make_unique<MessageStream>(loop_, std::move(stream));
    return {};
}

Task<Result<wire::LauncherAnswer>> LauncherClient::start() {
    CO_TRY(spawn());
    scope_.spawn(read_answers());
    wire::LauncherRequest request;
    *request.mutable_setup() = setup_;
    CO_TRY_ASSIGN(wire::LauncherAnswer answer, co_await exchange(std::move(request)));
    ready_.set();
    co_return answer;
}

Task<Result<wire::LauncherAnswer>> LauncherClient::ask(wire::LauncherRequest request) {
    CO_TRY(co_await net::with_deadline(loop_, kLauncherAnswerMax, "the launcher", ready_.wait()));
    co_return co_await exchange(std::move(request));
}

Task<Result<wire::LauncherAnswer>> LauncherClient::exchange(wire::LauncherRequest request) {
    if (!stream_) co_return fail(Errc::kUnavailable, "the launcher has ended");
    const uint64_t id = next_id_++;
    request.set_id(id);
    net::Wait<wire::LauncherAnswer> wait(loop_);
    waiting_[id] = &wait;
    auto sent = co_await send(std::move(request));
    if (!sent) wait.complete(std::unexpected(std::move(sent.error())));
    auto answer = co_await wait;
    waiting_.erase(id);
    if (!answer) co_return answer;
    if (answer->code() != 0)
        co_return std::unexpected(core::Error{static_cast<Errc>(answer->code()), answer->message(), 0});
    co_return answer;
}

Task<Result<void>> LauncherClient::send(wire::LauncherRequest request) {
    co_return co_await stream_->send(request);
}

// Runs as long as the client: through the lives of all launchers.
Task<void> LauncherClient::read_answers() {
    for (;;) {
        auto answer = co_await stream_->receive<wire::LauncherAnswer>();
        if (answer) {
            const auto found = waiting_.find(answer->id());
            if (found != waiting_.end()) found->second->complete(std::move(*answer));
            continue;
        }
        ready_.reset();
        for (auto& [id, wait] : waiting_)
            wait->complete(fail(Errc::kUnavailable, "the launcher died over it"));
        co_await stream_->close();
        if (pid_ > 0) ::waitpid(pid_, nullptr, WNOHANG);  // it has closed its end by dying
        if (scope_.cancelled()) co_return;
        logger_.warning("launcher ended, another one is started", {{"pid", pid_}});
        auto slept = co_await net::sleep(loop_, kLauncherPause);
        if (!slept) co_return;
        if (pid_ > 0) ::waitpid(pid_, nullptr, WNOHANG);
        // A stream whose waiters have just been woken is still theirs for this turn; by now they are done.
        auto spawned = spawn();
        if (!spawned) {
            logger_.error("the launcher cannot be started", {{"error", spawned.error().message}});
            continue;
        }
        scope_.spawn([](LauncherClient& self) -> Task<void> {
            wire::LauncherRequest request;
            *request.mutable_setup() = self.setup_;
            auto set_up = co_await self.exchange(std::move(request));
            if (set_up) self.ready_.set();
        }(*this));
    }
}

Task<void> LauncherClient::close() {
    scope_.cancel();
    if (stream_) co_await stream_->close();
    co_await scope_.close();
    if (pid_ <= 0) co_return;
    // It ends at the end of its socket; one that is busy is not waited for.
    for (int tries = 0; tries < 50 && ::waitpid(pid_, nullptr, WNOHANG) == 0; tries++) ::usleep(2000);
    pid_ = 0;
}

}  // namespace smackd::agent
