// Keeps the KDC child running: start, readiness, restart with growing pauses. RestartPlan decides,
// KdcSupervisor acts.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "auth/kdc_process.h"
#include "core/callback.h"
#include "core/clock.h"
#include "core/logger.h"
#include "core/result.h"

namespace smackd::auth {

/// Pure: when to start the child again.
class RestartPlan {
 public:
    static constexpr core::Duration kFirstPause = core::milliseconds(20);
    static constexpr core::Duration kLongestPause = core::seconds(10);
    static constexpr core::Duration kHealthyAfter =
        core::seconds(30);  ///< running so long forgets earlier failures

    void started(core::Instant now) { started_at_ = now; }
    /// The pause before the next start.
    core::Duration exited(core::Instant now);
    uint32_t failures() const { return failures_; }

 private:
    core::Instant started_at_;
    uint32_t failures_ = 0;
};

struct KdcEvent {
    enum class Kind : uint8_t { kReady, kExited, kFailed };
    Kind kind = Kind::kReady;
    int pid = 0;
    std::string text;  ///< for kExited and kFailed: what happened, with the child's last line
};

/// Owns the child and one thread that waits for it (PDEATHSIG is per thread, so the thread that starts the
/// child must live as long as the child). stop() or the destructor ends both.
class KdcSupervisor {
 public:
    /// Starts the thread; the child follows at once. `on_event` runs on the supervisor's thread: post to a
    /// loop. `program` is the binary to execute, by default this one.
    static core::Result<std::unique_ptr<KdcSupervisor>> start(KdcConfig config, MasterKey master,
                                                              core::Logger logger,
                                                              core::Callback<void(const KdcEvent&)> on_event,
                                                              std::string program = "/proc/self/exe");
    KdcSupervisor(const KdcSupervisor&) = delete;
    KdcSupervisor& operator=(const KdcSupervisor&) = delete;
    ~KdcSupervisor();

    /// Ends the child (SIGTERM, then SIGKILL after 2 s) and joins the thread; no event follows. Idempotent.
    void stop();
    /// The running child, or 0.
    int pid() const;

 private:
    struct State;
    explicit KdcSupervisor(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace smackd::auth
