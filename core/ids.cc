#include "core/ids.h"

#include <charconv>

namespace smackd::core {

Result<Revision> Revision::parse(std::string_view text) {
    Revision revision;
    const char* const end = text.data() + text.size();
    auto [dot, first_error] = std::from_chars(text.data(), end, revision.epoch);
    if (first_error != std::errc{} || dot == end || *dot != '.') {
        return fail(Errc::kInvalid, "revision '{}' is not of the form EPOCH.NUMBER", text.substr(0, 64));
    }
    auto [rest, second_error] = std::from_chars(dot + 1, end, revision.number);
    if (second_error != std::errc{} || rest != end) {
        return fail(Errc::kInvalid, "revision '{}' is not of the form EPOCH.NUMBER", text.substr(0, 64));
    }
    return revision;
}

}  // namespace smackd::core
