#include "cmd/smackd/edge/edge.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <sstream>

#include "cmd/smackd/log_sink.h"
#include "cmd/smackd/node/loop_thread.h"
#include "cmd/smackd/output.h"
#include "cmd/smackd/signals.h"
#include "cmd/smackd/version.h"
#include "core/json.h"
#include "net/crypto/kernel_random.h"
#include "services/edge/confinement.h"
#include "services/edge/control.h"
#include "services/edge/session.h"
#include "services/edge/table_json.h"

namespace smackd::cmd {
namespace {

using core::Result;

constexpr core::Duration kCountEvery = std::chrono::milliseconds(50);
constexpr uint32_t kTicksPerPools = 20;
constexpr size_t kTlsWorkers = 2;
constexpr size_t kTlsQueueMax = 1024;

Result<wire::EdgeTable> load_table(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return core::fail_errno(errno, path);
    std::ostringstream text;
    text << file.rdbuf();
    auto json = core::Json::parse(text.str());
    if (!json) return core::pass(std::move(json), path);
    auto table = edge::table_from_json(*json);
    if (!table) return core::pass(std::move(table), path);
    return table;
}

/// Every connection costs a descriptor, or two.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// All of the edge's threads and what runs on them.
class EdgeProcess {
 public:
    explicit EdgeProcess(core::Logger logger)
        : logger_(std::move(logger)),
          control_thread_("edge-control", logger_),
          dns_thread_("edge-dns", logger_),
          ingress_thread_("edge-ingress", logger_),
          dns_(dns_thread_.loop(), dns_random_, dns_counters_),
          workers_("edge-tls", kTlsWorkers, kTlsQueueMax),
          ingress_(ingress_thread_.loop(), workers_, ingress_counters_, logger_.named("ingress")) {}

    Result<void> start(const EdgeOptions& options);
    Result<void> apply_file(const std::string& path);
    void drain() {
        control_thread_.loop().post([this] { session_->drain(); }, "drain");
    }
    void stop();

 private:
    wire::EdgeStatistics statistics() const;
    size_t connections() const { return dns_connections_.load() + ingress_connections_.load(); }
    void count_dns();
    void count_ingress();
    void describe_pools();
    net::Task<bool> close_ingress();

    core::Logger logger_;
    LoopThread control_thread_;
    LoopThread dns_thread_;
    LoopThread ingress_thread_;
    net::crypto::KernelRandom dns_random_;
    edge::DnsCounters dns_counters_;
    edge::DnsServer dns_;
    std::atomic<size_t> dns_connections_{0};
    core::TimerId dns_timer_ = 0;
    net::WorkerPool workers_;
    edge::IngressCounters ingress_counters_;
    edge::Ingress ingress_;
    std::atomic<size_t> ingress_connections_{0};
    core::TimerId ingress_timer_ = 0;
    uint32_t ingress_ticks_ = 0;
    mutable std::mutex pools_mutex_;
    std::vector<wire::EdgePoolStatistics> pools_;  // guarded by pools_mutex_
    std::unique_ptr<edge::Control> control_;
    std::unique_ptr<edge::Session> session_;
};

wire::EdgeStatistics EdgeProcess::statistics() const {
    wire::EdgeStatistics now;
    const auto read = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
    now.set_dns_queries(read(dns_counters_.queries));
    now.set_dns_tcp_queries(read(dns_counters_.tcp_queries));
    now.set_dns_nxdomain(read(dns_counters_.nxdomain));
    now.set_dns_refused(read(dns_counters_.refused));
    now.set_dns_forwarded(read(dns_counters_.forwarded));
    now.set_dns_forward_failed(read(dns_counters_.forward_failed));
    now.set_dns_cache_hits(read(dns_counters_.cache_hits));
    now.set_dns_limited(read(dns_counters_.limited));
    now.set_dns_malformed(read(dns_counters_.malformed));
    now.set_connections(read(ingress_counters_.connections));
    now.set_connections_total(read(ingress_counters_.connections_total));
    now.set_connections_refused(read(ingress_counters_.connections_refused));
    now.set_requests(read(ingress_counters_.requests));
    now.set_requests_malformed(read(ingress_counters_.malformed));
    now.set_requests_unrouted(read(ingress_counters_.unrouted));
    now.set_tls_handshakes(read(ingress_counters_.tls_handshakes));
    now.set_tls_failures(read(ingress_counters_.tls_failures));
    const std::lock_guard lock(pools_mutex_);
    for (const wire::EdgePoolStatistics& pool : pools_) *now.add_pools() = pool;
    return now;
}

void EdgeProcess::count_dns() {
    dns_connections_ = dns_.connections();
    dns_timer_ = dns_thread_.loop().start(kCountEvery, [this] { count_dns(); }, "count");
}

void EdgeProcess::count_ingress() {
    ingress_connections_ = ingress_.connections();
    if (ingress_ticks_++ % kTicksPerPools == 0) describe_pools();
    ingress_timer_ = ingress_thread_.loop().start(kCountEvery, [this] { count_ingress(); }, "count");
}

void EdgeProcess::describe_pools() {
    std::vector<wire::EdgePoolStatistics> all;
    for (const core::ingress::PoolPtr& pool : ingress_.routes().pools) {
        auto state = ingress_.pools().find(pool->key);
        if (state == ingress_.pools().end()) continue;
        const edge::PoolCounters& counters = state->second->counters;
        wire::EdgePoolStatistics& one = all.emplace_back();
        one.set_app(pool->app);
        one.set_port_index(pool->port_index);
        one.set_requests(counters.requests);
        one.set_responses_2xx(counters.responses[2]);
        one.set_responses_3xx(counters.responses[3]);
        one.set_responses_4xx(counters.responses[4]);
        one.set_responses_5xx(counters.responses[5]);
        one.set_failures(counters.failures);
        one.set_retries(counters.retries);
        one.set_bytes_in(counters.bytes_in);
        one.set_bytes_out(counters.bytes_out);
        one.set_backends(static_cast<uint32_t>(pool->backends.size()));
        one.set_active(counters.active);
    }
    const std::lock_guard lock(pools_mutex_);
    pools_ = std::move(all);
}

Result<void> EdgeProcess::start(const EdgeOptions& options) {
    control_ = std::make_unique<edge::Control>(
        edge::DataLoops{dns_thread_.loop(), dns_, ingress_thread_.loop(), ingress_}, options.make_listeners,
        logger_.named("edge"));
    edge::SessionHooks hooks{[this] { return statistics(); }, [this] { return connections(); },
                             [] { ::kill(::getpid(), SIGTERM); }};
    session_ = std::make_unique<edge::Session>(control_thread_.loop(), *control_, std::move(hooks),
                                               std::string(kVersion), logger_.named("edge"));
    count_dns();
    count_ingress();
    dns_thread_.start();
    ingress_thread_.start();
    control_thread_.start();
    if (options.socket < 0) return {};
    return control_thread_.call<Result<void>>([&] { return session_->serve(options.socket); });
}

Result<void> EdgeProcess::apply_file(const std::string& path) {
    TRY_ASSIGN(wire::EdgeTable table, load_table(path));
    using Problems = std::vector<std::string>;
    TRY_ASSIGN(const Problems problems,
               control_thread_.call<Result<Problems>>([&] { return control_->replace(std::move(table)); }));
    for (const std::string& problem : problems) logger_.warning("not in force", {{"why", problem}});
    return {};
}

net::Task<bool> EdgeProcess::close_ingress() {
    ingress_thread_.loop().cancel(ingress_timer_);
    co_await ingress_.close();
    co_return true;
}

void EdgeProcess::stop() {
    control_thread_.call<bool>([&] {
        session_.reset();
        return true;
    });
    control_thread_.stop();
    dns_thread_.call<bool>([&] {
        dns_thread_.loop().cancel(dns_timer_);
        dns_.drain();
        return true;
    });
    dns_thread_.stop();
    ingress_thread_.await<bool>([&] { return close_ingress(); });
    ingress_thread_.stop();
}

/// Until the process is to end. With a daemon, SIGTERM means to drain first; it comes again when that is
/// done.
void wait_for_end(EdgeProcess& process, const EdgeOptions& options, core::Logger& logger) {
    bool draining = false;
    for (;;) {
        const int number = wait_for_stop_signal();
        if (number == SIGHUP && !options.table_file.empty()) {
            auto applied = process.apply_file(options.table_file);
            if (!applied) logger.error("the table stays as it was", {{"why", applied.error().message}});
            continue;
        }
        if (number == SIGHUP) continue;
        if (draining || options.socket < 0) return;
        draining = true;
        process.drain();
    }
}

}  // namespace

Result<void> run_edge(const EdgeOptions& options) {
    block_stop_signals();
    raise_descriptor_limit();
    DescriptorLogSink sink(STDERR_FILENO,
                           options.verbose ? core::LogLevel::kDebug : core::LogLevel::kWarning);
    core::Logger logger(&sink, "edge");
    if (options.socket >= 0) {
        TRY(edge::confine_edge({.root = options.root,
                                .uid = options.uid,
                                .gid = options.gid,
                                .binds_low_ports = options.make_listeners,
                                .last_descriptor = options.socket}));
    }
    EdgeProcess process(logger);
    TRY(process.start(options));
    if (!options.table_file.empty()) {
        if (auto applied = process.apply_file(options.table_file); !applied) {
            process.stop();
            return applied;
        }
    }
    // As a child its output is the daemon's, whose line "ready" people wait for.
    if (options.socket < 0) print("ready edge\n");
    wait_for_end(process, options, logger);
    process.stop();
    return {};
}

}  // namespace smackd::cmd
