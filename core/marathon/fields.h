// Reading one JSON object of a request: each member by name, kind and range; what is wrong is collected by
// path.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/json.h"
#include "core/marathon/problem.h"

namespace smackd::marathon {

inline constexpr double kDurationMaxS = 365.0 * 24 * 3600;

struct Range {
    double min = 0;
    double max = std::numeric_limits<double>::max();
};

/// A member that is missing or null reads as absent. A wrong value is noted in the violations and reads as
/// absent too, so that reading goes on and one answer names everything. `json` and `violations` outlive this.
class Fields {
 public:
    /// `path` is "" for the whole, else "/container/docker".
    Fields(const core::Json& json, std::string path, Violations& violations);

    bool has(std::string_view name) const { return find(name) != nullptr; }
    /// The member, or nullptr when it is missing or null.
    const core::Json* find(std::string_view name) const;
    std::string path_of(std::string_view name) const { return path_ + "/" + std::string(name); }
    const std::string& path() const { return path_; }
    Violations& violations() const { return violations_; }
    void wrong(std::string_view name, std::string error) const {
        violations_.add(path_of(name), std::move(error));
    }

    /// At most `bytes_max` bytes, no NUL.
    std::optional<std::string> text(std::string_view name, size_t bytes_max) const;
    /// The same, and it must be there and not be empty.
    std::string required_text(std::string_view name, size_t bytes_max) const;
    std::optional<bool> boolean(std::string_view name) const;
    std::optional<int64_t> integer(std::string_view name, int64_t min, int64_t max) const;
    std::optional<double> number(std::string_view name, Range range) const;
    /// Seconds in JSON, milliseconds here; 0 to kDurationMaxS unless the range says less.
    std::optional<int64_t> seconds_as_ms(std::string_view name, Range range = {0, kDurationMaxS}) const;
    /// MiB in JSON, bytes here.
    std::optional<uint64_t> mib_as_bytes(std::string_view name, Range range) const;
    /// An object; absent reads as an empty one.
    Fields object(std::string_view name) const;

    /// Calls `each(const core::Json&, std::string path)` for the elements of an array of at most `count_max`.
    template <class Each>
    void elements(std::string_view name, size_t count_max, Each each) const;
    /// Calls `each(const std::string& key, const core::Json&, std::string path)` for the members of an
    /// object.
    template <class Each>
    void members(std::string_view name, size_t count_max, Each each) const;
    /// Calls `each(std::string, std::string path)` for an array of strings.
    template <class Each>
    void texts(std::string_view name, size_t count_max, size_t bytes_max, Each each) const;

    static std::string at(const std::string& path, size_t index);

 private:
    const core::Json* array(std::string_view name, size_t count_max) const;
    const core::Json* object_json(std::string_view name, size_t count_max) const;

    const core::Json& json_;
    std::string path_;
    Violations& violations_;
};

/// A string of at most `bytes_max` bytes without NUL, or a violation at `path`.
std::optional<std::string> read_text(const core::Json& json, const std::string& path, size_t bytes_max,
                                     Violations& violations);
/// 2 as "2", 0.5 as "0.5".
std::string number_text(double value);

template <class Each>
void Fields::elements(std::string_view name, size_t count_max, Each each) const {
    const core::Json* list = array(name, count_max);
    if (list == nullptr) return;
    const std::string path = path_of(name);
    for (size_t i = 0; i < list->as_array().size(); ++i) each(list->as_array()[i], at(path, i));
}

template <class Each>
void Fields::members(std::string_view name, size_t count_max, Each each) const {
    const core::Json* object = object_json(name, count_max);
    if (object == nullptr) return;
    const std::string path = path_of(name);
    for (const auto& [key, value] : object->as_object()) each(key, value, path + "/" + key);
}

template <class Each>
void Fields::texts(std::string_view name, size_t count_max, size_t bytes_max, Each each) const {
    elements(name, count_max, [&](const core::Json& element, std::string path) {
        if (auto value = read_text(element, path, bytes_max, violations_))
            each(*std::move(value), std::move(path));
    });
}

}  // namespace smackd::marathon
