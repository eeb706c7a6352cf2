#include "cmd/smackd/log_sink.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <format>

namespace smackd::cmd {
namespace {

std::string timestamp() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    return std::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1'000'000);
}

}  // namespace

core::Result<int> DescriptorLogSink::open_file(const std::string& path) {
    int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (descriptor < 0) return core::fail_errno(errno, std::format("opening the log file {}", path));
    return descriptor;
}

DescriptorLogSink::~DescriptorLogSink() {
    if (descriptor_ != STDERR_FILENO) ::close(descriptor_);
}

void DescriptorLogSink::write(core::LogLevel level, std::string_view component, std::string_view line) {
    if (level < least_) return;
    std::string text =
        std::format("{} {:<7} {}: {}\n", timestamp(), core::log_level_name(level), component, line);
    std::lock_guard lock(mutex_);
    // A log that cannot be written must not stop the daemon: what write(2) answers has no reader.
    [[maybe_unused]] ssize_t wrote = ::write(descriptor_, text.data(), text.size());
}

}  // namespace smackd::cmd
