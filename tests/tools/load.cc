// Writes to a cluster as fast as it acknowledges, keeps the acknowledgements outside, and checks later that
// all are there.
//
//     load write  --url URL... --token-file FILE --ack FILE [--ca FILE] [--clients N] [--seconds N] [--names
//     N] load verify --url URL... --token-file FILE --ack FILE
//
// Each write is PUT /smack/v1/groups/NAME with a value that only rises for that name. A line "NAME VALUE
// REVISION" is in the file of acknowledgements before the next write of that client begins. verify: every
// name holds at least its last acknowledged value (a later, unacknowledged one may have been applied), and no
// revision was given out twice.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <format>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cmd/smackd/data_directory.h"
#include "core/json.h"
#include "net/scope.h"
#include "net/system_clock.h"
#include "tests/tools/failover_client.h"

namespace smackd {
namespace {

inline constexpr core::Duration kRetryPause = core::milliseconds(20);
inline constexpr size_t kValueBytes = 200;  // the number, then blanks

using Client = tools::FailoverClient;

struct Options {
    tools::Servers servers;
    std::string ack_path;
    size_t clients = 16;
    int64_t seconds = 5;
    size_t names = 8;  // each client writes its own
};

struct Totals {
    std::vector<int64_t> latencies_us;
    uint64_t refused = 0;
    uint64_t unknown = 0;
    std::map<std::string, uint64_t> reasons;
};

[[noreturn]] void die(const std::string& text) {
    std::fprintf(stderr, "load: %s\n", text.c_str());
    std::exit(2);
}

int64_t unix_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

void record_ack(int descriptor, const std::string& name, int64_t value, const std::string& revision) {
    std::string line = std::format("{} {} {}\n", name, value, revision);
    if (::write(descriptor, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        die("cannot write the acks");
}

/// Connects, so that handshakes are not measured as writes; a server that is down is found by the writes.
net::Task<void> warm_up(Client& client) {
    auto answer = co_await client.request("GET", "/ping", "");
    static_cast<void>(answer);
}

net::Task<void> write_for_ever(net::TlsEngine& tls, const Options& options, Client& client, size_t number,
                               int ack, core::Instant end, Totals& totals) {
    net::SystemClock clock;
    int64_t value = 0;
    for (size_t turn = 0; clock.now() < end; ++turn) {
        std::string name = std::format("load-{}-{}", number, turn % options.names);
        value = std::max(value + 1, unix_ns());
        core::Json body;
        body.set("description", std::format("{:<{}}", value, kValueBytes))
            .set("members", core::Json::array());
        core::Instant began = clock.now();
        auto answer = co_await client.request("PUT", "/smack/v1/groups/" + name, body.dump());
        if (answer && (answer->status == 200 || answer->status == 201)) {
            auto json = core::Json::parse(answer->body);
            record_ack(ack, name, value, json ? (*json)["revision"].as_string() : std::string());
            totals.latencies_us.push_back((clock.now() - began).count() / 1000);
            continue;
        }
        ++(answer || !client.sent() ? totals.refused : totals.unknown);
        ++totals.reasons[answer ? std::format("{} {}", answer->status, answer->body.substr(0, 120))
                                : answer.error().message.substr(0, 120)];
        auto slept = co_await net::sleep(tls.loop(), kRetryPause);
        if (!slept) break;
    }
    co_await client.close();
}

net::Task<void> run_all(net::TlsEngine& tls, const Options& options, int ack, Totals& totals) {
    std::vector<std::unique_ptr<Client>> clients;
    net::Scope warming(tls.loop());
    for (size_t i = 0; i < options.clients; ++i) {
        clients.push_back(std::make_unique<Client>(tls, options.servers, i));
        warming.spawn(warm_up(*clients.back()));
    }
    co_await warming.join();
    net::Scope writing(tls.loop());
    core::Instant end = net::SystemClock().now() + core::seconds(options.seconds);
    for (size_t i = 0; i < options.clients; ++i)
        writing.spawn(write_for_ever(tls, options, *clients[i], i, ack, end, totals));
    co_await writing.join();
}

double percentile_ms(const std::vector<int64_t>& sorted, double share) {
    if (sorted.empty()) return 0;
    auto at = static_cast<size_t>(share * static_cast<double>(sorted.size() - 1));
    return static_cast<double>(sorted[at]) / 1000.0;
}

int write_load(const Options& options) {
    int ack = ::open(options.ack_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (ack < 0) die("cannot open " + options.ack_path);
    net::Loop loop("load");
    net::WorkerPool workers("load", 2, 1024);
    net::TlsEngine tls(loop, workers);
    Totals totals;
    net::block_on(loop, run_all(tls, options, ack, totals));
    ::close(ack);
    auto& sorted = totals.latencies_us;
    std::ranges::sort(sorted);
    std::printf("%zu acknowledged, %.0f/s, p50 %.2f ms, p99 %.2f ms, max %.2f ms, %lu refused, %lu unknown\n",
                sorted.size(), static_cast<double>(sorted.size()) / static_cast<double>(options.seconds),
                percentile_ms(sorted, 0.5), percentile_ms(sorted, 0.99), percentile_ms(sorted, 1.0),
                totals.refused, totals.unknown);
    for (const auto& [reason, count] : totals.reasons)
        std::fprintf(stderr, "%lu x %s\n", count, reason.c_str());
    return 0;
}

struct Acknowledged {
    std::map<std::string, int64_t> last;
    size_t lines = 0;
};

Acknowledged read_acks(const std::string& path) {
    std::ifstream file(path);
    Acknowledged acks;
    std::set<std::string> revisions;
    std::string name;
    std::string revision;
    int64_t value = 0;
    while (file >> name >> value >> revision) {
        ++acks.lines;
        acks.last[name] = std::max(acks.last[name], value);
        if (!revisions.insert(revision).second) die("LOST: revision " + revision + " was acknowledged twice");
    }
    return acks;
}

net::Task<core::Result<core::Json>> list_groups(net::TlsEngine& tls, const Options& options) {
    Client client(tls, options.servers, 0);
    core::Result<net::http::ClientResponse> answer = core::fail(core::Errc::kUnavailable, "not asked");
    for (int attempt = 0; attempt < 500; ++attempt) {
        answer = co_await client.request("GET", "/smack/v1/groups?consistent=true", "");
        if (answer && answer->status == 200) break;
        auto slept = co_await net::sleep(tls.loop(), kRetryPause);
        if (!slept) break;
    }
    co_await client.close();
    if (!answer) co_return core::pass(std::move(answer));
    if (answer->status != 200)
        co_return core::fail(core::Errc::kUnavailable, "{} {}", answer->status, answer->body);
    co_return core::Json::parse(answer->body);
}

int verify(const Options& options) {
    Acknowledged acks = read_acks(options.ack_path);
    net::Loop loop("verify");
    net::WorkerPool workers("verify", 1, 16);
    net::TlsEngine tls(loop, workers);
    auto groups = net::block_on(loop, list_groups(tls, options));
    if (!groups) die("cannot list the groups: " + groups.error().message);
    std::map<std::string, int64_t> found;
    for (const core::Json& group : (*groups)["groups"].as_array()) {
        found[group["name"].as_string()] =
            std::strtoll(group["description"].as_string().c_str(), nullptr, 10);
    }
    size_t lost = 0;
    for (const auto& [name, value] : acks.last) {
        if (found.contains(name) && found[name] >= value) continue;
        ++lost;
        std::printf("LOST: %s should be %ld or later, is %ld\n", name.c_str(), value, found[name]);
    }
    std::printf("%zu acknowledged writes, %zu names, %zu lost\n", acks.lines, acks.last.size(), lost);
    return lost == 0 ? 0 : 1;
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) die("cannot read " + path);
    return line;
}

Options parse(int argc, char** argv) {
    Options options;
    for (int i = 2; i + 1 < argc; i += 2) {
        std::string_view name = argv[i];
        std::string value = argv[i + 1];
        if (name == "--url") {
            auto server = cmd::parse_url(value);
            if (!server) die(server.error().message);
            options.servers.list.push_back(std::move(*server));
        } else if (name == "--token-file") {
            options.servers.token = first_line(value);
        } else if (name == "--ca") {
            auto pem = cmd::read_small_file(value);
            if (!pem) die(pem.error().message);
            options.servers.ca_pem = std::move(*pem);
        } else if (name == "--ack") {
            options.ack_path = value;
        } else if (name == "--clients") {
            options.clients = static_cast<size_t>(std::stoul(value));
        } else if (name == "--seconds") {
            options.seconds = std::stol(value);
        } else if (name == "--names") {
            options.names = static_cast<size_t>(std::stoul(value));
        } else {
            die(std::format("unknown option {}", name));
        }
    }
    if (options.servers.list.empty() || options.ack_path.empty()) die("--url and --ack are needed");
    return options;
}

}  // namespace
}  // namespace smackd

int main(int argc, char** argv) {
    std::string_view mode = argc > 1 ? argv[1] : "";
    if (mode == "write") return smackd::write_load(smackd::parse(argc, argv));
    if (mode == "verify") return smackd::verify(smackd::parse(argc, argv));
    smackd::die(
        "usage: load write|verify --url URL --token-file FILE --ack FILE [--ca FILE] [--clients N] "
        "[--seconds N]");
}
