#include "cmd/smackd/node/agents.h"

#include <format>

#include "cmd/smackd/node/foreign_wait.h"
#include "net/crypto/hash.h"
#include "net/move_stream.h"
#include "services/apps/leases.h"

namespace smackd::cmd {

using core::Bytes;
using core::Errc;
using core::NodeId;
using core::Result;
using net::Task;
using net::rpc::Caller;
using net::rpc::ItemWriter;

Agents::Agents(Parts parts)
    : parts_(std::move(parts)),
      thread_("agents", parts_.logger),
      scope_(thread_.loop()),
      server_(thread_.loop(), parts_.self, {}, parts_.logger),
      feeds_(thread_.loop(), parts_.workers, parts_.hub, parts_.reader, parts_.logger.named("feeds")),
      orders_(thread_.loop()) {
    add_calls();
    thread_.start();
}

Agents::~Agents() {
    stop();
}

void Agents::add_calls() {
    server_.on_caller([this](const Caller& caller) { return check(caller); });
    server_.on_call("heartbeat", [this](Bytes request, const Caller& caller) {
        return answer_heartbeat(std::move(request), caller.hello.node);
    });
    server_.on_call("report", [this](Bytes request, const Caller& caller) {
        return answer_report(caller.hello.node, std::move(request));
    });
    server_.on_call("tasks.own",
                    [this](Bytes, const Caller& caller) { return answer_own_tasks(caller.hello.node); });
    server_.on_call("edge.certificates", [this](Bytes request, const Caller& caller) {
        return answer_certificates(caller.hello.node, std::move(request));
    });
    for (const std::string_view call : {kTaskRequestCall, kTaskTokenCall}) {
        server_.on_call(std::string(call), [this, call](Bytes request, const Caller& caller) {
            return answer_for_task(caller.hello.node, call, std::move(request));
        });
    }
    server_.on_call("gossip.sync", [this](Bytes request, const Caller& caller) {
        return answer_sync(caller.hello.node, std::move(request));
    });
    server_.on_notice("gossip", [this](Bytes packet, const Caller& caller) {
        if (liveness_) liveness_->stream_packet(caller.hello.node, std::move(packet));
    });
    server_.on_stream("gossip", [this](Bytes, ItemWriter& out, const Caller& caller) {
        return send_gossip(caller.hello.node, out);
    });
    server_.on_stream("orders", [this](Bytes, ItemWriter& out, const Caller& caller) {
        return orders_.send(caller.hello.node, out);
    });
    server_.on_call("order.answer", [this](Bytes answer, const Caller& caller) {
        return [](Result<void> taken) -> Task<Result<Bytes>> {
            co_return taken.transform([] { return Bytes(); });
        }(orders_.take_answer(caller.hello.node, answer));
    });
    server_.on_stream("feed", [this](Bytes request, ItemWriter& out, const Caller& caller) {
        return feeds_.serve(caller.hello.node, std::move(request), out);
    });
}

void Agents::serve(std::unique_ptr<net::Stream> stream, auth::AdmittedNode agent,
                   core::Callback<void()> done) {
    std::lock_guard lock(stopping_);
    if (stopped_) return done();
    thread_.loop().post(
        [this, stream = std::move(stream), agent = std::move(agent), done = std::move(done)]() mutable {
            scope_.spawn(serve_one(std::move(stream), std::move(agent), std::move(done)));
        },
        "agent");
}

Task<void> Agents::serve_one(std::unique_ptr<net::Stream> stream, auth::AdmittedNode agent,
                             core::Callback<void()> done) {
    const net::Stream* key = stream.get();
    std::string from = stream->peer();
    Result<void> served = net::attach_to_loop(*stream, thread_.loop());
    if (served) {
        admitted_[key] = agent.id;
        machines_[agent.id] = agent.machine;
        served = co_await server_.serve(std::move(stream));
        admitted_.erase(key);
        if (liveness_) liveness_->heard(agent.id, false);
    }
    if (!served)
        parts_.logger.debug("an agent's connection ended", {{"peer", from}, {"why", served.error().message}});
    done();
}

// The door has checked the certificate; what the agent says of itself must be the same.
Result<void> Agents::check(const Caller& caller) const {
    const NodeId admitted = admitted_.at(caller.stream);
    if (admitted.value == 0) return core::fail(Errc::kUnavailable, "the registry has changed; dial again");
    if (admitted == caller.hello.node) return {};
    return core::fail(Errc::kDenied, "the certificate is of node {}, not of node {}", admitted.value,
                      caller.hello.node.value);
}

void Agents::cut(NodeId node) {
    thread_.loop().post(
        [this, node] {
            server_.cut(node);
            for (auto& [stream, agent] : admitted_) {
                if (agent == node) agent = {};
            }
        },
        "cut");
}

void Agents::set_servers(Bytes list) {
    thread_.loop().post(
        [this, list = std::move(list)]() mutable {
            servers_ = std::move(list);
            servers_sha256_ = net::crypto::sha256(servers_);
        },
        "servers");
}

void Agents::set_gossip(std::shared_ptr<Liveness> liveness, wire::GossipKeys keys) {
    keys.clear_departed();
    thread_.loop().post(
        [this, liveness = std::move(liveness), keys = std::move(keys)]() mutable {
            liveness_ = std::move(liveness);
            gossip_keys_ = std::move(keys);
        },
        "gossip");
}

Task<Result<Bytes>> Agents::answer_heartbeat(Bytes request, NodeId agent) {
    wire::Heartbeat heartbeat;
    if (!heartbeat.ParseFromString(request))
        co_return core::fail(Errc::kInvalid, "heartbeat: no wire.Heartbeat");
    wire::HeartbeatAnswer answer = parts_.standing();
    answer.set_sequence(heartbeat.sequence());
    if (liveness_) liveness_->heard(agent, true);
    const bool known = gossip_keys_.version() != 0;
    if (known && heartbeat.gossip_keys_version() != gossip_keys_.version())
        answer.set_gossip_keys(gossip_keys_.SerializeAsString());
    if (heartbeat.servers_sha256() != servers_sha256_) answer.set_servers(servers_);
    co_return answer.SerializeAsString();
}

// What an agent says of its node becomes a command of its machine, whoever it claims to be; apply asks
// whether it may.
Task<Result<Bytes>> Agents::answer_report(NodeId agent, Bytes request) {
    if (request.size() > kReportBytesMax)
        co_return core::fail(Errc::kInvalid, "report: {} bytes, the limit is {}", request.size(),
                             kReportBytesMax);
    wire::Command told;
    if (!told.ParseFromString(request)) co_return core::fail(Errc::kInvalid, "report: no wire.Command");
    if (told.changes_size() < 1 || told.changes_size() > kReportChangesMax)
        co_return core::fail(Errc::kInvalid, "report: {} changes, must be 1 to {}", told.changes_size(),
                             kReportChangesMax);
    wire::Command command;
    command.set_feature_level(told.feature_level());
    command.mutable_actor()->set_kind(wire::Actor::MACHINE);
    command.mutable_actor()->set_principal(std::format("smack/{}@{}", machines_[agent], parts_.realm));
    command.mutable_actor()->set_door("agent");
    for (wire::Change& change : *told.mutable_changes()) {
        if (!change.has_update_task_status() && !change.has_put_node_capacity())
            co_return core::fail(Errc::kDenied, "report: an agent tells of its tasks and what it has only");
        *command.add_changes() = std::move(change);
    }
    co_return co_await await_foreign<Bytes>(
        thread_.loop(), [&](auto done) { parts_.propose(command.SerializeAsString(), std::move(done)); });
}

Task<Result<Bytes>> Agents::answer_own_tasks(NodeId agent) {
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await await_foreign<core::Revision>(
                      thread_.loop(), [&](auto done) { parts_.barrier(std::move(done)); }));
    CO_TRY(
        co_await net::with_deadline<void>(thread_.loop(), services::kLeaseAnswerLimit, "catching up",
                                          services::wait_for_revision(thread_.loop(), parts_.hub, revision)));
    CO_TRY_ASSIGN(const services::OwnTasks own,
                  co_await services::read_own_tasks(thread_.loop(), parts_.workers, parts_.reader, agent));
    wire::OwnTasks answer;
    for (const std::string& task : own) answer.add_task(task);
    co_return answer.SerializeAsString();
}

Task<Result<Bytes>> Agents::answer_certificates(NodeId agent, Bytes request) {
    wire::EdgeCertificateRequest asked;
    if (request.size() > kReportBytesMax || !asked.ParseFromString(request))
        co_return core::fail(Errc::kInvalid, "edge.certificates: no wire.EdgeCertificateRequest");
    CO_TRY_ASSIGN(const auto issued,
                  co_await parts_.workers.run<wire::EdgeIssuedCertificates>(
                      thread_.loop(), [this, machine = machines_[agent], asked = std::move(asked)] {
                          return services::issue_edge_certificates(parts_.issuer, asked, machine,
                                                                   parts_.clock.wall());
                      }));
    co_return issued.SerializeAsString();
}

// Whose task it is the API asks of the state; the node is the certificate's.
Task<Result<Bytes>> Agents::answer_for_task(NodeId agent, std::string_view call, Bytes request) {
    if (request.size() > kReportBytesMax)
        co_return core::fail(Errc::kInvalid, "{}: {} bytes, the limit is {}", call, request.size(),
                             kReportBytesMax);
    co_return co_await await_foreign<Bytes>(thread_.loop(), [&](auto done) {
        parts_.ask_for_task(agent, call, std::move(request), std::move(done));
    });
}

Task<Result<Bytes>> Agents::answer_sync(NodeId agent, Bytes request) {
    if (!liveness_) co_return core::fail(Errc::kUnavailable, "this server has no gossip keys yet");
    co_return co_await await_foreign<Bytes>(thread_.loop(), [&](auto done) {
        liveness_->answer_sync(agent, std::move(request), std::move(done));
    });
}

void Agents::ask(NodeId agent, std::string method, Bytes request, core::Callback<void(Result<Bytes>)> done) {
    thread_.loop().post(
        [this, agent, method = std::move(method), request = std::move(request),
         done = std::move(done)]() mutable {
            scope_.spawn(
                tell_result(orders_.ask(agent, std::move(method), std::move(request)), std::move(done)));
        },
        "order");
}

void Agents::gossip_packet(NodeId agent, Bytes packet) {
    thread_.loop().post(
        [this, agent, packet = std::move(packet)]() mutable {
            const auto found = outboxes_.find(agent);
            if (found == outboxes_.end()) return;
            Outbox& outbox = *found->second;
            if (outbox.size() >= kStreamPacketsMax) outbox.drop_oldest();
            outbox.put(std::move(packet));
        },
        "gossip packet");
}

// An agent has one such stream; a second one (it came back before the first was found dead) takes over.
Task<Result<void>> Agents::send_gossip(NodeId agent, ItemWriter& out) {
    auto outbox = std::make_shared<Outbox>(thread_.loop());
    outboxes_[agent] = outbox;
    auto ended = co_await outbox->send_to(out);
    const auto current = outboxes_.find(agent);
    if (current != outboxes_.end() && current->second == outbox) outboxes_.erase(current);
    co_return ended;
}

void Agents::stop() {
    {
        std::lock_guard lock(stopping_);
        if (std::exchange(stopped_, true)) return;
    }
    thread_.await<bool>([this] {
        return [](net::Scope& scope) -> Task<bool> {
            co_await scope.close();
            co_return true;
        }(scope_);
    });
    thread_.stop();
}

}  // namespace smackd::cmd
