#include "storage/raft/membership.h"

#include <algorithm>

namespace smackd::storage {
namespace {

core::Error busy() {
    return core::Error{core::Errc::kBusy, "another change of the membership is under way", 500};
}

core::Error lost() {
    return core::Error{core::Errc::kUnknownOutcome,
                       "leadership was lost before the change was known to be stored", 0};
}

}  // namespace

void Membership::submit(const std::vector<Server>& servers, Done done) {
    auto index = engine_.submit_configuration(servers);
    if (!index) return done(core::pass(std::move(index)));
    change_ =
        Change{.index = *index, .term = engine_.term_of(*index), .promotee = {}, .done = std::move(done)};
    changed();  // leadership may have been lost in there
}

void Membership::add(const Server& server, Done done) {
    if (change_) return done(std::unexpected(busy()));
    std::vector<Server> servers = engine_.servers();
    servers.push_back(Server{.id = server.id, .address = server.address, .role = ServerRole::kSpare});
    if (server.role == ServerRole::kSpare) return submit(servers, std::move(done));
    submit(servers, [this, id = server.id, role = server.role,
                     last = std::move(done)](core::Result<void> added) mutable {
        if (!added) return last(std::move(added));
        assign(id, role, std::move(last));
    });
}

void Membership::assign(core::NodeId id, ServerRole role, Done done) {
    if (change_) return done(std::unexpected(busy()));
    std::vector<Server> servers = engine_.servers();
    const auto found = std::ranges::find(servers, id, &Server::id);
    if (found == servers.end()) return done(core::fail(core::Errc::kNotFound, "no server {}", id.value));
    if (found->role == role) return done({});
    // libraft notices the end of a catch-up by progress, which a server that has everything does not make.
    if (role != ServerRole::kVoter || engine_.up_to_date(id)) {
        found->role = role;
        return submit(servers, std::move(done));
    }
    // A voter counts from the moment its entry is in the log, so it catches up before.
    auto begun = engine_.begin_catch_up(id);
    if (!begun) return done(std::move(begun));
    change_ = Change{.index = {}, .term = engine_.term(), .promotee = id, .done = std::move(done)};
    poll();
}

void Membership::remove(core::NodeId id, Done done) {
    if (change_) return done(std::unexpected(busy()));
    std::vector<Server> servers = engine_.servers();
    if (std::erase_if(servers, [&](const Server& server) { return server.id == id; }) == 0) {
        return done(core::fail(core::Errc::kNotFound, "no server {}", id.value));
    }
    if (std::ranges::none_of(servers, [](const Server& s) { return s.role == ServerRole::kVoter; })) {
        return done(core::fail(core::Errc::kInvalid, "server {} is the last voter", id.value));
    }
    submit(servers, std::move(done));
}

void Membership::transfer(core::NodeId to, Done done) {
    if (transfer_) return done(core::fail(core::Errc::kBusy, "leadership is being handed over already"));
    auto begun = engine_.transfer(to);
    if (!begun) return done(std::move(begun));
    transfer_ = Transfer{.to = to, .term = engine_.term(), .done = std::move(done)};
    poll();
}

void Membership::promote(core::NodeId id) {
    std::vector<Server> servers = engine_.servers();
    const auto found = std::ranges::find(servers, id, &Server::id);
    if (found == servers.end())
        return end_change(core::fail(core::Errc::kNotFound, "no server {}", id.value));
    found->role = ServerRole::kVoter;
    auto index = engine_.submit_configuration(servers);
    if (!change_) return;  // leadership was lost in there
    if (!index) return end_change(core::pass(std::move(index)));
    change_->index = *index;
    change_->promotee = {};
}

void Membership::poll() {
    timers_.cancel(timer_);
    timer_ = 0;
    if (change_ && change_->promotee.value != 0) {
        switch (engine_.catch_up(change_->promotee)) {
            case Engine::CatchUp::kFinished:
                promote(change_->promotee);
                break;
            case Engine::CatchUp::kAborted:
            case Engine::CatchUp::kNone:
                end_change(
                    core::fail(core::Errc::kTimeout, "server {} does not catch up", change_->promotee.value));
                break;
            case Engine::CatchUp::kRunning:
                break;
        }
    }
    changed();
    if (transfer_ && ++transfer_->polls > kTransferPollsMax) {
        end_transfer(core::fail(core::Errc::kTimeout, "no other server has taken over in time"));
    }
    const bool goes_on = transfer_ || (change_ && change_->promotee.value != 0);
    if (goes_on && timer_ == 0)
        timer_ = timers_.start(kMembershipPoll, [this] {
            timer_ = 0;
            poll();
        });
}

void Membership::applied(core::Index index, core::Term term) {
    if (!change_ || change_->index.value == 0 || change_->index > index) return;
    if (change_->index == index && change_->term == term) return end_change({});
    end_change(std::unexpected(lost()));
}

void Membership::changed() {
    const bool leads = engine_.role() == ReplicaRole::kLeader;
    if (change_ && (!leads || engine_.term() != change_->term) && engine_.commit_index() < change_->index) {
        end_change(std::unexpected(lost()));
    } else if (change_ && !leads && change_->index.value == 0) {
        end_change(std::unexpected(lost()));
    }
    if (!transfer_) return;
    if (!leads && engine_.leader().value != 0) {
        const bool meant = transfer_->to.value == 0 || engine_.leader() == transfer_->to;
        end_transfer(
            meant ? core::Result<void>{}
                  : core::fail(core::Errc::kUnavailable, "server {} leads instead", engine_.leader().value));
    } else if (leads && engine_.leader().value != 0 && !engine_.transferring()) {
        end_transfer(core::fail(core::Errc::kTimeout, "the other server did not take over in time"));
    }
}

void Membership::end_change(core::Result<void> outcome) {
    Change change = std::move(*change_);
    change_.reset();
    change.done(std::move(outcome));
}

void Membership::end_transfer(core::Result<void> outcome) {
    Transfer transfer = std::move(*transfer_);
    transfer_.reset();
    transfer.done(std::move(outcome));
}

void Membership::fail_all(const core::Error& error) {
    if (change_) end_change(std::unexpected(error));
    if (transfer_) end_transfer(std::unexpected(error));
}

}  // namespace smackd::storage
