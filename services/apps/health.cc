#include "services/apps/health.h"

#include <algorithm>

#include "net/http/client.h"
#include "net/socket.h"
#include "net/tls/config.h"

namespace smackd::services {

using core::Errc;
using core::Result;

namespace {

constexpr int kStatusMin = 200;
constexpr int kStatusMax = 399;
constexpr uint64_t kBodyBytesMax = 1024 * 1024;  // a health page that says more is not read further

bool is_https(wire::CheckProtocol protocol) {
    return protocol == wire::CHECK_HTTPS || protocol == wire::CHECK_MESOS_HTTPS;
}

bool is_http(wire::CheckProtocol protocol) {
    return protocol == wire::CHECK_HTTP || protocol == wire::CHECK_MESOS_HTTP || is_https(protocol);
}

core::Duration timeout_of(const wire::HealthCheck& check) {
    return core::milliseconds(check.timeout_ms() > 0 ? check.timeout_ms() : 20'000);
}

/// The status that a page is answered with.
net::Task<Result<int>> ask_http(net::Loop& loop, net::TlsEngine* tls, wire::HealthCheck check,
                                CheckTarget target) {
    net::http::Endpoint endpoint;
    endpoint.host = {target.host, target.port};
    if (is_https(check.protocol())) {
        net::TlsClientOptions options;
        options.verify = false;  // Marathon's checks never did
        CO_TRY_ASSIGN(endpoint.tls, net::TlsConfig::client(std::move(options)));
        endpoint.server_name = target.host;
    }
    CO_TRY_ASSIGN(auto connection,
                  co_await net::http::connect(loop, tls, std::move(endpoint), timeout_of(check),
                                              {.body_bytes = kBodyBytesMax}));
    net::http::ClientRequest request;
    request.target = check.path().empty() ? "/" : check.path();
    request.headers.add("User-Agent", "smackd-health");
    request.headers.add("Connection", "close");
    request.limit = timeout_of(check);
    auto response = co_await connection->send(std::move(request));
    co_await connection->close();
    if (!response) co_return core::pass(std::move(response));
    co_return response->status;
}

net::Task<Result<void>> check_http(net::Loop& loop, net::TlsEngine* tls, const wire::HealthCheck& check,
                                   CheckTarget target) {
    CO_TRY_ASSIGN(const int status, co_await ask_http(loop, tls, check, std::move(target)));
    if (status >= kStatusMin && status <= kStatusMax) co_return Result<void>();
    co_return core::fail(Errc::kUnavailable, "status {}", status);
}

net::Task<Result<void>> check_tcp(net::Loop& loop, core::Duration timeout, CheckTarget target) {
    CO_TRY_ASSIGN(auto stream, co_await net::connect_host(loop, {target.host, target.port}, timeout));
    co_await stream->close();
    co_return Result<void>();
}

net::Task<Result<void>> run_check(net::Loop& loop, net::TlsEngine* tls, agent::TaskRunner& runner,
                                  const wire::Task& task, const wire::HealthCheck& check,
                                  CheckTarget target) {
    if (check.protocol() == wire::CHECK_COMMAND)
        co_return co_await run_command(runner, task.id(), check.command());
    if (is_http(check.protocol())) co_return co_await check_http(loop, tls, check, std::move(target));
    co_return co_await check_tcp(loop, timeout_of(check), std::move(target));
}

}  // namespace

Result<CheckTarget> check_target(const wire::AppDefinition& app, const wire::Task& task,
                                 const wire::HealthCheck& check) {
    if (check.protocol() == wire::CHECK_COMMAND) return CheckTarget{};
    const bool host = app.networks_size() == 0 || app.networks(0).mode() == wire::NETWORK_HOST;
    CheckTarget target{host ? "127.0.0.1" : task.status().task_address(), 0};
    if (check.has_port() && check.port() != 0) {
        target.port = static_cast<uint16_t>(check.port());
        return target;
    }
    const uint32_t index = check.has_port_index() ? check.port_index() : 0;
    if (index >= static_cast<uint32_t>(app.ports_size()) ||
        index >= static_cast<uint32_t>(task.host_ports_size()))
        return core::fail(Errc::kInvalid, "health check: the app has no port with index {}", index);
    const uint32_t host_port = task.host_ports(static_cast<int>(index));
    const uint32_t inside = app.ports(static_cast<int>(index)).container_port();
    target.port = static_cast<uint16_t>(host || inside == 0 ? host_port : inside);
    return target;
}

wire::HealthResult next_result(const wire::HealthResult& before, const wire::HealthCheck& check,
                               const std::string& failure, int64_t started_ms, int64_t now_ms) {
    wire::HealthResult after = before;
    if (failure.empty()) {
        after.set_alive(true);
        after.set_consecutive_failures(0);
        if (after.first_success_ms() == 0) after.set_first_success_ms(now_ms);
        after.set_last_success_ms(now_ms);
        return after;
    }
    after.set_last_failure_ms(now_ms);
    after.set_last_failure_cause(failure.substr(0, 256));
    const bool in_grace = before.first_success_ms() == 0 && now_ms < started_ms + check.grace_ms();
    if (in_grace) return after;
    after.set_alive(false);
    after.set_consecutive_failures(before.consecutive_failures() + 1);
    return after;
}

bool worth_telling(const wire::HealthResult& before, const wire::HealthResult& after,
                   const wire::HealthCheck& check) {
    if (before.alive() != after.alive()) return true;
    const bool first_failure = before.last_failure_ms() == 0 && after.last_failure_ms() != 0;
    const uint32_t limit = std::max(1U, check.max_consecutive_failures());
    return first_failure || (after.consecutive_failures() >= limit &&
                             after.consecutive_failures() != before.consecutive_failures());
}

net::Task<Result<void>> run_command(agent::TaskRunner& runner, std::string task, std::string command) {
    wire::ShimExec exec;
    for (const char* word : {"/bin/sh", "-c"}) exec.add_words(word);
    exec.add_words(command);
    CO_TRY_ASSIGN(auto session, co_await runner.exec(std::move(task), std::move(exec)));
    Result<void> outcome;
    while (true) {
        auto output = co_await session->read();
        if (!output) {
            outcome = core::pass(std::move(output));
            break;
        }
        if (!output->exit) continue;
        if (output->exit->code() != 0 || output->exit->signal() != 0)
            outcome = core::fail(Errc::kUnavailable, "the command ended with {}", output->exit->code());
        break;
    }
    co_await session->close();
    co_return outcome;
}

net::Task<std::optional<std::string>> check_once(net::Loop& loop, net::TlsEngine* tls,
                                                 agent::TaskRunner& runner, const wire::Task& task,
                                                 const wire::HealthCheck& check, CheckTarget target) {
    auto result = co_await net::with_deadline(loop, timeout_of(check), "the check",
                                              run_check(loop, tls, runner, task, check, std::move(target)));
    if (result) co_return std::nullopt;
    co_return result.error().message;
}

net::Task<bool> is_ready_now(net::Loop& loop, net::TlsEngine* tls, const wire::AppDefinition& app,
                             wire::Task task, wire::ReadinessCheck check) {
    wire::HealthCheck page;
    page.set_protocol(check.https() ? wire::CHECK_HTTPS : wire::CHECK_HTTP);
    page.set_path(check.path());
    page.set_timeout_ms(check.timeout_ms());
    const auto port = std::ranges::find(app.ports(), check.port_name(), &wire::Port::name);
    page.set_port_index(static_cast<uint32_t>(port - app.ports().begin()));
    auto target = check_target(app, task, page);
    if (!target) co_return false;
    auto status = co_await net::with_deadline(loop, timeout_of(page), "the readiness check",
                                              ask_http(loop, tls, page, std::move(*target)));
    co_return status&& std::ranges::contains(check.ready_statuses(), static_cast<uint32_t>(*status));
}

}  // namespace smackd::services
