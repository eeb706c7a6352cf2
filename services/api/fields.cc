#include "services/api/fields.h"

#include <algorithm>

namespace smackd::services {

using core::Errc;
using core::Json;

Fields::Fields(const Json& body) : body_(body) {
    if (!body.is_object()) mistake("body: must be a JSON object");
}

std::string Fields::text(std::string_view name, std::string_view fallback) {
    const Json* member = take(name);
    if (member == nullptr) return std::string(fallback);
    if (!member->is_string()) mistake(std::format("{}: must be a string", name));
    return member->as_string();
}

std::string Fields::required_text(std::string_view name) {
    std::string value = text(name);
    if (value.empty()) mistake(std::format("{}: is required", name));
    return value;
}

bool Fields::boolean(std::string_view name, bool fallback) {
    const Json* member = take(name);
    if (member == nullptr) return fallback;
    if (!member->is_bool()) mistake(std::format("{}: must be true or false", name));
    return member->as_bool(fallback);
}

int64_t Fields::integer(std::string_view name, int64_t fallback, int64_t low, int64_t high) {
    const Json* member = take(name);
    if (member == nullptr) return fallback;
    if (!member->is_integer() || member->as_integer() < low || member->as_integer() > high) {
        mistake(std::format("{}: must be a whole number from {} to {}", name, low, high));
        return fallback;
    }
    return member->as_integer();
}

std::vector<std::string> Fields::texts(std::string_view name) {
    std::vector<std::string> values;
    const Json* member = take(name);
    if (member == nullptr) return values;
    const auto& elements = member->as_array();
    if (!member->is_array() || !std::ranges::all_of(elements, &Json::is_string)) {
        mistake(std::format("{}: must be a list of strings", name));
        return values;
    }
    if (elements.size() > kListItemsMax) {
        mistake(std::format("{}: {} elements, the limit is {}", name, elements.size(), kListItemsMax));
        return values;
    }
    values.reserve(elements.size());
    for (const Json& element : elements) values.push_back(element.as_string());
    return values;
}

std::map<std::string, std::string> Fields::text_map(std::string_view name) {
    std::map<std::string, std::string> values;
    const Json* member = take(name);
    if (member == nullptr) return values;
    if (!member->is_object() || member->as_object().size() > kListItemsMax) {
        mistake(std::format("{}: must be an object of at most {} strings", name, kListItemsMax));
        return values;
    }
    for (const auto& [key, value] : member->as_object()) {
        if (!value.is_string()) mistake(std::format("{}.{}: must be a string", name, key.substr(0, 64)));
        values.emplace(key, value.as_string());
    }
    return values;
}

core::Result<void> Fields::finish() {
    for (const auto& [name, value] : body_.as_object()) {
        if (std::ranges::contains(asked_, std::string_view(name))) continue;
        std::string known;
        for (const std::string_view field : asked_) {
            if (!known.empty()) known += ", ";
            known += field;
        }
        mistake(std::format("field '{}': not known here; known are {}", name.substr(0, 64), known));
    }
    if (mistake_) return core::fail(Errc::kInvalid, "{}", *mistake_);
    return {};
}

const Json* Fields::take(std::string_view name) {
    if (!std::ranges::contains(asked_, name)) asked_.push_back(name);
    const Json* member = body_.find(name);
    return member == nullptr || member->is_null() ? nullptr : member;
}

void Fields::mistake(std::string message) {
    if (!mistake_) mistake_ = std::move(message);
}

}  // namespace smackd::services
