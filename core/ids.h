// Identities that must not be mixed up: node, term, log index, revision.
#pragma once

#include <compare>
#include <cstdint>
#include <format>
#include <functional>
#include <string>
#include <string_view>

#include "core/result.h"

namespace smackd::core {

/// A 64-bit number that only compares with its own kind.
template <class Tag>
struct Number {
    uint64_t value = 0;
    constexpr auto operator<=>(const Number&) const = default;
    constexpr Number next() const { return Number{value + 1}; }
};

using NodeId = Number<struct NodeIdTag>;  ///< also the Raft server id; 0 is no node
using Term = Number<struct TermTag>;      ///< Raft term
using Index = Number<struct IndexTag>;    ///< Raft log index; the first entry is 1, 0 is none

/// A point in the history of the state: every token a reader can hold is one of these.
///
/// `number` grows by one with each change of the state and is not the Raft index; `epoch` is raised by
/// restore and recover, and a token of an older epoch is refused everywhere.
struct Revision {
    uint64_t epoch = 0;
    uint64_t number = 0;
    auto operator<=>(const Revision&) const = default;

    /// "3.1042"; the form used in JSON, Last-Event-ID and ETag.
    std::string to_string() const { return std::format("{}.{}", epoch, number); }
    /// Reads what to_string writes; kInvalid names the form.
    static Result<Revision> parse(std::string_view text);
};

}  // namespace smackd::core

template <class Tag>
struct std::hash<smackd::core::Number<Tag>> {
    size_t operator()(const smackd::core::Number<Tag>& id) const noexcept {
        return std::hash<uint64_t>{}(id.value);
    }
};
