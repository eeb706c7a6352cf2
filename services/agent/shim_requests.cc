#include <sys/socket.h>
#include <unistd.h>

#include <iterator>
#include <utility>

#include "services/agent/beside.h"
#include "services/agent/shim.h"
#include "services/agent/shim_process.h"

namespace smackd::agent {

using wire::TaskExited;

namespace {

constexpr size_t kConnectionsMax = 128;
constexpr const char* kBuild = "1";

}  // namespace

template <class From>
Shim::Clients::iterator Shim::add_client(From from) {
    clients_.emplace_back();
    const auto client = std::prev(clients_.end());
    client->number = ++last_client_;
    client->connection = std::make_unique<ShimConnection>(
        loop_, std::move(from), [this, client](const wire::ShimRequest& request) { answer(client, request); },
        [this, client] {
            client->exec.reset();  // it uses the connection
            clients_.erase(client);
        });
    return client;
}

void Shim::accept() {
    Descriptor socket(::accept4(kShimSocket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket && clients_.size() < kConnectionsMax) greet(*add_client(std::move(socket)));
}

void Shim::greet(Client& client) {
    wire::ShimAnswer hello;
    hello.mutable_hello()->set_version(kShimProtocolVersion);
    hello.mutable_hello()->set_build(kBuild);
    hello.mutable_hello()->set_task_id(group());
    hello.mutable_hello()->set_shim_pid(static_cast<uint64_t>(::getpid()));
    hello.mutable_hello()->set_pid(static_cast<uint64_t>(task_.pid));
    hello.mutable_hello()->set_last_sequence(sequence_);
    client.connection->send(hello);
}

void Shim::answer(Clients::iterator client, const wire::ShimRequest& request) {
    switch (request.what_case()) {
        case wire::ShimRequest::kKill:
            return begin_stop(TaskExited::KILLED, core::milliseconds(request.kill().grace_ms()));
        case wire::ShimRequest::kSignal:
            if (task_.pidfd) signal(static_cast<int>(request.signal()));
            return;
        case wire::ShimRequest::kLease:
            return renew_lease(request.lease().until_ms());
        case wire::ShimRequest::kUsage: {
            wire::ShimAnswer answer;
            *answer.mutable_usage() = usage();
            return client->connection->send(answer);
        }
        case wire::ShimRequest::kExec:
            return start_exec(*client, request.exec());
        case wire::ShimRequest::kInput:
            if (client->exec) client->exec->input(request.input());
            return;
        case wire::ShimRequest::kReplace:
            return replace(*client, request.replace().descriptor());
        case wire::ShimRequest::WHAT_NOT_SET: {
            wire::ShimAnswer answer;
            answer.mutable_refusal()->set_code(static_cast<uint32_t>(core::Errc::kUnsupported));
            answer.mutable_refusal()->set_message("this task's shim is older than the request");
            return client->connection->send(answer);
        }
    }
}

void Shim::start_exec(Client& client, const wire::ShimExec& exec) {
    wire::ShimAnswer answer;
    if (exec.words_size() == 0 || client.exec) {
        answer.mutable_refusal()->set_code(static_cast<uint32_t>(core::Errc::kInvalid));
        answer.mutable_refusal()->set_message("exec: one program a connection, with at least one word");
        return client.connection->send(answer);
    }
    auto started = start_beside({.spec = spec(),
                                 .exec = exec,
                                 .cgroups = *cgroups_,
                                 .group = group(),
                                 .seccomp = seccomp_,
                                 .task_pidfd = task_.pidfd.get(),
                                 .user_namespace = plan_.user_base() != 0});
    if (!started) {
        wire::TaskFailed& failed = *answer.mutable_exit()->mutable_failed();
        failed.set_step(started.error().step);
        failed.set_errno_value(started.error().error_number);
        failed.set_message(started.error().message());
        return client.connection->send(answer);
    }
    client.exec = std::make_unique<ShimExecSession>(loop_, *client.connection, std::move(*started));
}

void Shim::restore_clients(const wire::ShimState& state) {
    for (const wire::ShimClientState& one : state.clients()) {
        const auto client = add_client(one);
        if (one.has_program()) {
            client->exec = std::make_unique<ShimExecSession>(loop_, *client->connection, one.program());
        } else {
            greet(*client);  // it is told that there is another build
        }
    }
}

}  // namespace smackd::agent
