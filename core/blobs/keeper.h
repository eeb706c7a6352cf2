// Keeper: which blobs a server fetches, which it lets go, and when. Pure.
//
// Every server keeps every blob that the state wants: there are few servers, each of them may be asked by any
// node, and none has to know what the others have. A blob that nothing wants goes, unless it was promised:
// whoever puts one has the bytes on a majority of the servers before the state is told, so for kBlobPromise a
// server keeps what it said it has.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/clock.h"
#include "core/images/digest.h"
#include "core/units.h"

namespace smackd::core::blobs {

inline constexpr size_t kCopiesAtOnce = 2;  ///< fetched by one server from the others
/// How long a blob stays after a server said that it has it, though nothing in the state wants it yet.
inline constexpr Duration kBlobPromise = std::chrono::minutes(15);
/// From the first promise to the change of the state; less than kBlobPromise, or that may end before.
inline constexpr Duration kBlobPutLimit = std::chrono::minutes(10);
/// After a fetch has failed; doubled for each failure in a row, up to the second.
inline constexpr Duration kCopyRetry = std::chrono::milliseconds(500);
inline constexpr Duration kCopyRetryMax = std::chrono::seconds(60);
/// Each blob is read and compared with its digest at least so often.
inline constexpr Duration kCheckEvery = std::chrono::hours(24);

/// Servers of `count` that must have a blob before it is acknowledged: as many as for a change of the state.
constexpr size_t copies_needed(size_t count) {
    return count / 2 + 1;
}

class Keeper {
 public:
    using Digest = images::Digest;
    using Sizes = std::map<Digest, uint64_t>;

    /// At the start: any of `here` may have been promised just before.
    void begin(const Sizes& here, Instant now);
    /// What the state wants, by digest.
    void want(Sizes wanted) { wanted_ = std::move(wanted); }
    bool wants(const Digest& digest) const { return wanted_.contains(digest); }
    const Sizes& wanted() const { return wanted_; }

    /// It is said to somebody that the blob is here.
    void promise(const Digest& digest, Instant now) { promised_[digest] = now + kBlobPromise; }
    /// How one of next_copies() ended.
    void copied(const Digest& digest, bool done, Instant now);

    struct Copy {
        Digest digest;
        uint64_t size = 0;
        size_t attempt = 0;  ///< failures before: each time another server
    };
    /// What is fetched now, at most kCopiesAtOnce with those that run; they count as begun.
    std::vector<Copy> next_copies(const Sizes& here, Instant now);
    /// What may go now. Before it does, what the state wants is read anew, behind a barrier.
    std::vector<Digest> unwanted(const Sizes& here, Instant now);

    /// The blob to compare with its digest now: one that was not for kCheckEvery, the longest first.
    const Digest* next_check(const Sizes& here, Instant now);
    void checked(const Digest& digest, Instant now) { checked_[digest] = now; }

 private:
    struct Attempts {
        size_t running = 0;
        size_t failures = 0;
        Instant again{};
    };
    Sizes wanted_;
    std::map<Digest, Instant> promised_;  // until when
    std::map<Digest, Attempts> attempts_;
    std::map<Digest, Instant> checked_;
};

}  // namespace smackd::core::blobs
