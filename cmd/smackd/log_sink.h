// Log lines to standard error or a file: time, level, component, text.
#pragma once

#include <mutex>
#include <string>

#include "core/logger.h"
#include "core/result.h"

namespace smackd::cmd {

/// Writes one line per call with one write(2); callable from any thread. Lines below `least` are dropped.
class DescriptorLogSink final : public core::LogSink {
 public:
    /// Takes over `descriptor` (closed at the end when it is not standard error).
    DescriptorLogSink(int descriptor, core::LogLevel least) : descriptor_(descriptor), least_(least) {}
    DescriptorLogSink(const DescriptorLogSink&) = delete;
    DescriptorLogSink& operator=(const DescriptorLogSink&) = delete;
    ~DescriptorLogSink() override;

    /// Opens `path` for appending (mode 0640).
    static core::Result<int> open_file(const std::string& path);

    void write(core::LogLevel level, std::string_view component, std::string_view line) override;

 private:
    std::mutex mutex_;
    int descriptor_;
    core::LogLevel least_;
};

}  // namespace smackd::cmd
