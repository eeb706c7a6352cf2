#include "services/agent/log_pipe.h"

#include <poll.h>

#include <array>
#include <cerrno>

namespace smackd::agent {
namespace {

constexpr core::Duration kFloodPause = core::milliseconds(20);
constexpr size_t kReadBytes = 65536;

}  // namespace

LogPipe::LogPipe(PollLoop& loop, int directory, const char* stream, const wire::TaskLogLimits& limits)
    : loop_(loop),
      writer_(directory, stream, limits.segment_bytes(), limits.total_bytes()),
      rate_(limits.bytes_per_second(), loop.now()) {}

LogPipe::LogPipe(PollLoop& loop, int directory, const char* stream, const wire::TaskLogLimits& limits,
                 const wire::ShimLogState& state)
    : LogPipe(loop, directory, stream, limits) {
    read_ = handed_over(state.read());
    writer_.resume(state, handed_over(state.file()));
    rate_.resume(state);
}

LogPipe::~LogPipe() {
    loop_.cancel(pause_);
    if (read_) loop_.forget(read_.get());
}

void LogPipe::save(wire::ShimLogState& into, KeptDescriptors& kept) const {
    into.set_read(kept.keep(read_));
    into.set_file(kept.keep(writer_.descriptor()));
    writer_.save(into);
    rate_.save(into);
}

void LogPipe::watch() {
    if (read_) loop_.watch(read_.get(), POLLIN, [this](short) { pump(); });
}

void LogPipe::pump() {
    std::array<char, kReadBytes> buffer{};
    const uint64_t allowed = rate_.allowed(loop_.now());
    if (allowed < buffer.size()) {
        // The pipe fills up and the writer waits: a flood costs the others nothing, and nothing is lost.
        loop_.want(read_.get(), 0);
        pause_ = loop_.start(kFloodPause, [this] { loop_.want(read_.get(), POLLIN); });
        return;
    }
    const ssize_t got = ::read(read_.get(), buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        loop_.forget(read_.get());
        return;
    }
    writer_.write({buffer.data(), static_cast<size_t>(got)});
    rate_.take(static_cast<uint64_t>(got));
}

void LogPipe::drain() {
    std::array<char, kReadBytes> buffer{};
    for (ssize_t got = 0; read_ && (got = ::read(read_.get(), buffer.data(), buffer.size())) > 0;)
        writer_.write({buffer.data(), static_cast<size_t>(got)});
}

}  // namespace smackd::agent
