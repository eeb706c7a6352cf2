// One change of the servers, or hand-over of leadership, at a time; each ends by its callback.
#pragma once

#include <optional>

#include "core/clock.h"
#include "storage/raft/engine.h"

namespace smackd::storage {

inline constexpr core::milliseconds kMembershipPoll{50};
inline constexpr unsigned kTransferPollsMax = 30;  ///< then the others are taken to be gone

class Membership {
 public:
    using Done = core::Callback<void(core::Result<void>)>;

    Membership(Engine& engine, core::Timers& timers) : engine_(engine), timers_(timers) {}
    ~Membership() { timers_.cancel(timer_); }
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;

    void add(const Server& server, Done done);
    void assign(core::NodeId id, ServerRole role, Done done);
    void remove(core::NodeId id, Done done);
    void transfer(core::NodeId to, Done done);

    /// Entry `index` is applied.
    void applied(core::Index index, core::Term term);
    /// Role, term or leader changed.
    void changed();
    void fail_all(const core::Error& error);

 private:
    struct Change {
        core::Index index;  ///< of its entry; 0 while the server is catching up
        core::Term term;
        core::NodeId promotee;
        Done done;
    };
    struct Transfer {
        core::NodeId to;
        core::Term term;
        Done done;
        unsigned polls = 0;
    };
    void submit(const std::vector<Server>& servers, Done done);
    void promote(core::NodeId id);
    void poll();
    void end_change(core::Result<void> outcome);
    void end_transfer(core::Result<void> outcome);

    Engine& engine_;
    core::Timers& timers_;
    std::optional<Change> change_;
    std::optional<Transfer> transfer_;
    core::TimerId timer_ = 0;
};

}  // namespace smackd::storage
