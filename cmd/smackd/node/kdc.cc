#include "cmd/smackd/node/kdc.h"

#include <unistd.h>

namespace smackd::cmd {

core::Result<std::unique_ptr<Kdc>> Kdc::start(const std::string& realm, const std::string& realm_db,
                                              const std::string& listen, auth::MasterKey master,
                                              core::Logger logger) {
    auth::KdcConfig config;
    config.realm = realm;
    config.listen = listen;
    config.realm_db = realm_db;
    if (::geteuid() == 0) config.uid = config.gid = kKdcUid;
    auto kdc = std::make_unique<Kdc>();
    kdc->listen_ = listen;
    auto told = [progress = kdc->progress_](const auth::KdcEvent& event) {
        std::lock_guard lock(progress->mutex);
        if (event.kind == auth::KdcEvent::Kind::kReady) {
            progress->ready = true;
        } else {
            progress->failure = event.text;
        }
        progress->changed.notify_all();
    };
    TRY_ASSIGN(kdc->supervisor_, auth::KdcSupervisor::start(std::move(config), std::move(master),
                                                            std::move(logger), std::move(told)));
    return kdc;
}

core::Result<void> Kdc::wait_ready() {
    std::unique_lock lock(progress_->mutex);
    progress_->changed.wait_for(lock, kKdcReadyLimit,
                                [&] { return progress_->ready || !progress_->failure.empty(); });
    if (progress_->ready) return {};
    if (progress_->failure.empty()) {
        return core::fail(core::Errc::kTimeout, "the KDC did not answer within {}",
                          core::format_duration(kKdcReadyLimit));
    }
    return core::fail(core::Errc::kUnavailable,
                      "the KDC at {} does not start (another address: --kdc-addr): {}", listen_,
                      progress_->failure);
}

void Kdc::stop() {
    if (supervisor_) supervisor_->stop();
}

}  // namespace smackd::cmd
