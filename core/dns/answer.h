// Answers to queries about our own names.
#pragma once

#include <cstdint>
#include <span>

#include "core/dns/query.h"
#include "core/dns/zone.h"

namespace smackd::core::dns {

/// How an answer is to be made.
struct AnswerRules {
    TenantId asker = kEverybody;
    size_t bytes_max = kUdpBytesPlain;  ///< more is truncated (TC)
    uint32_t rotation = 0;              ///< which record of a set comes first: any number
};

/// Who can answer.
enum class Whose : uint8_t {
    kOurs,     ///< the answer is in `out`
    kForeign,  ///< the name is under none of our zones: forward it
};

struct Answer {
    Whose whose = Whose::kOurs;
    size_t bytes = 0;
    Rcode rcode = kNoError;
};

/// Writes the answer to `out`, which has room for rules.bytes_max and at least kUdpBytesPlain bytes. A name
/// of ours without such records gets NODATA, one that is not there NXDOMAIN, both with SOA (RFC 2308).
Answer answer(const Zone& zone, const Query& query, const AnswerRules& rules, std::span<char> out);

/// An answer without records; returns its size.
size_t refuse(const Query& query, Rcode rcode, bool recursion, std::span<char> out);
/// "Ask again over TCP": empty with TC set.
size_t truncate(const Query& query, bool recursion, std::span<char> out);

}  // namespace smackd::core::dns
