// Reading the members of a JSON body one by one, so that every mistake names its field and the rule.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/result.h"
#include "storage/state/limits.h"

namespace smackd::services {

/// Elements of one list in a body.
inline constexpr size_t kListItemsMax = storage::state::kMembersPerGroupMax;
/// Free text: full name, description.
inline constexpr size_t kTextBytesMax = storage::state::kTextBytesMax;

/// One pass over a JSON object: ask for each member, then call finish().
///
/// The first mistake is kept and later calls answer fallbacks, so that the caller checks once, at the end.
/// The body outlives this object.
class Fields {
 public:
    explicit Fields(const core::Json& body);

    /// The member as text; the fallback when absent or null.
    std::string text(std::string_view name, std::string_view fallback = {});
    /// The member as text; a mistake when absent, null or empty.
    std::string required_text(std::string_view name);
    bool boolean(std::string_view name, bool fallback = false);
    /// A whole number in [low, high].
    int64_t integer(std::string_view name, int64_t fallback, int64_t low, int64_t high);
    /// A list of texts, at most kListItemsMax, in the order given.
    std::vector<std::string> texts(std::string_view name);
    /// An object whose values are texts, at most kListItemsMax members.
    std::map<std::string, std::string> text_map(std::string_view name);

    /// The first mistake, or a member that no call above asked for (kInvalid).
    core::Result<void> finish();

 private:
    const core::Json* take(std::string_view name);
    void mistake(std::string message);

    const core::Json& body_;
    std::vector<std::string_view> asked_;
    std::optional<std::string> mistake_;
};

}  // namespace smackd::services
