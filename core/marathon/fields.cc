#include "core/marathon/fields.h"

#include <cmath>
#include <format>

#include "core/units.h"

namespace smackd::marathon {

using core::Json;

namespace {

const Json kEmptyObject = Json::object();

std::string outside(double value, Range range) {
    if (range.max == std::numeric_limits<double>::max())
        return std::format("got {}, expected {} or more", number_text(value), number_text(range.min));
    return std::format("got {}, expected between {} and {}", number_text(value), number_text(range.min),
                       number_text(range.max));
}

}  // namespace

std::string number_text(double value) {
    if (std::floor(value) == value && std::abs(value) < 1e15)
        return std::to_string(static_cast<int64_t>(value));
    return std::format("{}", value);
}

std::optional<std::string> read_text(const Json& json, const std::string& path, size_t bytes_max,
                                     Violations& violations) {
    if (!json.is_string()) {
        violations.add_type(path, "error.expected.jsstring: must be a string");
        return std::nullopt;
    }
    if (json.as_string().size() > bytes_max) {
        violations.add(path, std::format("must have at most {} bytes", bytes_max));
        return std::nullopt;
    }
    if (json.as_string().contains('\0')) {
        violations.add(path, "must not contain a zero byte");
        return std::nullopt;
    }
    return json.as_string();
}

Fields::Fields(const Json& json, std::string path, Violations& violations)
    : json_(json.is_object() ? json : kEmptyObject), path_(std::move(path)), violations_(violations) {
    if (!json.is_object()) violations_.add_type(path_, "error.expected.jsobject: must be an object");
}

const Json* Fields::find(std::string_view name) const {
    const Json* member = json_.find(name);
    return member == nullptr || member->is_null() ? nullptr : member;
}

std::optional<std::string> Fields::text(std::string_view name, size_t bytes_max) const {
    const Json* member = find(name);
    if (member == nullptr) return std::nullopt;
    return read_text(*member, path_of(name), bytes_max, violations_);
}

std::string Fields::required_text(std::string_view name, size_t bytes_max) const {
    if (!has(name)) {
        wrong(name, "error.path.missing: must be given");
        return "";
    }
    auto value = text(name, bytes_max);
    if (value && value->empty()) wrong(name, "must not be empty");
    return value.value_or("");
}

std::optional<bool> Fields::boolean(std::string_view name) const {
    const Json* member = find(name);
    if (member == nullptr) return std::nullopt;
    if (member->is_bool()) return member->as_bool();
    violations_.add_type(path_of(name), "error.expected.jsboolean: must be true or false");
    return std::nullopt;
}

std::optional<double> Fields::number(std::string_view name, Range range) const {
    const Json* member = find(name);
    if (member == nullptr) return std::nullopt;
    if (!member->is_number() || !std::isfinite(member->as_number())) {
        violations_.add_type(path_of(name), "error.expected.jsnumber: must be a number");
        return std::nullopt;
    }
    const double value = member->as_number();
    if (value >= range.min && value <= range.max) return value;
    wrong(name, outside(value, range));
    return std::nullopt;
}

std::optional<int64_t> Fields::integer(std::string_view name, int64_t min, int64_t max) const {
    const auto value = number(name, {static_cast<double>(min), static_cast<double>(max)});
    if (!value) return std::nullopt;
    if (std::floor(*value) == *value) return static_cast<int64_t>(*value);
    violations_.add_type(path_of(name), "error.expected.int: must be a whole number");
    return std::nullopt;
}

std::optional<int64_t> Fields::seconds_as_ms(std::string_view name, Range range) const {
    const auto value = number(name, range);
    return value ? std::optional(std::llround(*value * 1000)) : std::nullopt;
}

std::optional<uint64_t> Fields::mib_as_bytes(std::string_view name, Range range) const {
    const auto value = number(name, range);
    if (!value) return std::nullopt;
    return static_cast<uint64_t>(std::llround(*value * static_cast<double>(core::kMiB)));
}

Fields Fields::object(std::string_view name) const {
    const Json* member = find(name);
    return Fields(member == nullptr ? kEmptyObject : *member, path_of(name), violations_);
}

std::string Fields::at(const std::string& path, size_t index) {
    return std::format("{}({})", path, index);
}

const Json* Fields::array(std::string_view name, size_t count_max) const {
    const Json* member = find(name);
    if (member == nullptr) return nullptr;
    if (!member->is_array()) {
        violations_.add_type(path_of(name), "error.expected.jsarray: must be an array");
        return nullptr;
    }
    if (member->as_array().size() <= count_max) return member;
    wrong(name, std::format("must have at most {} elements", count_max));
    return nullptr;
}

const Json* Fields::object_json(std::string_view name, size_t count_max) const {
    const Json* member = find(name);
    if (member == nullptr) return nullptr;
    if (!member->is_object()) {
        violations_.add_type(path_of(name), "error.expected.jsobject: must be an object");
        return nullptr;
    }
    if (member->as_object().size() <= count_max) return member;
    wrong(name, std::format("must have at most {} members", count_max));
    return nullptr;
}

}  // namespace smackd::marathon
