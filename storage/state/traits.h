// What can be told of a change without looking at the state: its name, its key, the feature level it needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/wire/command.pb.h"

namespace smackd::storage::state {

/// More than any level: the bytes have parts that this build does not know.
inline constexpr uint32_t kLevelUnknown = UINT32_MAX;

struct ChangeTraits {
    std::string_view name;  ///< "put_user", for people and the audit; "unknown" when it is
    std::string key;        ///< the row's key in the feed
    uint32_t level = 1;     ///< lowest feature level that has all its parts
    std::string more = {};  ///< what else the audit says of it
};
ChangeTraits traits_of(const wire::Change& change);

/// The lowest feature level that has all parts of the command.
uint32_t level_of(const wire::Command& command);

/// "put_user alice, put_group ops", cut at `bytes_max`.
std::string summarize(const wire::Command& command, size_t bytes_max);

}  // namespace smackd::storage::state
