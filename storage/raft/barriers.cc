#include "storage/raft/barriers.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace smackd::storage {

void Barriers::sent(core::Index index, core::Term term) {
    sent_ = Sent{.index = index, .term = term, .riders = std::exchange(waiting_, {})};
}

void Barriers::applied(const LogEntry& entry, const core::Error& lost) {
    if (!sent_ || sent_->index > entry.index) return;
    Sent sent = std::move(*sent_);
    sent_.reset();
    const bool kept = sent.index == entry.index && sent.term == entry.term;
    for (Done& done : sent.riders) {
        if (kept) {
            done(entry.index);
        } else {
            done(std::unexpected(lost));
        }
    }
}

void Barriers::fail_all(const core::Error& error) {
    std::vector<Done> all = std::exchange(waiting_, {});
    if (sent_) std::ranges::move(sent_->riders, std::back_inserter(all));
    sent_.reset();
    for (Done& done : all) done(std::unexpected(error));
}

}  // namespace smackd::storage
