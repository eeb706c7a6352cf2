#include "cmd/smackd/edge/edge.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <sstream>

#include "cmd/smackd/log_sink.h"
#include "cmd/smackd/node/loop_thread.h"
#include "cmd/smackd/output.h"
#include "cmd/smackd/signals.h"
#include "cmd/smackd/version.h"
#include "core/json.h"
#include "net/system_random.h"
#include "services/edge/confinement.h"
#include "services/edge/control.h"
#include "services/edge/session.h"
#include "services/edge/table_json.h"

namespace smackd::cmd {
namespace {

using core::Result;

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
          dns_(dns_thread_.loop(), dns_random_, dns_counters_) {}

    Result<void> start(const EdgeOptions& options);
    Result<void> apply_file(const std::string& path);
    void drain() {
        control_thread_.loop().post([this] { session_->drain(); }, "drain");
    }
    void stop();

 private:
    wire::EdgeStatistics statistics() const;
    size_t connections() const { return dns_connections_.load(); }
    void count_connections();

    core::Logger logger_;
    LoopThread control_thread_;
    LoopThread dns_thread_;
    net::SystemRandom dns_random_;
    edge::DnsCounters dns_counters_;
    edge::DnsServer dns_;
    std::atomic<size_t> dns_connections_{0};
    core::TimerId count_timer_ = 0;
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
    return now;
}

void EdgeProcess::count_connections() {
    dns_connections_ = dns_.connections();
    count_timer_ = dns_thread_.loop().start(std::chrono::milliseconds(50), [this] { count_connections(); });
}

Result<void> EdgeProcess::start(const EdgeOptions& options) {
    control_ = std::make_unique<edge::Control>(edge::DataLoops{dns_thread_.loop(), dns_}, options.make_listeners,
                                               logger_.named("edge"));
    edge::SessionHooks hooks{[this] { return statistics(); }, [this] { return connections(); },
                             [] { ::kill(::getpid(), SIGTERM); }};
    session_ = std::make_unique<edge::Session>(control_thread_.loop(), *control_, std::move(hooks),
                                               std::string(kVersion), logger_.named("edge"));
    count_connections();
    dns_thread_.start();
    control_thread_.start();
    if (options.socket < 0) return {};
    return control_thread_.call<Result<void>>([&] { return session_->serve(options.socket); });
}

Result<void> EdgeProcess::apply_file(const std::string& path) {
    TRY_ASSIGN(wire::EdgeTable table, load_table(path));
    using Problems = std::vector<std::string>;
    TRY_ASSIGN(const Problems problems, control_thread_.call<Result<Problems>>(
                                            [&] { return control_->replace(std::move(table)); }));
    for (const std::string& problem : problems) logger_.warning("not in force", {{"why", problem}});
    return {};
}

void EdgeProcess::stop() {
    control_thread_.call<bool>([&] {
        session_.reset();
        return true;
    });
    control_thread_.stop();
    dns_thread_.call<bool>([&] {
        dns_thread_.loop().cancel(count_timer_);
        dns_.drain();
        return true;
    });
    dns_thread_.stop();
}

/// Until the process is to end. With a daemon, SIGTERM means to drain first; it comes again when that is done.
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
    DescriptorLogSink sink(STDERR_FILENO, options.verbose ? core::LogLevel::kDebug : core::LogLevel::kWarning);
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
    print("ready edge\n");
    wait_for_end(process, options, logger);
    process.stop();
    return {};
}

}  // namespace smackd::cmd
