#include "tests/history/operation.h"

#include <array>
#include <format>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

namespace smackd::history {
namespace {

constexpr std::array<std::string_view, 3> kKinds = {"read", "write", "cas"};
constexpr std::array<std::string_view, 3> kOutcomes = {"ok", "mismatch", "unknown"};

template <class Enum>
std::optional<Enum> find(const std::array<std::string_view, 3>& names, std::string_view name) {
    for (size_t i = 0; i < names.size(); ++i) {
        if (names[i] == name) return static_cast<Enum>(i);
    }
    return std::nullopt;
}

std::string shown(const std::string& value) {
    return value.empty() ? "-" : value;
}

}  // namespace

std::string to_line(const Operation& operation) {
    return std::format("{} {} {} {} {} {} {} {}\n", operation.invoked_ns, operation.returned_ns,
                       operation.client, operation.reg, kKinds[static_cast<size_t>(operation.kind)],
                       kOutcomes[static_cast<size_t>(operation.outcome)], shown(operation.expected),
                       shown(operation.value));
}

core::Result<Operation> from_line(const std::string& line) {
    std::istringstream words(line);
    Operation operation;
    std::string kind;
    std::string outcome;
    words >> operation.invoked_ns >> operation.returned_ns >> operation.client >> operation.reg >> kind >>
        outcome >> operation.expected >> operation.value;
    if (!words) return core::fail(core::Errc::kInvalid, "a line has eight words");
    const auto which = find<Kind>(kKinds, kind);
    const auto how = find<Outcome>(kOutcomes, outcome);
    if (!which || !how) return core::fail(core::Errc::kInvalid, "'{} {}' is not known", kind, outcome);
    if (*how == Outcome::kMismatch && *which != Kind::kCas)
        return core::fail(core::Errc::kInvalid, "only a cas has a mismatch");
    if (operation.returned_ns < operation.invoked_ns)
        return core::fail(core::Errc::kInvalid, "an operation returns before it is invoked");
    operation.kind = *which;
    operation.outcome = *how;
    if (operation.expected == "-") operation.expected.clear();
    if (operation.value == "-") operation.value.clear();
    return operation;
}

core::Result<std::map<std::string, std::vector<Operation>>> read_history(const std::string& path) {
    std::ifstream file(path);
    if (!file) return core::fail(core::Errc::kIo, "{} cannot be read", path);
    std::map<std::string, std::vector<Operation>> registers;
    size_t number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        if (line.empty() || line.starts_with('#')) continue;
        auto operation = from_line(line);
        if (!operation)
            return core::fail(core::Errc::kInvalid, "{}:{}: {}", path, number, operation.error().message);
        registers[operation->reg].push_back(std::move(*operation));
    }
    return registers;
}

}  // namespace smackd::history
