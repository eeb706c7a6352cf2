// Whoever sends commands to the cluster, at any of its servers, until each is answered.
#pragma once

#include <deque>
#include <string>

#include "core/bytes.h"
#include "core/callback.h"
#include "core/result.h"
#include "core/wire/command.pb.h"
#include "tests/sim/world.h"

namespace smackd::sim::cluster {

struct Site;

class Requester {
 public:
    using Done = core::Callback<void(const wire::CommandResult&)>;
    Requester(Site& site, uint64_t client) : site_(site), client_(client) {}

    /// Applied once, however often it takes. An answer of servers that were left behind is answered again by
    /// the others, unless `any_epoch`.
    void request(wire::Command command, Done done, bool any_epoch = false);
    bool idle() const { return waiting_.empty(); }

 private:
    struct Request {
        wire::Command command;
        Done done;
        bool any_epoch = false;
    };
    void next();
    void attempt();
    void answered(core::Result<core::Bytes> answer);
    void again();

    Site& site_;
    const uint64_t client_;
    uint64_t sequence_ = 0;
    uint64_t attempt_ = 0;  ///< an answer to an older one is late
    uint64_t timeout_ = 0;
    std::deque<Request> waiting_;
};

/// A command of the simulation itself.
wire::Command new_command();

/// Writes settings under keys of its own, one after the other.
class Writer {
 public:
    Writer(Site& site, uint64_t client);
    void start();
    void stop() { stopped_ = true; }
    bool idle() const { return stopped_ && requester_.idle(); }

 private:
    void write();
    Site& site_;
    const uint64_t client_;
    Requester requester_;
    uint64_t written_ = 0;
    bool stopped_ = false;
};

}  // namespace smackd::sim::cluster
