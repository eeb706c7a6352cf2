#include "cmd/smackd/node/edge_process.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <format>

#include "cmd/smackd/node/edge_socket.h"
#include "core/edge_table.h"

namespace smackd::cmd {

using core::Result;

namespace {

constexpr int kEdgeDescriptor = 3;
constexpr int kBacklog = 4;
constexpr useconds_t kEndLookUs = 10'000;
constexpr core::Duration kReapEvery = core::seconds(1);

/// Whether a process runs the file that we run: another build is another file, also at the same path.
bool runs_our_binary(int pid) {
    struct stat ours{};
    struct stat theirs{};
    if (::stat("/proc/self/exe", &ours) != 0) return true;
    if (::stat(std::format("/proc/{}/exe", pid).c_str(), &theirs) != 0) return true;
    return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino &&
           ours.st_mtim.tv_sec == theirs.st_mtim.tv_sec && ours.st_mtim.tv_nsec == theirs.st_mtim.tv_nsec;
}

}  // namespace

EdgeProcess::EdgeProcess(net::Loop& loop, std::string binary, std::string root, std::string socket,
                         core::Logger logger)
    : loop_(loop),
      binary_(std::move(binary)),
      root_(std::move(root)),
      socket_(std::move(socket)),
      logger_(std::move(logger)),
      listeners_(logger_),
      alone_(loop) {
    alone_.set();
    if (auto started = start(false); !started) {
        logger_.error("the edge does not start", {{"error", started.error().message}});
        restart_later(kEdgeRestart);
    }
}

EdgeProcess::~EdgeProcess() {
    stop();
}

/// The one that serves already, unless `fresh`, or else a new one. What it is told waits for its hello.
Result<void> EdgeProcess::start(bool fresh) {
    Result<int> descriptor = core::fail(core::Errc::kNotFound, "a new one is wanted");
    if (!fresh) descriptor = connect_to_edge(socket_);
    const bool found = descriptor.has_value();
    if (!found) {
        TRY(spawn());
        descriptor = connect_to_edge(socket_);
    }
    if (!descriptor) return core::pass(std::move(descriptor));
    auto link = std::make_unique<Link>(*this, found);
    TRY_ASSIGN(link->channel, net::FrameChannel::adopt(loop_, *descriptor, core::kEdgeFrameBytesMax, *link));
    link->since = loop_.now();
    has_table_ = false;
    edge_ = std::move(link);
    return {};
}

/// The child inherits the listening socket, by which this daemon and later ones reach it.
Result<void> EdgeProcess::spawn() {
    TRY_ASSIGN(const sockaddr_un address, edge_address(socket_));
    TRY_ASSIGN(const int listener, make_edge_socket());
    ::unlink(socket_.c_str());
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener, kBacklog) != 0) {
        const int why = errno;
        ::close(listener);
        return core::fail_errno(why, socket_);
    }
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, listener, kEdgeDescriptor);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes, &none);  // the daemon blocks its stop signals
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    const std::string uid = std::to_string(kEdgeUid);
    std::vector<std::string> words = {"smackd", "edge", "--socket-fd", std::to_string(kEdgeDescriptor),
                                      "--uid",  uid,    "--gid",       uid,
                                      "--root", root_,  "--listeners", "parent"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    char* environment[] = {nullptr};
    const int failed =
        ::posix_spawn(&spawned_, binary_.c_str(), &actions, &attributes, arguments.data(), environment);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    ::close(listener);
    if (failed == 0) return {};
    spawned_ = 0;
    return core::fail_errno(failed, "starting the edge");
}

void EdgeProcess::update(wire::EdgeTable table) {
    wanted_ = std::move(table);
    // What the node itself knows changes without a revision of the state: the orders have numbers of their
    // own.
    wanted_.set_epoch(1);
    wanted_.set_revision(++orders_);
    if (!has_table_) {
        if (edge_ != nullptr && edge_->ready) tell_whole();
        return;
    }
    wire::EdgeOrder order;
    bool changed = false;
    *order.mutable_delta() = services::edge_delta(told_, wanted_, changed);
    if (!changed) return;
    told_ = wanted_;
    edge_->send(order);
}

void EdgeProcess::tell_whole() {
    edge_->ready = true;
    if (!wanted_.has_settings()) return;
    wire::EdgeOrder order;
    *order.mutable_table() = wanted_;
    told_ = wanted_;
    has_table_ = true;
    edge_->send(order);
    for (const auto& [task, event] : releases_) ask_release(task);
}

void EdgeProcess::ask_release(const std::string& task) {
    wire::EdgeOrder order;
    order.mutable_release()->set_task(task);
    edge_->send(order);
}

net::Task<Result<void>> EdgeProcess::release(std::string task) {
    if (edge_ == nullptr && leaving_ == nullptr) co_return Result<void>();
    auto& entry = releases_[task];
    if (entry == nullptr) {
        entry = std::make_shared<net::Event>(loop_);
        if (has_table_) ask_release(task);
    }
    const std::shared_ptr<net::Event> event = entry;
    auto released =
        co_await net::with_deadline(loop_, kEdgeReleaseLimit, "releasing a task", await_release(event));
    if (const auto own = releases_.find(task); own != releases_.end() && own->second == event)
        releases_.erase(own);
    if (released || released.error().code != core::Errc::kTimeout) co_return released;
    logger_.info("a task ends while something of the edge is in hand for it", {{"task", task}});
    co_return Result<void>();
}

net::Task<Result<void>> EdgeProcess::await_release(std::shared_ptr<net::Event> event) {
    CO_TRY(co_await event->wait());
    co_return co_await alone_.wait();
}

void EdgeProcess::release_all() {
    for (const auto& [task, event] : std::exchange(releases_, {})) event->set();
}

void EdgeProcess::on_frame(Link& link, core::BytesView frame, net::FrameChannel::Descriptors& descriptors) {
    wire::EdgeReport report;
    if (!report.ParseFromArray(frame.data(), static_cast<int>(frame.size()))) return;
    switch (report.body_case()) {
        case wire::EdgeReport::kHello:
            return on_hello(link, static_cast<int>(report.hello().pid()));
        case wire::EdgeReport::kListeners:
            return on_given_back(link, report.listeners(), descriptors);
        case wire::EdgeReport::kRefused:
            return on_refused(link, report.refused());
        default:
            break;
    }
    if (&link != edge_.get()) return;
    if (report.has_listen()) return on_listen(report.listen());
    if (report.has_applied()) {
        for (const std::string& problem : report.applied().problems())
            logger_.warning("the edge leaves something out", {{"what", problem}});
        if (listeners_.size() == 0) let_leave();
    } else if (report.has_released()) {
        const auto waiting = releases_.find(report.released().task());
        if (waiting != releases_.end()) waiting->second->set();
    }
}

void EdgeProcess::on_hello(Link& link, int pid) {
    link.pid = pid;
    if (!link.found) return tell_whole();
    link.other = !runs_our_binary(pid);
    link.handing_back = true;
    wire::EdgeOrder order;
    order.mutable_hand_back()->set_leaving(link.other);
    link.send(order);
}

void EdgeProcess::on_given_back(Link& link, const wire::EdgeListeners& given,
                                net::FrameChannel::Descriptors& descriptors) {
    listeners_.take(given, descriptors);
    if (given.more() || !std::exchange(link.handing_back, false) || &link != edge_.get()) return;
    if (link.other) return replace();
    tell_whole();
}

/// Another edge beside this one, with the same listeners.
void EdgeProcess::replace() {
    leaving_ = std::move(edge_);
    alone_.reset();
    if (auto started = start(true); !started) {
        logger_.error("the edge cannot be replaced yet", {{"error", started.error().message}});
        restart_later(kEdgeRestart);
    }
}

void EdgeProcess::on_listen(const wire::EdgeListenRequest& request) {
    const std::vector<EdgeListeners::Order> orders = listeners_.answer(request);
    for (const EdgeListeners::Order& one : orders) edge_->send(one.order, one.descriptors);
    if (orders.empty()) let_leave();
}

/// The new edge has what can be had: the old one may go.
void EdgeProcess::let_leave() {
    if (leaving_ == nullptr) return;
    wire::EdgeOrder order;
    order.mutable_drain();
    leaving_->send(order);
}

void EdgeProcess::on_refused(Link& link, const wire::EdgeRefused& refused) {
    if (link.handing_back) {
        // A build that knows nothing of handing over: its addresses are free when it has ended.
        link.handing_back = false;
        link.other = true;
        replace();
        return let_leave();
    }
    if (&link != edge_.get()) return;
    logger_.error("the edge refuses an order", {{"why", refused.reason()}});
    if (refused.revision() > 0) tell_whole();  // a table or what differs
}

void EdgeProcess::on_closed(Link& link, const core::Error& why) {
    if (&link == leaving_.get()) {
        discard(std::move(leaving_));
        return alone_.set();
    }
    logger_.error("the edge has ended", {{"why", why.message}});
    const bool sound = loop_.now() - link.since >= kEdgeSound;
    has_table_ = false;
    discard(std::move(edge_));
    release_all();
    restart_later(sound ? core::Duration(0) : kEdgeRestart);
}

/// In a later turn: its channel calls us.
void EdgeProcess::discard(std::unique_ptr<Link> link) {
    ended_.push_back(link->pid > 0 ? link->pid : spawned_);
    loop_.post([link = std::shared_ptr<Link>(std::move(link))]() mutable { link.reset(); }, "edge");
    if (reap_timer_ == 0) reap();
}

/// Its socket is closed before it has ended; and it may be another daemon's child.
void EdgeProcess::reap() {
    std::erase_if(ended_, [](int pid) { return pid <= 0 || ::waitpid(pid, nullptr, WNOHANG) != 0; });
    reap_timer_ = ended_.empty() ? 0 : loop_.start(kReapEvery, [this] { reap(); }, "edge");
}

void EdgeProcess::restart_later(core::Duration pause) {
    if (stopped_) return;
    timer_ = loop_.start(
        pause,
        [this] {
            timer_ = 0;
            if (auto started = start(leaving_ != nullptr); !started) restart_later(kEdgeRestart);
        },
        "edge");
}

void EdgeProcess::stop() {
    if (std::exchange(stopped_, true)) return;
    loop_.cancel(timer_);
    loop_.cancel(reap_timer_);
    release_all();
    alone_.set();
    edge_.reset();
    leaving_.reset();
    listeners_.close_all();
}

void EdgeProcess::end() {
    std::vector<int> pids;
    for (const auto* link : {&edge_, &leaving_}) {
        if (*link != nullptr) pids.push_back((*link)->pid > 0 ? (*link)->pid : spawned_);
    }
    stop();
    std::erase_if(pids, [](int pid) { return pid <= 0; });
    for (const int pid : pids) ::kill(pid, SIGTERM);
    const auto looks =
        std::chrono::duration_cast<std::chrono::microseconds>(kEdgeEndLimit).count() / kEndLookUs;
    for (int64_t look = 0; look < looks && !pids.empty(); ++look) {
        std::erase_if(pids, [](int pid) {
            ::waitpid(pid, nullptr, WNOHANG);  // it may be another daemon's child
            return ::kill(pid, 0) != 0;
        });
        if (!pids.empty()) ::usleep(kEndLookUs);
    }
    for (const int pid : pids) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
}

}  // namespace smackd::cmd
