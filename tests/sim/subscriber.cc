#include "tests/sim/subscriber.h"

#include <format>

namespace smackd::sim {

void Subscriber::start() {
    const core::milliseconds wait{static_cast<int64_t>(20 + world_.random().below(800))};
    world_.schedule(wait, [this] {
        auto any = processes_.begin();
        std::advance(any, static_cast<std::ptrdiff_t>(world_.random().below(processes_.size())));
        Process& process = *any->second;
        if (process.up() && !process.disk().stopped()) visit(process);
        start();
    });
}

void Subscriber::visit(Process& process) {
    // A server that is behind says so; the client tries another one later.
    if (process.hub().head().number < token_.number) return;
    storage::feed::Filter filter;
    if (!kind_.empty()) filter.kinds = {kind_};
    auto watch = process.hub().watch(token_, filter, [] {});
    if (!watch) {
        return world_.violate(std::format("n{}: a watch from {} is refused: {}", process.id(),
                                          token_.to_string(), watch.error().to_string()));
    }
    std::vector<uint64_t> taken;
    for (;;) {
        auto records = (*watch)->take(64);
        // state.db cannot be read now (damage, or the power fails in this moment): the token stays good.
        if (!records && records.error().code != core::Errc::kConflict) return;
        if (!records) {
            return world_.violate(std::format("n{}: a watch from {} ends: {}", process.id(),
                                              token_.to_string(), records.error().to_string()));
        }
        if (records->empty()) break;
        for (const auto& record : *records) taken.push_back(record->revision.number);
    }
    const core::Revision position = (*watch)->position();
    if (taken != checker_.revisions_of(kind_, token_.number, position.number)) {
        world_.violate(std::format("n{}: a watch from {} to {} does not give what was shown", process.id(),
                                   token_.to_string(), position.to_string()));
    }
    token_ = position;
    ++visits_;
}

}  // namespace smackd::sim
