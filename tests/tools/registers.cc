// Clients of registers in a store of several servers, and the history of what they did.
//
//     registers smackd|etcd --url URL... [--token-file FILE] [--ca FILE] --history FILE --stop-file FILE
//               [--clients N] [--seed N]
//
// Groups of kGroupClients clients share a register until they have done kRegisterOperations on it and go on
// to the next, so that what is left open by a fault stays with one register. Each client reads, writes and
// compares-and-sets without a pause, at one server until that fails. Beside them a write begins every
// kProbeEvery at the next server in turn, whatever became of those before: it shows when the store takes new
// work. When --stop-file appears, each register is read once more and the history is complete
// (tests/history/operation.h).
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <format>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/smackd/data_directory.h"
#include "core/random.h"
#include "net/scope.h"
#include "net/system_clock.h"
#include "tests/history/operation.h"
#include "tests/history/register_store.h"

namespace smackd::history {
namespace {

constexpr size_t kGroupClients = 4;
constexpr size_t kRegisterOperations = 60;
constexpr size_t kProbesMax = 512;  // at a time
constexpr size_t kProbesPerRegister = 4;
constexpr size_t kFinalReaders = 32;
constexpr size_t kFinalAttempts = 300;
constexpr core::milliseconds kProbeEvery{20};
constexpr core::milliseconds kRetryPause{100};
constexpr core::Duration kRequestLimit = core::seconds(5);
constexpr core::Duration kRepeatLimit = core::seconds(15);  // of one operation with its idempotency key
constexpr core::Duration kStopCheck = core::milliseconds(20);
constexpr uint64_t kProbeClient = 1'000'000;

struct Options {
    std::unique_ptr<RegisterStore> store;
    tools::Servers servers;
    std::string history_path;
    std::string stop_path;
    size_t clients = 256;
    uint64_t seed = 1;
};

[[noreturn]] void die(const std::string& text) {
    std::fprintf(stderr, "registers: %s\n", text.c_str());
    std::exit(2);
}

int64_t now_ns() {
    return net::SystemClock().now().since_start.count();
}

/// The clients, and what they share. One loop, one thread.
class Clients {
 public:
    Clients(net::TlsEngine& tls, Options& options, int history)
        : tls_(tls),
          options_(options),
          history_(history),
          random_(options.seed),
          groups_((options.clients + kGroupClients - 1) / kGroupClients) {}

    net::Task<void> run();
    std::string summary() const;

 private:
    struct Group {
        size_t registers = 0;
        size_t operations = kRegisterOperations;  // on the present one: the first operation makes a register
        std::string reg;
    };
    net::Task<void> work(size_t number);
    net::Task<bool> one_operation(tools::FailoverClient& client, size_t number, Seen& seen);
    net::Task<Reply> attempt(tools::FailoverClient& client, Operation& operation, Seen& seen);
    net::Task<void> probe_for_ever(net::Scope& probes);
    net::Task<void> probe(size_t turn);
    net::Task<void> read_all();
    net::Task<void> read_some(std::vector<std::string>& left);
    net::Task<void> watch_for_stop();
    void enter_register(Group& group, size_t number, Seen& seen);
    void record(Operation operation, Reply reply);
    std::string fresh_value(uint64_t client) { return std::format("{}.{}", client, ++values_); }

    net::TlsEngine& tls_;
    Options& options_;
    int history_;
    core::SeededRandom random_;
    std::vector<Group> groups_;
    std::vector<std::string> registers_;
    std::vector<std::vector<std::unique_ptr<tools::FailoverClient>>> idle_probes_;  // by server
    size_t probes_ = 0;
    uint64_t values_ = 0;
    bool stopping_ = false;
    size_t ok_ = 0, mismatches_ = 0, unknown_ = 0, refused_ = 0, unread_ = 0;
};

net::Task<void> Clients::run() {
    idle_probes_.resize(options_.servers.list.size());
    net::Scope working(tls_.loop());
    net::Scope probing(tls_.loop());
    working.spawn(watch_for_stop());
    for (size_t i = 0; i < options_.clients; ++i) working.spawn(work(i));
    working.spawn(probe_for_ever(probing));
    co_await working.join();
    co_await probing.join();
    for (auto& clients : idle_probes_) {
        for (auto& client : clients) co_await client->close();
    }
    co_await read_all();
}

net::Task<void> Clients::watch_for_stop() {
    while (::access(options_.stop_path.c_str(), F_OK) != 0) {
        auto slept = co_await net::sleep(tls_.loop(), kStopCheck);
        if (!slept) break;
    }
    stopping_ = true;
}

void Clients::enter_register(Group& group, size_t number, Seen& seen) {
    if (group.operations >= kRegisterOperations) {
        group.operations = 0;
        group.reg = std::format("r{:x}-{}-{}", options_.seed, number / kGroupClients, ++group.registers);
        registers_.push_back(group.reg);
    }
    ++group.operations;
    if (seen.name != group.reg) seen = Seen{.name = group.reg, .value = {}, .version = {}};
}

net::Task<void> Clients::work(size_t number) {
    tools::FailoverClient client(tls_, options_.servers, number);
    Seen seen;
    while (!stopping_) {
        Group& group = groups_[number / kGroupClients];
        enter_register(group, number, seen);
        const bool answered = co_await one_operation(client, number, seen);
        if (answered) continue;
        auto slept = co_await net::sleep(tls_.loop(), kRetryPause);
        if (!slept) break;
    }
    co_await client.close();
}

/// False when there was no answer that says anything.
net::Task<bool> Clients::one_operation(tools::FailoverClient& client, size_t number, Seen& seen) {
    Operation operation;
    operation.client = number;
    operation.reg = seen.name;
    const uint64_t die = random_.below(4);
    operation.kind = die < 2 ? Kind::kRead : Kind::kWrite;
    if (die == 3 && !seen.version.empty()) operation.kind = Kind::kCas;
    if (operation.kind == Kind::kCas) operation.expected = seen.value;
    if (operation.kind != Kind::kRead) operation.value = fresh_value(number);
    operation.invoked_ns = now_ns();
    const Reply reply = co_await attempt(client, operation, seen);
    operation.returned_ns = now_ns();
    if (operation.kind == Kind::kRead) operation.value = seen.value;
    // What it took for the present value is not: the next cas reads before.
    if (reply != Reply::kOk) seen.version.clear();
    record(std::move(operation), reply);
    co_return reply == Reply::kOk || reply == Reply::kMismatch;
}

/// Every second client repeats what it is left in doubt about, where the store allows for it.
net::Task<Reply> Clients::attempt(tools::FailoverClient& client, Operation& operation, Seen& seen) {
    RegisterStore& store = *options_.store;
    if (operation.kind == Kind::kRead) co_return co_await store.read(client, seen);
    const std::string key = std::format("{:x}-{}", options_.seed, operation.value);
    const bool repeats = store.repeats() && operation.client % 2 == 0;
    const core::Instant end = net::SystemClock().now() + kRepeatLimit;
    bool in_doubt = false;
    for (;;) {
        const bool cas = operation.kind == Kind::kCas;
        const Reply reply = cas ? co_await store.compare_and_set(client, seen, operation.value, key)
                                : co_await store.write(client, seen, operation.value, key);
        if (reply == Reply::kOk || reply == Reply::kMismatch) co_return reply;
        in_doubt |= reply == Reply::kUnknown;
        if (!in_doubt) co_return reply;
        if (!repeats || net::SystemClock().now() > end) co_return Reply::kUnknown;
        auto slept = co_await net::sleep(tls_.loop(), kRetryPause);
        if (!slept) co_return Reply::kUnknown;
    }
}

net::Task<void> Clients::probe_for_ever(net::Scope& probes) {
    for (size_t turn = 0; !stopping_; ++turn) {
        if (probes_ < kProbesMax) probes.spawn(probe(turn));
        auto slept = co_await net::sleep(tls_.loop(), kProbeEvery);
        if (!slept) break;
    }
}

net::Task<void> Clients::probe(size_t turn) {
    ++probes_;
    const size_t server = turn % options_.servers.list.size();
    auto& idle = idle_probes_[server];
    std::unique_ptr<tools::FailoverClient> client;
    if (idle.empty()) {
        client = std::make_unique<tools::FailoverClient>(tls_, options_.servers, server);
    } else {
        client = std::move(idle.back());
        idle.pop_back();
    }
    Seen seen{.name = std::format("r{:x}-p-{}", options_.seed, turn / kProbesPerRegister),
              .value = {},
              .version = {}};
    if (turn % kProbesPerRegister == 0) registers_.push_back(seen.name);
    Operation operation;
    operation.client = kProbeClient + turn;
    operation.reg = seen.name;
    operation.kind = Kind::kWrite;
    operation.value = fresh_value(operation.client);
    operation.invoked_ns = now_ns();
    const Reply reply = co_await options_.store->write(
        *client, seen, operation.value, std::format("{:x}-{}", options_.seed, operation.value));
    operation.returned_ns = now_ns();
    record(std::move(operation), reply);
    if (reply == Reply::kOk) {
        idle_probes_[server].push_back(std::move(client));
    } else {
        co_await client->close();
    }
    --probes_;
}

net::Task<void> Clients::read_all() {
    std::vector<std::string> left = registers_;
    net::Scope reading(tls_.loop());
    for (size_t i = 0; i < kFinalReaders; ++i) reading.spawn(read_some(left));
    co_await reading.join();
}

net::Task<void> Clients::read_some(std::vector<std::string>& left) {
    tools::FailoverClient client(tls_, options_.servers, left.size());
    while (!left.empty()) {
        Seen seen{.name = std::move(left.back()), .value = {}, .version = {}};
        left.pop_back();
        bool read = false;
        for (size_t attempt = 0; attempt < kFinalAttempts && !read; ++attempt) {
            Operation operation;
            operation.reg = seen.name;
            operation.invoked_ns = now_ns();
            read = co_await options_.store->read(client, seen) == Reply::kOk;
            operation.returned_ns = now_ns();
            operation.value = seen.value;
            if (read) record(std::move(operation), Reply::kOk);
            if (!read) static_cast<void>(co_await net::sleep(tls_.loop(), kRetryPause));
        }
        unread_ += read ? 0 : 1;
    }
    co_await client.close();
}

void Clients::record(Operation operation, Reply reply) {
    if (reply == Reply::kRefused) {
        ++refused_;
        return;
    }
    operation.outcome = Outcome::kOk;
    if (reply == Reply::kMismatch) operation.outcome = Outcome::kMismatch;
    if (reply == Reply::kUnknown) operation.outcome = Outcome::kUnknown;
    ++(reply == Reply::kOk ? ok_ : reply == Reply::kMismatch ? mismatches_ : unknown_);
    const std::string line = to_line(operation);
    if (::write(history_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        die("cannot write the history");
}

std::string Clients::summary() const {
    return std::format("{} ok, {} mismatches, {} unknown, {} refused, {} registers, {} of them unread\n", ok_,
                       mismatches_, unknown_, refused_, registers_.size(), unread_);
}

int run(Options options) {
    const int history = ::open(options.history_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (history < 0) die("cannot open " + options.history_path);
    net::Loop loop("registers");
    net::WorkerPool workers("registers", 2, 4096);
    net::TlsEngine tls(loop, workers);
    Clients clients(tls, options, history);
    net::block_on(loop, clients.run());
    ::close(history);
    std::printf("%s", clients.summary().c_str());
    std::fprintf(stderr, "%s", strange_answers().c_str());
    return 0;
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) die("cannot read " + path);
    return line;
}

void set(Options& options, std::string_view name, const std::string& value) {
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
    } else if (name == "--history") {
        options.history_path = value;
    } else if (name == "--stop-file") {
        options.stop_path = value;
    } else if (name == "--clients") {
        options.clients = std::stoul(value);
    } else if (name == "--seed") {
        options.seed = std::stoull(value);
    } else {
        die(std::format("unknown option {}", name));
    }
}

Options parse(int argc, char** argv) {
    Options options;
    options.servers.request_limit = kRequestLimit;
    options.servers.connect_limit = kRequestLimit;
    const std::string_view store = argc > 1 ? argv[1] : "";
    if (store == "smackd") options.store = smackd_registers();
    if (store == "etcd") options.store = etcd_registers();
    if (!options.store) die("the first word is smackd or etcd");
    for (int i = 2; i + 1 < argc; i += 2) set(options, argv[i], argv[i + 1]);
    const bool complete =
        !options.servers.list.empty() && !options.history_path.empty() && !options.stop_path.empty();
    if (!complete) die("--url, --history and --stop-file are needed");
    return options;
}

}  // namespace
}  // namespace smackd::history

int main(int argc, char** argv) {
    return smackd::history::run(smackd::history::parse(argc, argv));
}
