// A reader of the change feed that moves from server to server with its token, as a client does that connects
// anew.
#pragma once

#include "tests/sim/client.h"

namespace smackd::sim {

class Subscriber {
 public:
    /// Takes changes of `kind` only; empty: all.
    Subscriber(World& world, Processes& processes, Checker& checker, std::string kind)
        : world_(world), processes_(processes), checker_(checker), kind_(std::move(kind)) {}

    /// Visits some server every now and then.
    void start();
    /// Takes what there is; what comes must be what was shown since the token, without gap or repetition.
    void visit(Process& process);
    uint64_t visits() const { return visits_; }
    uint64_t position() const { return token_.number; }

 private:
    World& world_;
    Processes& processes_;
    Checker& checker_;
    const std::string kind_;
    core::Revision token_{.epoch = 1, .number = 0};
    uint64_t visits_ = 0;
};

}  // namespace smackd::sim
