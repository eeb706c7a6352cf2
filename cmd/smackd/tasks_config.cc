#include "cmd/smackd/tasks_config.h"

#include <charconv>
#include <limits>

namespace smackd::cmd {

using core::Errc;
using core::Result;

namespace {

constexpr uint32_t kTaskNetworkLengthMin = 8;
constexpr uint32_t kTaskNetworkLengthMax = 20;

struct SizeUnit {
    std::string_view suffix;
    uint64_t bytes;
};
constexpr SizeUnit kSizeUnits[] = {
    {"KiB", 1ULL << 10},
    {"MiB", 1ULL << 20},
    {"GiB", 1ULL << 30},
    {"TiB", 1ULL << 40},
    {"KB", 1'000},
    {"MB", 1'000'000},
    {"GB", 1'000'000'000},
    {"TB", 1'000'000'000'000},
    {"B", 1},
    {"", 1},
};

/// All of `text` as a number; nullopt when it is none.
std::optional<uint64_t> number(std::string_view text) {
    uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

Result<uint64_t> parse_cpus(std::string_view text) {
    const size_t point = text.find('.');
    const auto whole = number(text.substr(0, point));
    std::string thousandths(point == std::string_view::npos ? "" : text.substr(point + 1));
    const bool digits = thousandths.size() <= 3 && (point == std::string_view::npos || !thousandths.empty());
    thousandths.resize(3, '0');
    const auto part = number(thousandths);
    if (whole && part && digits && *whole <= kCpusMilliMax / 1000) {
        const uint64_t milli = *whole * 1000 + *part;
        if (milli >= 1 && milli <= kCpusMilliMax) return milli;
    }
    return core::fail(Errc::kInvalid, "'{}' is no number of cpus from 0.001 to {} (as \"2\" or \"0.5\")",
                      text, kCpusMilliMax / 1000);
}

Result<uint64_t> parse_size(std::string_view text) {
    for (const SizeUnit& unit : kSizeUnits) {
        if (!text.ends_with(unit.suffix)) continue;
        const auto count = number(text.substr(0, text.size() - unit.suffix.size()));
        const auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
        if (count && *count > 0 && *count <= most / unit.bytes) return *count * unit.bytes;
        break;
    }
    return core::fail(Errc::kInvalid, "'{}' is no size (as \"8GiB\", \"500MB\" or a number of bytes)", text);
}

Result<apps::PortRange> parse_port_range(std::string_view text) {
    const size_t dash = text.find('-');
    const auto first = number(text.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : number(text.substr(dash + 1));
    if (first && last && *first >= 1 && *first <= *last && *last <= 65535)
        return apps::PortRange{static_cast<uint16_t>(*first), static_cast<uint16_t>(*last)};
    return core::fail(Errc::kInvalid, "'{}' is no range of ports from 1 to 65535 (as \"31000-32000\")", text);
}

Result<core::Ipv4Prefix> parse_task_network(std::string_view text) {
    const auto network = core::parse_ipv4_prefix(text);
    if (network && network->length >= kTaskNetworkLengthMin && network->length <= kTaskNetworkLengthMax)
        return *network;
    return core::fail(Errc::kInvalid, "'{}' is no IPv4 network of length {} to {} (as \"10.64.0.0/10\")",
                      text, kTaskNetworkLengthMin, kTaskNetworkLengthMax);
}

Result<TaskEncryption> parse_encryption(std::string_view text) {
    for (const TaskEncryption one : {TaskEncryption::kAuto, TaskEncryption::kOn, TaskEncryption::kOff}) {
        if (text == encryption_name(one)) return one;
    }
    return core::fail(Errc::kInvalid, "'{}' is neither auto, on nor off", text);
}

std::string_view encryption_name(TaskEncryption encryption) {
    if (encryption == TaskEncryption::kOn) return "on";
    return encryption == TaskEncryption::kOff ? "off" : "auto";
}

}  // namespace smackd::cmd
