#include "services/agent/shim_exec.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace smackd::agent {
namespace {

constexpr int kLastReads = 64;          // of 32 KiB: more than a pipe holds
constexpr char kEndOfTransmission = 4;  // ^D: the end of input on a terminal

}  // namespace

ShimExecSession::ShimExecSession(PollLoop& loop, ShimConnection& connection, BesideProgram program)
    : loop_(loop), connection_(connection), program_(std::move(program)), terminal_(!program_.error) {
    watch();
}

ShimExecSession::ShimExecSession(PollLoop& loop, ShimConnection& connection,
                                 const wire::ShimProgramState& state)
    : loop_(loop),
      connection_(connection),
      program_{.helper_pid = static_cast<int>(state.helper_pid()),
               .status = handed_over(state.status()),
               .input = handed_over(state.input()),
               .output = handed_over(state.output()),
               .error = handed_over(state.error())},
      pending_(state.pending()),
      end_of_input_(state.end_of_input()),
      terminal_(state.terminal()) {
    if (program_.helper_pid == 0) return;
    watch();
    write_input();
}

void ShimExecSession::watch() {
    loop_.watch(program_.output.get(), POLLIN, [this](short) { read_output(program_.output.get(), false); });
    if (program_.error)
        loop_.watch(program_.error.get(), POLLIN, [this](short) { read_output(program_.error.get(), true); });
    if (program_.input) loop_.watch(program_.input.get(), 0, [this](short) { write_input(); });
    loop_.watch(program_.status.get(), POLLIN, [this](short) { ended(); });
    connection_.set_on_drained([this] { drained(); });
}

void ShimExecSession::save(wire::ShimProgramState& into, KeptDescriptors& kept) const {
    into.set_helper_pid(static_cast<uint32_t>(program_.helper_pid));
    into.set_status(kept.keep(program_.status));
    into.set_input(kept.keep(program_.input));
    into.set_output(kept.keep(program_.output));
    into.set_error(kept.keep(program_.error));
    into.set_terminal(terminal_);
    into.set_pending(pending_);
    into.set_end_of_input(end_of_input_);
}

ShimExecSession::~ShimExecSession() {
    connection_.set_on_drained([] {});
    for (const Descriptor* fd : {&program_.output, &program_.error, &program_.input, &program_.status}) {
        if (*fd) loop_.forget(fd->get());
    }
    if (program_.helper_pid == 0) return;
    ::kill(program_.helper_pid, SIGKILL);
    ::waitpid(program_.helper_pid, nullptr, 0);
}

bool ShimExecSession::relay(int fd, bool error_stream) {
    std::array<char, 32768> buffer{};
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);  // a terminal's end is EIO
    wire::ShimAnswer answer;
    answer.mutable_output()->set_bytes(buffer.data(), static_cast<size_t>(got));
    answer.mutable_output()->set_error_stream(error_stream);
    connection_.send(answer);
    return true;
}

void ShimExecSession::read_output(int fd, bool error_stream) {
    if (!relay(fd, error_stream)) {
        loop_.forget(fd);
        return;
    }
    if (connection_.waiting() < kShimOutputBytesBusy) return;
    paused_ = true;
    loop_.want(program_.output.get(), 0);
    if (program_.error) loop_.want(program_.error.get(), 0);
}

void ShimExecSession::drained() {
    if (!paused_) return;
    paused_ = false;
    loop_.want(program_.output.get(), POLLIN);
    if (program_.error) loop_.want(program_.error.get(), POLLIN);
}

void ShimExecSession::input(const wire::ShimExecInput& input) {
    if (terminal_ && input.rows() > 0) resize_terminal(program_.output.get(), input.rows(), input.columns());
    if (end_of_input_) return;
    pending_ += input.bytes();
    if (input.end()) {
        end_of_input_ = true;
        if (terminal_) pending_ += kEndOfTransmission;
    }
    write_input();
}

void ShimExecSession::write_input() {
    if (!program_.input) return;
    while (!pending_.empty()) {
        const ssize_t put = ::write(program_.input.get(), pending_.data(), pending_.size());
        if (put < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (put < 0) pending_.clear();  // it does not read any more
        if (put > 0) pending_.erase(0, static_cast<size_t>(put));
    }
    if (pending_.empty() && end_of_input_ && !terminal_) {
        loop_.forget(program_.input.get());
        program_.input.reset();
    } else {
        loop_.want(program_.input.get(), pending_.empty() ? 0 : POLLOUT);
    }
    connection_.pause_reading(pending_.size() > kExecInputBytesMax);
}

void ShimExecSession::ended() {
    int status = 0;
    const bool told = ::read(program_.status.get(), &status, sizeof(status)) == sizeof(status);
    loop_.forget(program_.status.get());
    ::waitpid(program_.helper_pid, nullptr, 0);
    program_.helper_pid = 0;
    // What it wrote before its end is in the pipes; what it left running keeps nothing open for us.
    for (const auto& [fd, error_stream] :
         {std::pair{program_.output.get(), false}, {program_.error.get(), true}}) {
        pollfd readable{fd, POLLIN, 0};
        for (int rounds = 0; fd >= 0 && rounds < kLastReads; rounds++) {
            if (::poll(&readable, 1, 0) <= 0 || (readable.revents & POLLIN) == 0 || !relay(fd, error_stream))
                break;
        }
        if (fd >= 0) loop_.forget(fd);
    }
    wire::ShimAnswer answer;
    if (!told) {
        answer.mutable_exit()->set_signal(SIGKILL);
    } else if (WIFEXITED(status)) {
        answer.mutable_exit()->set_code(static_cast<uint32_t>(WEXITSTATUS(status)));
    } else {
        answer.mutable_exit()->set_signal(static_cast<uint32_t>(WTERMSIG(status)));
    }
    connection_.send(answer);
}

}  // namespace smackd::agent
