#include "cmd/smackd/node/state_gateway.h"

#include "cmd/smackd/node/foreign_wait.h"
#include "net/scope.h"
#include "services/api/feed_reader.h"

namespace smackd::cmd {

net::Task<core::Result<wire::CommandResult>> StateGateway::propose(wire::Command command) {
    core::Bytes bytes = command.SerializeAsString();
    CO_TRY_ASSIGN(core::Bytes answer, co_await await_foreign<core::Bytes>(loop_, [&](auto done) {
                      consensus_.propose(std::move(bytes), std::move(done));
                  }));
    wire::CommandResult result;
    if (!result.ParseFromString(answer)) {
        co_return core::fail(core::Errc::kCorrupt, "the leader's answer is no command result");
    }
    if (result.code() != 0) co_return result;
    auto followed = co_await follow_to({result.epoch(), result.revision()});
    if (followed) co_return result;
    co_return core::fail(core::Errc::kUnknownOutcome,
                         "the change is made, but not known to be on this server: {}",
                         followed.error().message);
}

net::Task<core::Result<void>> StateGateway::barrier() {
    CO_TRY_ASSIGN(core::Revision revision, co_await await_foreign<core::Revision>(loop_, [&](auto done) {
                      consensus_.barrier(std::move(done));
                  }));
    co_return co_await follow_to(revision);
}

net::Task<core::Result<wire::PendingMachines>> StateGateway::pending_machines() {
    CO_TRY_ASSIGN(const core::Bytes bytes, co_await await_foreign<core::Bytes>(loop_, [&](auto done) {
                      consensus_.pending(std::move(done));
                  }));
    wire::PendingMachines list;
    if (!list.ParseFromString(bytes)) co_return core::fail(core::Errc::kCorrupt, "the leader's list is none");
    co_return list;
}

// The leader has applied it; this server may be a moment behind.
net::Task<core::Result<void>> StateGateway::follow_to(core::Revision revision) {
    if (hub_.head() >= revision) co_return core::Result<void>();
    co_return co_await net::with_deadline(loop_, kFollowLimit, "applying the change on this server",
                                          services::wait_for_revision(loop_, hub_, revision));
}

}  // namespace smackd::cmd
