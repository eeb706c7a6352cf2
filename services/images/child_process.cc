#include "services/images/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <format>

#include "net/spawn_plan.h"

namespace smackd::services::images {

using core::Errc;
using core::fail;
using core::fail_errno;
using core::Json;
using core::Result;

namespace {

constexpr int kPollMs = 100;
constexpr size_t kInputBytesMax = 60 * 1024;  // below what a pipe holds: writing does not block
constexpr size_t kErrorBytesMax = 4096;
constexpr int kAbove = 100;  // copies of descriptors, out of the way of the numbers the child gets

struct Pipe {
    FileDescriptor read;
    FileDescriptor write;
};

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
    return Pipe{FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

Result<FileDescriptor> duplicate(int number) {
    FileDescriptor copy(::fcntl(number, F_DUPFD_CLOEXEC, kAbove));
    if (!copy) return fail_errno(errno, "duplicate a descriptor");
    return copy;
}

class Child {
 public:
    ~Child() {
        if (pid_ > 0) end();
    }
    Child() = default;
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    Result<void> start(const ChildPlan& plan);
    /// Its output, up to the end of it.
    Result<std::string> read_answer(ChildPlan& plan, const std::atomic<bool>& cancelled);
    /// How it ended; empty when with code 0.
    std::string wait();

 private:
    void end() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    Result<bool> read_some(ChildPlan& plan, std::string& answer);

    net::SpawnPlan plan_;
    pid_t pid_ = 0;
    FileDescriptor output_;
    FileDescriptor errors_;
    std::string error_text_;
};

Result<void> Child::start(const ChildPlan& plan) {
    Json input = plan.input;
    input.set("parent", static_cast<int64_t>(::getpid()));
    const std::string text = input.dump();
    if (text.size() > kInputBytesMax)
        return fail(Errc::kInvalid, "the child's input is longer than {} bytes", kInputBytesMax);
    TRY_ASSIGN(Pipe in, make_pipe());
    TRY_ASSIGN(Pipe out, make_pipe());
    TRY_ASSIGN(Pipe errors, make_pipe());
    if (::write(in.write.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
        return fail_errno(errno, "input of the child");
    }
    in.write.reset();
    std::vector<FileDescriptor> copies;
    for (const int number : {in.read.get(), out.write.get(), errors.write.get()}) {
        TRY_ASSIGN(FileDescriptor copy, duplicate(number));
        copies.push_back(std::move(copy));
    }
    for (const int number : plan.descriptors) {
        TRY_ASSIGN(FileDescriptor copy, duplicate(number));
        copies.push_back(std::move(copy));
    }
    for (size_t i = 0; i < copies.size(); ++i) {
        plan_.give(copies[i].get(), static_cast<int>(i));
    }
    // A ring of calls would pass by the child's filter, which therefore has none; libuv then uses epoll
    // alone.
    TRY_ASSIGN(pid_,
               plan_.start(plan.program, {"smackd", plan.entry},
                           std::format("start {} {}", plan.program, plan.entry), {"UV_USE_IO_URING=0"}));
    output_ = std::move(out.read);
    errors_ = std::move(errors.read);
    return {};
}

/// True while there may be more.
Result<bool> Child::read_some(ChildPlan& plan, std::string& answer) {
    // poll leaves out negative numbers.
    std::array<pollfd, 3> ready = {pollfd{output_.get(), POLLIN, 0}, pollfd{errors_.get(), POLLIN, 0},
                                   pollfd{plan.requests, POLLIN, 0}};
    if (::poll(ready.data(), ready.size(), kPollMs) < 0 && errno != EINTR) return fail_errno(errno, "poll");
    if (ready[2].revents != 0) {
        TRY_ASSIGN(const bool more, plan.on_request());
        if (!more) plan.requests = -1;
    }
    std::array<char, 16384> piece{};
    if (ready[1].revents != 0) {
        const ssize_t count = ::read(errors_.get(), piece.data(), piece.size());
        if (count > 0 && error_text_.size() < kErrorBytesMax)
            error_text_.append(piece.data(), static_cast<size_t>(count));
        if (count <= 0) errors_.reset();
    }
    if (ready[0].revents == 0) return true;
    const ssize_t count = ::read(output_.get(), piece.data(), piece.size());
    if (count < 0) return fail_errno(errno, "answer of the child");
    answer.append(piece.data(), static_cast<size_t>(count));
    if (answer.size() > kChildAnswerBytesMax)
        return fail(Errc::kIo, "the child's answer is longer than {} bytes", kChildAnswerBytesMax);
    return count > 0;
}

Result<std::string> Child::read_answer(ChildPlan& plan, const std::atomic<bool>& cancelled) {
    std::string answer;
    // Counted in polls rather than by a clock: one returns after kPollMs at the latest, so the limit is never
    // early, and a child that talks all the time is limited by the length of its answer.
    int64_t polls_left = std::chrono::ceil<core::milliseconds>(plan.limit).count() / kPollMs + 1;
    for (;;) {
        TRY_ASSIGN(const bool more, read_some(plan, answer));
        if (!more) return answer;
        if (cancelled.load(std::memory_order_relaxed))
            return fail(Errc::kCancelled, "{} was given up", plan.entry);
        if (--polls_left <= 0) {
            return fail(Errc::kTimeout, "{} took longer than {}", plan.entry,
                        core::format_duration(plan.limit));
        }
    }
}

std::string Child::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    pid_ = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    std::string how = WIFSIGNALED(status) ? std::format("ended by signal {} ({})", WTERMSIG(status),
                                                        ::strsignal(WTERMSIG(status)))
                                          : std::format("ended with code {}", WEXITSTATUS(status));
    if (!error_text_.empty()) how += ": " + error_text_;
    return how;
}

std::optional<Errc> code_of(std::string_view name) {
    for (int number = static_cast<int>(Errc::kInvalid); number <= static_cast<int>(Errc::kUnknownOutcome);
         ++number) {
        if (core::errc_name(static_cast<Errc>(number)) == name) return static_cast<Errc>(number);
    }
    return std::nullopt;
}

}  // namespace

Json child_error(const core::Error& error) {
    return Json::object().set("error", core::errc_name(error.code)).set("message", error.message);
}

std::optional<core::Error> error_of_child(const Json& answer) {
    const auto code = code_of(answer["error"].as_string());
    if (!code) return std::nullopt;
    return core::Error{*code, answer["message"].as_string(), 0};
}

Result<Json> run_child(ChildPlan& plan, const std::atomic<bool>& cancelled) {
    Child child;
    TRY(child.start(plan));
    TRY_ASSIGN(const std::string text, child.read_answer(plan, cancelled));
    const std::string how = child.wait();
    auto answer = Json::parse(text);
    if (!answer || !answer->is_object()) {
        return fail(Errc::kIo, "{} {}", plan.entry, how.empty() ? "gave no answer" : how);
    }
    if (const auto error = error_of_child(*answer)) return std::unexpected(*error);
    if (!how.empty()) return fail(Errc::kIo, "{} {}", plan.entry, how);
    return answer;
}

}  // namespace smackd::services::images
