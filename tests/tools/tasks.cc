// Tasks without a cluster: a TaskRunner driven by lines of JSON, for the tests of isolation.
//
//   tasks DIRECTORY SMACKD [SUBNET [WIREGUARD_PORT]]
//
// reads {"do": "launch", "id": 1, "spec": {...}} and the like from its standard input. With a WIREGUARD_PORT
// (0: none) tasks of other nodes are to be reached.
//
// Writes one line for each answer ({"id": 1, ...}) and each event ({"event": {...}}). It stands where the
// daemon would: killed and started again it finds the tasks. Not for production: anybody who can write to it
// is root.
#include <unistd.h>

#include <cstdio>
#include <format>
#include <iostream>
#include <thread>

#include "core/json.h"
#include "core/wire/serialize.h"
#include "net/loop.h"
#include "net/scope.h"
#include "net/system_clock.h"
#include "services/agent/task_runner.h"

namespace smackd::agent {
namespace {

using core::Json;
using core::Result;
using net::Task;

class StderrSink final : public core::LogSink {
 public:
    void write(core::LogLevel, std::string_view component, std::string_view line) override {
        std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(component.size()), component.data(),
                     static_cast<int>(line.size()), line.data());
    }
};

uint32_t number(const Json& json, const char* name) {
    return static_cast<uint32_t>(json[name].as_integer());
}

void read_network(const Json& json, wire::TaskNetwork& network) {
    const std::string& mode = json["mode"].as_string();
    network.set_mode(mode == "bridge" ? wire::TaskNetwork::BRIDGE
                     : mode == "none" ? wire::TaskNetwork::NONE
                                      : wire::TaskNetwork::HOST);
    for (const Json& port : json["ports"].as_array()) {
        wire::PublishedPort& added = *network.add_ports();
        added.set_host_port(number(port, "host"));
        added.set_task_port(number(port, "task"));
        if (port["udp"].as_bool()) added.set_protocol(wire::PublishedPort::UDP);
    }
    for (const Json& server : json["dns"].as_array()) network.add_dns_servers(server.as_string());
    network.set_address(json["address"].as_string());
}

wire::LauncherNetwork read_others(const Json& json) {
    wire::LauncherNetwork network;
    network.set_vni(number(json, "vni"));
    network.set_port(number(json, "port"));
    network.set_address(json["address"].as_string());
    for (const Json& one : json["peers"].as_array()) {
        wire::NetworkPeer& peer = *network.add_peers();
        peer.set_name(one["name"].as_string());
        peer.set_subnet(one["subnet"].as_string());
        peer.set_address(one["address"].as_string());
        peer.set_port(number(one, "port"));
        peer.set_wireguard_key(core::from_hex(one["key"].as_string()).value_or(""));
        peer.set_wireguard_port(number(one, "wireguard_port"));
    }
    for (const Json& one : json["allowed"].as_array()) {
        wire::TenantAllowance& allowed = *network.add_allowed();
        allowed.set_from(number(one, "from"));
        allowed.set_to(number(one, "to"));
        allowed.set_port(number(one, "port"));
        if (one["udp"].as_bool()) allowed.set_protocol(wire::PublishedPort::UDP);
    }
    return network;
}

wire::TaskSpec read_spec(const Json& json) {
    wire::TaskSpec spec;
    spec.set_task_id(json["task_id"].as_string());
    if (json.find("shell") != nullptr) spec.set_shell(json["shell"].as_string());
    for (const Json& word : json["words"].as_array()) spec.mutable_arguments()->add_words(word.as_string());
    for (const auto& [name, value] : json["environment"].as_object()) {
        spec.add_environment()->set_name(name);
        spec.mutable_environment()->rbegin()->set_value(value.as_string());
    }
    spec.set_user(json["user"].as_string());
    spec.set_tenant(json["tenant"].as_string());
    spec.set_tenant_number(number(json, "tenant_number"));
    spec.set_working_directory(json["working_directory"].as_string());
    for (const Json& layer : json["rootfs"].as_array()) spec.add_rootfs(layer.as_string());
    spec.set_read_only_root(json["read_only_root"].as_bool());
    spec.set_sandbox(json["sandbox"].as_string());
    wire::TaskLimits& limits = *spec.mutable_limits();
    limits.set_cpus_milli(number(json, "cpus_milli"));
    limits.set_cpus_limit_milli(number(json, "cpus_limit_milli"));
    limits.set_memory_bytes(static_cast<uint64_t>(json["memory"].as_integer()));
    limits.set_pids(number(json, "pids"));
    limits.set_disk_bytes(static_cast<uint64_t>(json["disk"].as_integer()));
    limits.set_tmp_bytes(static_cast<uint64_t>(json["tmp"].as_integer()));
    read_network(json["network"], *spec.mutable_network());
    for (const Json& volume : json["volumes"].as_array()) {
        wire::TaskVolume& added = *spec.add_volumes();
        added.set_host_path(volume["host"].as_string());
        added.set_task_path(volume["task"].as_string());
        added.set_read_only(volume["read_only"].as_bool());
    }
    spec.mutable_logs()->set_segment_bytes(static_cast<uint64_t>(json["log_segment"].as_integer()));
    spec.mutable_logs()->set_total_bytes(static_cast<uint64_t>(json["log_total"].as_integer()));
    spec.mutable_logs()->set_bytes_per_second(static_cast<uint64_t>(json["log_rate"].as_integer()));
    spec.set_kill_grace_ms(number(json, "grace_ms"));
    if (number(json, "lease_ms") > 0) spec.set_lease_until_ms(net::boot_time_ms() + number(json, "lease_ms"));
    spec.set_max_runtime_ms(number(json, "max_runtime_ms"));
    spec.set_no_init(json["no_init"].as_bool());
    spec.set_privileged(json["privileged"].as_bool());
    spec.set_host_users(json["host_users"].as_bool());
    spec.set_tty(json["tty"].as_bool());
    spec.set_hostname(json["hostname"].as_string());
    return spec;
}

Json usage_json(const wire::TaskUsage& usage) {
    Json out = Json::object();
    out.set("cpu_us", usage.cpu_user_us() + usage.cpu_system_us());
    out.set("memory", usage.memory_bytes()).set("memory_peak", usage.memory_peak_bytes());
    out.set("memory_limit", usage.memory_limit_bytes()).set("oom_kills", usage.out_of_memory_kills());
    out.set("pids", usage.pids()).set("log_bytes", usage.log_bytes()).set("disk", usage.disk_bytes());
    out.set("throttled_us", usage.throttled_us());
    return out;
}

Json event_json(const wire::TaskEvent& event) {
    Json out = Json::object();
    out.set("task_id", event.task_id())
        .set("sequence", event.sequence())
        .set("uuid", core::to_hex(event.uuid()));
    if (event.what_case() == wire::TaskEvent::kStarted) {
        out.set("what", "started")
            .set("pid", event.started().pid())
            .set("address", event.started().address());
        out.set("setup_us", event.started().setup_us()).set("launch_us", event.started().launch_us());
    } else if (event.what_case() == wire::TaskEvent::kExited) {
        const wire::TaskExited& exited = event.exited();
        out.set("what", "exited").set("reason", wire::TaskExited::Reason_Name(exited.reason()));
        out.set("code", exited.code()).set("signal", exited.signal()).set("message", exited.message());
        out.set("usage", usage_json(exited.usage()));
    } else {
        out.set("what", "failed").set("step", event.failed().step()).set("message", event.failed().message());
        out.set("errno", static_cast<int64_t>(event.failed().errno_value()));
    }
    return out;
}

Json task_json(const wire::LocalTask& task) {
    Json out = Json::object();
    out.set("task_id", task.task_id()).set("phase", wire::LocalTask::Phase_Name(task.phase()));
    out.set("pid", task.pid()).set("shim_pid", task.shim_pid()).set("address", task.address());
    out.set("last_sequence", task.last_sequence()).set("acknowledged", task.acknowledged_sequence());
    return out;
}

class Driver {
 public:
    Driver(net::Loop& loop, RunnerOptions options)
        : loop_(loop), options_(std::move(options)), scope_(loop) {}

    Task<void> run() {
        auto started = co_await TaskRunner::start(loop_, options_);
        if (!started) {
            say(Json::object().set("failed", started.error().message));
            loop_.stop();
            co_return;
        }
        runner_ = std::move(*started);
        say(Json::object()
                .set("ready", true)
                .set("gateway", runner_->gateway())
                .set("key", core::to_hex(runner_->wireguard_key())));
        runner_->subscribe(
            [](const wire::TaskEvent& event) { say(Json::object().set("event", event_json(event))); });
    }

    void line(const std::string& text) {
        auto order = Json::parse(text);
        if (order) scope_.spawn(obey(std::move(*order)));
    }

    void end() {
        loop_.post([this] { scope_.spawn(quit()); });
    }

 private:
    static void say(const Json& json) {
        std::puts(json.dump().c_str());
        std::fflush(stdout);
    }

    Task<void> quit() {
        if (runner_) co_await runner_->close();
        loop_.stop();
    }

    Task<void> obey(Json order) {
        auto answer = co_await answer_to(order);
        Json out = answer ? std::move(*answer) : Json::object().set("error", answer.error().to_string());
        out.set("id", order["id"]);
        say(out);
    }

    Task<Result<Json>> done(Task<Result<void>> task) {
        CO_TRY(co_await std::move(task));
        co_return Json::object().set("done", true);
    }

    Task<Result<Json>> answer_to(const Json& order) {
        const std::string& what = order["do"].as_string();
        const std::string& task = order["task"].as_string();
        if (what == "launch") co_return co_await done(runner_->launch(read_spec(order["spec"])));
        if (what == "kill") {
            std::optional<core::Duration> grace;
            if (order.find("grace_ms") != nullptr) grace = core::milliseconds(order["grace_ms"].as_integer());
            co_return co_await done(runner_->kill(task, grace));
        }
        if (what == "signal")
            co_return co_await done(runner_->signal(task, static_cast<int>(order["number"].as_integer())));
        if (what == "lease")
            co_return co_await done(
                runner_->renew_lease(task, net::boot_time_ms() + order["ms"].as_integer()));
        if (what == "ack")
            co_return co_await done(
                runner_->acknowledge(task, static_cast<uint64_t>(order["sequence"].as_integer())));
        if (what == "expire")
            co_return co_await done(runner_->expire_logs(core::seconds(order["age_s"].as_integer()),
                                                         static_cast<uint64_t>(order["bytes"].as_integer())));
        if (what == "blocked") {
            std::vector<std::string> prefixes;
            for (const Json& prefix : order["prefixes"].as_array()) prefixes.push_back(prefix.as_string());
            std::vector<uint32_t> ports;
            for (const Json& port : order["ports"].as_array())
                ports.push_back(static_cast<uint32_t>(port.as_integer()));
            co_return co_await done(runner_->set_blocked(std::move(prefixes), std::move(ports), {}));
        }
        if (what == "tenants") {
            std::map<std::string, TaskTenancy> tenants;
            for (const auto& [id, tenant] : order["tenants"].as_object())
                tenants[id] = {tenant.as_string(), number(order["numbers"], tenant.as_string().c_str())};
            co_return co_await done(runner_->set_tenants(std::move(tenants)));
        }
        if (what == "network") {
            CO_TRY_ASSIGN(const auto problems, co_await runner_->set_network(read_others(order)));
            Json list = Json::array();
            for (const std::string& problem : problems) list.push(problem);
            co_return Json::object().set("problems", std::move(list));
        }
        if (what == "exec") co_return co_await exec(order);
        co_return look(what, task, order);
    }

    Result<Json> look(const std::string& what, const std::string& task, const Json& order) {
        if (what == "list") {
            Json all = Json::array();
            for (const wire::LocalTask& one : runner_->list()) all.push(task_json(one));
            return Json::object().set("tasks", std::move(all));
        }
        if (what == "usage") {
            TRY_ASSIGN(const wire::TaskUsage usage, runner_->usage(task));
            return Json::object().set("usage", usage_json(usage));
        }
        if (what == "log") {
            const bool error = order["stream"].as_string() == "stderr";
            TRY_ASSIGN(LogPiece piece,
                       runner_->read_log(task, error ? LogStream::kStderr : LogStream::kStdout,
                                         static_cast<uint64_t>(order["offset"].as_integer()),
                                         static_cast<size_t>(order["length"].as_integer(1 << 20))));
            Json out = Json::object();
            out.set("offset", piece.offset).set("end", piece.end).set("bytes", core::to_base64(piece.bytes));
            return out;
        }
        return core::fail(core::Errc::kInvalid, "do: '{}' is not known", what);
    }

    Task<Result<Json>> exec(const Json& order) {
        wire::ShimExec what;
        for (const Json& word : order["words"].as_array()) what.add_words(word.as_string());
        what.set_user(order["user"].as_string());
        what.set_tty(order["tty"].as_bool());
        what.set_rows(number(order, "rows"));
        what.set_columns(number(order, "columns"));
        CO_TRY_ASSIGN(auto session, co_await runner_->exec(order["task"].as_string(), std::move(what)));
        auto result = co_await converse(*session, order);
        co_await session->close();
        co_return result;
    }

    Task<Result<Json>> converse(ExecSession& session, const Json& order) {
        if (order.find("resize") != nullptr) CO_TRY(co_await session.resize(number(order, "resize"), 100));
        CO_TRY(co_await session.write(order["input"].as_string()));
        if (!order["keep_input"].as_bool()) CO_TRY(co_await session.end_input());
        std::string out;
        std::string error;
        for (;;) {
            CO_TRY_ASSIGN(ExecSession::Output piece, co_await session.read());
            (piece.error_stream ? error : out) += piece.bytes;
            if (!piece.exit) continue;
            Json answer = Json::object();
            answer.set("code", piece.exit->code()).set("signal", piece.exit->signal());
            if (piece.exit->has_failed()) answer.set("failed", piece.exit->failed().message());
            answer.set("out", core::to_base64(out)).set("err", core::to_base64(error));
            co_return answer;
        }
    }

    net::Loop& loop_;
    RunnerOptions options_;
    std::unique_ptr<TaskRunner> runner_;
    net::Scope scope_;
};

int run(RunnerOptions options) {
    StderrSink sink;
    options.logger = core::Logger(&sink, "tasks");
    net::Loop loop("tasks");
    Driver driver(loop, std::move(options));
    net::Scope scope(loop);
    loop.post([&] { scope.spawn(driver.run()); });
    std::thread input([&] {
        std::string text;
        while (std::getline(std::cin, text)) loop.post([&driver, text] { driver.line(text); });
        driver.end();
    });
    loop.run();
    std::fflush(stdout);
    ::_exit(0);
}

}  // namespace
}  // namespace smackd::agent

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fputs("tasks DIRECTORY SMACKD [SUBNET [WIREGUARD_PORT]]\n", stderr);
        return 2;
    }
    smackd::wire::silence_library();
    smackd::agent::RunnerOptions options;
    options.directory = argv[1];
    options.binary = argv[2];
    options.subnet = argc > 3 ? argv[3] : "";
    options.overlay = argc > 4;
    options.wireguard_port = argc > 4 ? static_cast<uint16_t>(std::atoi(argv[4])) : 0;
    return smackd::agent::run(std::move(options));
}
