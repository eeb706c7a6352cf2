// What the simulated processes log becomes part of the world's trace.
#pragma once

#include <format>

#include "core/logger.h"
#include "tests/sim/world.h"

namespace smackd::sim {

class TraceSink final : public core::LogSink {
 public:
    explicit TraceSink(World& world) : world_(world) {}
    void write(core::LogLevel level, std::string_view component, std::string_view line) override {
        if (level == core::LogLevel::kDebug) return;
        world_.trace(std::format("{} {}", component, line));
    }

 private:
    World& world_;
};

}  // namespace smackd::sim
