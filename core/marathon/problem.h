// What is wrong with a request, in the form Marathon's clients know: a status and {"message", "details"}.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"
#include "core/result.h"

namespace smackd::marathon {

/// What is wrong at one place: "/upgradeStrategy/minimumHealthCapacity", "/portDefinitions(1)/name", "/" for
/// the whole.
struct Violation {
    std::string path;
    std::vector<std::string> errors;
};

/// A refused request. Nothing has changed.
struct Problem {
    int status = 422;                ///< HTTP: 400 not JSON or of the wrong type, 404, 409, 422 breaks a rule
    std::string message;             ///< "Object is not valid"
    std::vector<Violation> details;  ///< in the order of the checks
    std::string detail_text;         ///< instead of `details`: what the JSON parser said
    std::vector<std::string> deployments;  ///< ids of those that hold a lock (409)

    /// The body: message, and details or deployments where there are any.
    core::Json json() const;
    /// One line for a command line and the log: message, then each place and its errors.
    std::string to_string() const;

    static Problem not_json(std::string_view parser_text);
    static Problem of(int status, std::string message);
};

template <class T>
using Checked = std::expected<T, Problem>;

inline constexpr size_t kViolationsMax = 100;  ///< places one answer names; more are left out

/// Collects violations under paths, so that one answer names everything that is wrong.
class Violations {
 public:
    void add(std::string path, std::string error);
    bool empty() const { return list_.empty(); }
    /// A value of the wrong JSON type: makes the problem "Invalid JSON" with status 400.
    void add_type(std::string path, std::string error);
    bool has_type_errors() const { return wrong_types_ > 0; }
    Problem problem() &&;

 private:
    std::vector<Violation> list_;
    size_t wrong_types_ = 0;
};

}  // namespace smackd::marathon
