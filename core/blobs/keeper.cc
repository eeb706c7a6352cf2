#include "core/blobs/keeper.h"

#include <algorithm>

#include "core/assert.h"

namespace smackd::core::blobs {

void Keeper::begin(const Sizes& here, Instant now) {
    for (const auto& [digest, size] : here) promise(digest, now);
}

void Keeper::copied(const Digest& digest, bool done, Instant now) {
    Attempts& attempts = attempts_[digest];
    SMACK_ASSERT(attempts.running > 0);
    --attempts.running;
    if (done) {
        attempts.failures = 0;
        checked_[digest] = now;
    } else {
        Duration pause = kCopyRetry;
        for (size_t i = 0; i < attempts.failures && pause < kCopyRetryMax; ++i) pause *= 2;
        attempts.again = now + std::min(pause, kCopyRetryMax);
        ++attempts.failures;
    }
    if (attempts.running == 0 && (done || !wants(digest))) attempts_.erase(digest);
}

std::vector<Keeper::Copy> Keeper::next_copies(const Sizes& here, Instant now) {
    size_t running = 0;
    for (const auto& [digest, attempts] : attempts_) running += attempts.running;
    std::vector<Copy> copies;
    for (const auto& [digest, size] : wanted_) {
        if (running >= kCopiesAtOnce) break;
        if (here.contains(digest)) continue;
        Attempts& attempts = attempts_[digest];
        if (attempts.running > 0 || attempts.again > now) continue;
        ++attempts.running;
        ++running;
        copies.push_back({digest, size, attempts.failures});
    }
    return copies;
}

std::vector<Keeper::Digest> Keeper::unwanted(const Sizes& here, Instant now) {
    std::erase_if(promised_, [&](const auto& one) { return one.second <= now; });
    std::erase_if(checked_, [&](const auto& one) { return !here.contains(one.first); });
    std::erase_if(attempts_, [&](const auto& one) { return one.second.running == 0 && !wants(one.first); });
    std::vector<Digest> unwanted;
    for (const auto& [digest, size] : here) {
        if (!wants(digest) && !promised_.contains(digest)) unwanted.push_back(digest);
    }
    return unwanted;
}

const Keeper::Digest* Keeper::next_check(const Sizes& here, Instant now) {
    const Digest* oldest = nullptr;
    Instant at = now + -kCheckEvery;
    for (const auto& [digest, size] : here) {
        const auto found = checked_.find(digest);
        if (found == checked_.end()) return &digest;  // not since the start
        if (found->second > at) continue;
        at = found->second;
        oldest = &digest;
    }
    return oldest;
}

}  // namespace smackd::core::blobs
