#include "auth/kdc_supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <format>
#include <thread>

#include "auth/sealing.h"
#include "net/spawn_plan.h"
#include "net/system_clock.h"

namespace smackd::auth {
namespace {

using core::fail_errno;
using core::Instant;
using core::Result;

constexpr int kStopPatienceMs = 2000;
constexpr size_t kLineBytesMax = 1024;
constexpr std::string_view kReadyMark = "commencing operation";

class Descriptor {
 public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() { reset(); }
    int get() const { return fd_; }
    void reset() {
        if (fd_ >= 0) ::close(fd_);
        fd_ = -1;
    }

 private:
    int fd_ = -1;
};

struct Pipe {
    Descriptor read;
    Descriptor write;
};

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

struct Child {
    int pid = 0;
    Descriptor pidfd;
    Descriptor output;  ///< its stdout and stderr
};

Result<void> send_master_key(int fd, const MasterKey& master) {
    std::string text = master.to_text();  // far shorter than a pipe holds: does not block
    const ssize_t put = ::write(fd, text.data(), text.size());
    const bool whole = put == static_cast<ssize_t>(text.size());
    wipe(text);
    if (!whole) return fail_errno(errno, "master key to the KDC");
    return {};
}

Result<Child> spawn(const std::string& program, KdcConfig config, const MasterKey& master) {
    TRY(prepare_kdc_files(config));
    TRY_ASSIGN(Pipe input, make_pipe());
    TRY_ASSIGN(Pipe output, make_pipe());
    config.parent_pid = static_cast<uint32_t>(::getpid());
    std::vector<std::string> words = kdc_arguments(config);
    words.insert(words.begin(), {"smackd", "kdc"});
    TRY(send_master_key(input.write.get(), master));
    input.write.reset();
    net::SpawnPlan plan;
    plan.give(input.read.get(), STDIN_FILENO);
    plan.give(output.write.get(), STDOUT_FILENO);
    plan.give(output.write.get(), STDERR_FILENO);
    Child child;
    TRY_ASSIGN(child.pid, plan.start(program, std::move(words), "starting the KDC"));
    child.pidfd = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0)));
    child.output = std::move(output.read);
    if (child.pidfd.get() >= 0) return child;
    const int error_number = errno;
    ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    return fail_errno(error_number, "pidfd_open");
}

std::string describe_exit(int status) {
    if (WIFEXITED(status)) return std::format("exit code {}", WEXITSTATUS(status));
    if (WIFSIGNALED(status)) return std::format("signal {}", WTERMSIG(status));
    return std::format("status {}", status);
}

Instant now() {
    return net::SystemClock().now();
}

int to_poll_ms(core::Duration duration) {
    return static_cast<int>(std::chrono::ceil<core::milliseconds>(duration).count());
}

}  // namespace

core::Duration RestartPlan::exited(Instant now) {
    if (now - started_at_ >= kHealthyAfter) failures_ = 0;
    core::Duration pause = kFirstPause;
    for (uint32_t i = 0; i < failures_ && pause < kLongestPause; i++) pause *= 2;
    failures_++;
    return std::min(pause, kLongestPause);
}

struct KdcSupervisor::State {
    KdcConfig config;
    MasterKey master;
    core::Logger logger;
    core::Callback<void(const KdcEvent&)> on_event;
    std::string program;
    Descriptor stop_signal;
    std::atomic<bool> stopping{false};
    std::atomic<int> pid{0};
    std::thread thread;
    RestartPlan plan;
    std::string line;  ///< what the child wrote after its last newline
    std::string last_line;
    bool ready = false;

    void run();
    void run_child(Child child);
    void end_child(const Child& child);
    bool read_output(int fd);
    void take_line(std::string_view text);
    void pause(core::Duration duration);
    void report(KdcEvent::Kind kind, std::string text) {
        if (!stopping) on_event(KdcEvent{kind, pid, std::move(text)});
    }
};

void KdcSupervisor::State::run() {
    while (!stopping) {
        plan.started(now());
        auto child = spawn(program, config, master);
        if (child) {
            run_child(std::move(*child));
        } else {
            report(KdcEvent::Kind::kFailed, child.error().message);
        }
        if (stopping) return;
        const core::Duration wait = plan.exited(now());
        logger.warning("kdc starts again", {{"after_ms", to_poll_ms(wait)}, {"failures", plan.failures()}});
        pause(wait);
    }
}

void KdcSupervisor::State::run_child(Child child) {
    pid = child.pid;
    line.clear();
    last_line.clear();
    ready = false;
    bool output_open = true;
    while (true) {
        std::array<pollfd, 3> waits = {{{child.pidfd.get(), POLLIN, 0},
                                        {stop_signal.get(), POLLIN, 0},
                                        {output_open ? child.output.get() : -1, POLLIN, 0}}};
        if (::poll(waits.data(), waits.size(), -1) < 0) continue;  // EINTR
        if (waits[1].revents != 0) return end_child(child);
        if (waits[2].revents != 0) output_open = read_output(child.output.get());
        if (waits[0].revents != 0) break;
    }
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    while (output_open && read_output(child.output.get())) {
    }
    const std::string why = describe_exit(status) + (last_line.empty() ? "" : ": " + last_line);
    logger.error("kdc ended", {{"why", why}});
    report(KdcEvent::Kind::kExited, why);
    pid = 0;
}

void KdcSupervisor::State::end_child(const Child& child) {
    ::kill(child.pid, SIGTERM);
    pollfd ended = {child.pidfd.get(), POLLIN, 0};
    if (::poll(&ended, 1, kStopPatienceMs) <= 0) ::kill(child.pid, SIGKILL);
    ::waitpid(child.pid, nullptr, 0);
    pid = 0;
}

bool KdcSupervisor::State::read_output(int fd) {
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0) return errno == EINTR;
    if (got == 0) return false;
    for (const char c : std::string_view(buffer.data(), static_cast<size_t>(got))) {
        if (c == '\n') {
            take_line(line);
            line.clear();
        } else if (line.size() < kLineBytesMax) {
            line.push_back(c);
        }
    }
    return true;
}

void KdcSupervisor::State::take_line(std::string_view text) {
    last_line = text;
    // Requests are one line each: of interest to who looks for one, not to who watches the daemon.
    logger.debug("kdc says", {{"line", text}});
    if (ready || !text.contains(kReadyMark)) return;
    ready = true;
    logger.info("kdc ready", {{"pid", pid.load()}, {"listen", config.listen}});
    report(KdcEvent::Kind::kReady, {});
}

void KdcSupervisor::State::pause(core::Duration duration) {
    pollfd wait = {stop_signal.get(), POLLIN, 0};
    ::poll(&wait, 1, to_poll_ms(duration));
}

KdcSupervisor::KdcSupervisor(std::unique_ptr<State> state) : state_(std::move(state)) {}
KdcSupervisor::~KdcSupervisor() {
    stop();
}
int KdcSupervisor::pid() const {
    return state_->pid;
}

Result<std::unique_ptr<KdcSupervisor>> KdcSupervisor::start(KdcConfig config, MasterKey master,
                                                            core::Logger logger,
                                                            core::Callback<void(const KdcEvent&)> on_event,
                                                            std::string program) {
    auto state = std::make_unique<State>();
    state->config = std::move(config);
    state->master = std::move(master);
    state->logger = std::move(logger);
    state->on_event = std::move(on_event);
    state->program = std::move(program);
    state->stop_signal = Descriptor(::eventfd(0, EFD_CLOEXEC));
    if (state->stop_signal.get() < 0) return fail_errno(errno, "eventfd");
    State& running = *state;
    state->thread = std::thread([&running] { running.run(); });
    return std::unique_ptr<KdcSupervisor>(new KdcSupervisor(std::move(state)));
}

void KdcSupervisor::stop() {
    if (!state_->thread.joinable()) return;
    state_->stopping = true;
    const uint64_t one = 1;
    const ssize_t put = ::write(state_->stop_signal.get(), &one, sizeof one);
    SMACK_ASSERT(put == sizeof one);
    state_->thread.join();
    wipe(state_->master.key);
}

}  // namespace smackd::auth
