#include "core/marathon/timestamp.h"

#include <chrono>
#include <optional>

namespace smackd::marathon {

using core::Errc;
using core::fail;

namespace {

constexpr int64_t kMinuteMs = 60'000;

/// Reads digits and separators from the front of a text.
class Scanner {
 public:
    explicit Scanner(std::string_view text) : text_(text) {}

    std::optional<int> digits(size_t count) {
        if (text_.size() < count) return std::nullopt;
        int value = 0;
        for (const char c : text_.substr(0, count)) {
            if (c < '0' || c > '9') return std::nullopt;
            value = value * 10 + (c - '0');
        }
        text_.remove_prefix(count);
        return value;
    }
    bool take(char c) {
        if (!text_.starts_with(c)) return false;
        text_.remove_prefix(1);
        return true;
    }
    /// Up to nine digits after a point, as milliseconds; none is 0.
    std::optional<int> fraction_ms() {
        if (!take('.')) return 0;
        int value = 0;
        size_t count = 0;
        for (; count < text_.size() && text_[count] >= '0' && text_[count] <= '9'; ++count) {
            if (count < 3) value = value * 10 + (text_[count] - '0');
        }
        if (count == 0 || count > 9) return std::nullopt;
        for (size_t i = count; i < 3; ++i) value *= 10;
        text_.remove_prefix(count);
        return value;
    }
    bool done() const { return text_.empty(); }

 private:
    std::string_view text_;
};

std::optional<int64_t> date_ms(Scanner& in) {
    const auto year = in.digits(4);
    if (!year || !in.take('-')) return std::nullopt;
    const auto month = in.digits(2);
    if (!month || !in.take('-')) return std::nullopt;
    const auto day = in.digits(2);
    if (!day) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(*year),
                                           std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok()) return std::nullopt;
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::sys_days(date).time_since_epoch())
        .count();
}

std::optional<int64_t> time_ms(Scanner& in) {
    const auto hour = in.digits(2);
    if (!hour || *hour > 23 || !in.take(':')) return std::nullopt;
    const auto minute = in.digits(2);
    if (!minute || *minute > 59) return std::nullopt;
    int second = 0;
    if (in.take(':')) {
        const auto given = in.digits(2);
        if (!given || *given > 59) return std::nullopt;
        second = *given;
    }
    const auto fraction = in.fraction_ms();
    if (!fraction) return std::nullopt;
    return (*hour * 60 + *minute) * kMinuteMs + second * 1000 + *fraction;
}

std::optional<int64_t> offset_ms(Scanner& in) {
    if (in.take('Z')) return 0;
    const bool minus = in.take('-');
    if (!minus && !in.take('+')) return std::nullopt;
    const auto hour = in.digits(2);
    in.take(':');
    const auto minute = in.digits(2);
    if (!hour || !minute || *hour > 18 || *minute > 59) return std::nullopt;
    const int64_t offset = (*hour * 60 + *minute) * kMinuteMs;
    return minus ? -offset : offset;
}

}  // namespace

std::string format_timestamp(int64_t unix_ms) {
    const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(unix_ms)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    return std::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

core::Result<int64_t> parse_timestamp(std::string_view text) {
    Scanner in(text);
    const auto date = date_ms(in);
    if (date && in.take('T')) {
        const auto time = time_ms(in);
        const auto offset = time ? offset_ms(in) : std::nullopt;
        if (offset && in.done()) return *date + *time - *offset;
    }
    return fail(Errc::kInvalid, "'{}' is no timestamp such as 2015-09-30T09:09:17.614Z", text.substr(0, 64));
}

}  // namespace smackd::marathon
