// The KDC of the embedded realm beside this node: a supervised child over realm.db.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "auth/kdc_supervisor.h"
#include "auth/realm.h"
#include "core/logger.h"
#include "core/result.h"

namespace smackd::cmd {

/// User and group of the child: a number of the range Debian keeps for allocation on demand (60000-64999), so
/// that it owns nothing else on the host.
inline constexpr uint32_t kKdcUid = 64088;
inline constexpr core::Duration kKdcReadyLimit = core::seconds(10);

class Kdc {
 public:
    /// Starts the child; `realm_db` exists by now. `listen` is HOST:PORT.
    static core::Result<std::unique_ptr<Kdc>> start(const std::string& realm, const std::string& realm_db,
                                                    const std::string& listen, auth::MasterKey master,
                                                    core::Logger logger);
    /// Waits until it answers; the first failure ends the waiting with what the child said.
    core::Result<void> wait_ready();
    void stop();

 private:
    struct Progress {
        std::mutex mutex;
        std::condition_variable changed;
        bool ready = false;
        std::string failure;
    };
    std::string listen_;
    std::shared_ptr<Progress> progress_ =
        std::make_shared<Progress>();  // shared with the supervisor's thread
    std::unique_ptr<auth::KdcSupervisor> supervisor_;
};

}  // namespace smackd::cmd
