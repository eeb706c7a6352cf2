#include "core/duration_text.h"

#include <charconv>

namespace smackd::core {
namespace {

struct Unit {
    std::string_view suffix;
    seconds length;
};
constexpr Unit kUnits[] = {{"s", seconds(1)},
                           {"m", std::chrono::minutes(1)},
                           {"h", std::chrono::hours(1)},
                           {"d", std::chrono::hours(24)}};

}  // namespace

Result<seconds> parse_duration(std::string_view text) {
    for (const Unit& unit : kUnits) {
        if (!text.ends_with(unit.suffix)) continue;
        const std::string_view digits = text.substr(0, text.size() - unit.suffix.size());
        uint32_t number = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        if (error != std::errc{} || end != digits.data() + digits.size()) break;
        if (number == 0 || number > kDurationTextMax / unit.length) break;
        return number * unit.length;
    }
    return fail(Errc::kInvalid, "'{}' is no duration of 1s to 366d (as \"90m\", \"24h\", \"7d\")",
                text.substr(0, 64));
}

}  // namespace smackd::core
