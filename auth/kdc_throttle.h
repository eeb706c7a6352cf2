// Limits on sign-in attempts at the embedded KDC: requests a second per source, wrong keys a minute per
// principal.
//
// Pure; the KDC child has one table (kdb_module.cc). A source address can be forged over UDP, so the limits
// are wide and a principal is only held back towards the source that fails, long before it is for everybody.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/clock.h"

namespace smackd::auth {

/// Counts events per key in fixed windows; the least recently used key is forgotten when the table is full.
class EventTable {
 public:
    EventTable(core::Duration window, size_t keys_max) : window_(window), keys_max_(keys_max) {}
    /// Events of `key` in its running window.
    uint32_t count(std::string_view key, core::Instant now) const;
    /// Adds one and returns the new count.
    uint32_t add(std::string_view key, core::Instant now);
    size_t size() const { return order_.size(); }

 private:
    struct Entry {
        std::string key;
        core::Instant window_start;
        uint32_t events = 0;
    };
    core::Duration window_;
    size_t keys_max_;
    std::list<Entry> order_;  ///< most recently used first
    std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;
};

struct KdcLimits {
    uint32_t requests_per_source_s = 200;
    uint32_t failures_per_source_min = 30;      ///< of one principal from one source
    uint32_t failures_per_principal_min = 300;  ///< of one principal from everywhere
};

class KdcThrottle {
 public:
    static constexpr size_t kKeysMax = 8192;

    explicit KdcThrottle(KdcLimits limits)
        : limits_(limits),
          requests_(core::seconds(1), kKeysMax),
          failures_by_source_(core::seconds(60), kKeysMax),
          failures_(core::seconds(60), kKeysMax) {}

    /// Before any work on an AS request. False: drop it silently.
    bool admit(std::string_view source, core::Instant now);
    /// When the client is known, before its key is tried. False: refuse.
    bool may_try(std::string_view source, std::string_view principal, core::Instant now) const;
    /// A wrong key was given.
    void failed(std::string_view source, std::string_view principal, core::Instant now);

 private:
    KdcLimits limits_;
    EventTable requests_;
    EventTable failures_by_source_;
    EventTable failures_;
};

}  // namespace smackd::auth
