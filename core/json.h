// JSON values (RFC 8259) over yyjson: bounded parsing, a small value type, compact and pretty writing.
//
// Objects keep the order of their members; a duplicate member name is refused, since two readers may
// otherwise disagree about which one counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/result.h"

namespace smackd::core {

inline constexpr size_t kJsonBytesMax = 8 * 1024 * 1024;
inline constexpr size_t kJsonDepthMax = 64;

class Json {
 public:
    using Array = std::vector<Json>;
    using Member = std::pair<std::string, Json>;
    using Object = std::vector<Member>;

    Json() = default;  ///< null
    Json(std::nullptr_t) {}
    Json(bool value) : value_(value) {}
    Json(int value) : value_(static_cast<int64_t>(value)) {}
    Json(unsigned value) : value_(static_cast<int64_t>(value)) {}
    Json(int64_t value) : value_(value) {}
    Json(uint64_t value);  ///< above INT64_MAX it becomes a double
    Json(double value) : value_(value) {}
    Json(const char* value) : value_(std::string(value)) {}
    Json(std::string_view value) : value_(std::string(value)) {}
    Json(std::string value) : value_(std::move(value)) {}
    Json(Array value) : value_(std::move(value)) {}
    Json(Object value) : value_(std::move(value)) {}
    static Json array() { return Json(Array{}); }
    static Json object() { return Json(Object{}); }

    /// kInvalid with the byte offset and the rule; at most kJsonBytesMax bytes, kJsonDepthMax levels, UTF-8
    /// only.
    static Result<Json> parse(std::string_view text);
    std::string dump() const;
    std::string dump_pretty() const;

    bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
    bool is_bool() const { return std::holds_alternative<bool>(value_); }
    bool is_integer() const { return std::holds_alternative<int64_t>(value_); }
    bool is_number() const { return is_integer() || std::holds_alternative<double>(value_); }
    bool is_string() const { return std::holds_alternative<std::string>(value_); }
    bool is_array() const { return std::holds_alternative<Array>(value_); }
    bool is_object() const { return std::holds_alternative<Object>(value_); }

    /// The value as asked, or the fallback when it is of another kind.
    bool as_bool(bool fallback = false) const;
    int64_t as_integer(int64_t fallback = 0) const;
    double as_number(double fallback = 0) const;
    /// Empty when not a string.
    const std::string& as_string() const;
    /// Empty when not an array.
    const Array& as_array() const;
    /// Empty when not an object.
    const Object& as_object() const;

    /// The member `name`, or nullptr when this is no object or has none.
    const Json* find(std::string_view name) const;
    /// The member `name`, or a null value.
    const Json& operator[](std::string_view name) const;

    /// Sets a member; a null value becomes an object first. Returns *this for chaining.
    Json& set(std::string_view name, Json value);
    /// Appends an element; a null value becomes an array first.
    Json& push(Json value);

    bool operator==(const Json&) const = default;

 private:
    std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

}  // namespace smackd::core
