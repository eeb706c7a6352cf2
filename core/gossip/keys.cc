#include "core/gossip/keys.h"

#include <algorithm>

namespace smackd::core::gossip {
namespace {

/// A clock that was set back must not stop a rotation for as long.
constexpr Duration kClockSkew = seconds(300);

struct Range {  // [first, end)
    uint64_t first = 0;
    uint64_t end = 0;
};

/// Ids of 1 to `last` that are not in `admitted`.
std::vector<Range> departed(std::vector<NodeId> admitted, uint64_t last) {
    std::ranges::sort(admitted);
    std::vector<Range> ranges;
    uint64_t next = 1;
    for (const NodeId id : admitted) {
        if (id.value > last) break;
        if (next < id.value) ranges.push_back({next, id.value});
        next = std::max(next, id.value + 1);
    }
    if (next <= last) ranges.push_back({next, last + 1});
    return ranges;
}

void store(const std::vector<Range>& ranges, wire::GossipKeys& keys) {
    keys.clear_departed();
    uint64_t at = 1;
    for (const Range& range : ranges) {
        keys.add_departed(range.first - at);
        keys.add_departed(range.end - range.first);
        at = range.end;
    }
}

bool covered(const Range& range, const wire::GossipKeys& keys) {
    uint64_t at = 1;
    for (int i = 0; i + 1 < keys.departed_size(); i += 2) {
        const uint64_t first = at + keys.departed(i);
        at = first + keys.departed(i + 1);
        if (first <= range.first && range.end <= at) return true;
    }
    return false;
}

Duration step_after(const wire::GossipKeys& keys) {
    return keys.sealing() ? kKeyRetirement : kKeyIntroduction;
}

}  // namespace

Result<void> check_keys(const wire::GossipKeys& keys) {
    const auto wrong = [](std::string_view what) { return fail(Errc::kCorrupt, "gossip keys: {}", what); };
    if (keys.version() == 0) return wrong("no version");
    if (keys.keys_size() != (keys.rotating() ? 2 : 1))
        return wrong("one key is wanted, two while they change");
    for (const std::string& key : keys.keys()) {
        if (key.size() != kKeyBytes) return wrong("a key has not 32 bytes");
    }
    return {};
}

std::optional<Duration> next_keys_in(const wire::GossipKeys& keys, int64_t now_ms) {
    if (!keys.rotating()) return std::nullopt;
    const Duration since = milliseconds(now_ms - keys.changed_ms());
    if (since < -kClockSkew) return Duration{0};
    return std::max<Duration>(step_after(keys) - since, Duration{0});
}

std::optional<wire::GossipKeys> next_keys(const KeysView& view, Callback<Bytes()> fresh) {
    wire::GossipKeys next;
    if (view.keys != nullptr) next = *view.keys;
    const std::vector<Range> gone = departed(view.admitted, view.last_node);
    if (view.keys == nullptr) {
        next.add_keys(fresh());
        store(gone, next);
    } else if (!next.rotating()) {
        const auto known = [&](const Range& range) { return covered(range, next); };
        if (std::ranges::all_of(gone, known)) return std::nullopt;
        next.add_keys(fresh());
        next.set_rotating(true);
        store(gone, next);
    } else if (*next_keys_in(next, view.now_ms) > Duration{0}) {
        return std::nullopt;
    } else if (!next.sealing()) {
        next.mutable_keys()->SwapElements(0, 1);
        next.set_sealing(true);
    } else {
        next.mutable_keys()->RemoveLast();
        next.set_sealing(false);
        next.set_rotating(false);
    }
    // Two leaders that follow each other must not give one number to different keys.
    next.set_version(std::max(next.version() + 1, static_cast<uint64_t>(std::max<int64_t>(view.now_ms, 1))));
    next.set_changed_ms(view.now_ms);
    return next;
}

}  // namespace smackd::core::gossip
