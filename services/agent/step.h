// StepError: which step of starting a task failed, and with which errno. The names of the steps are for
// people and tests; README.md has the list.
#pragma once

#include <cerrno>
#include <cstring>
#include <expected>
#include <string>
#include <utility>

namespace smackd::agent {

struct StepError {
    std::string step;
    int error_number = 0;  ///< 0: not the kernel's refusal
    std::string detail{};  ///< the path, name or number it was about

    /// "execve '/bin/nope': No such file or directory".
    std::string message() const {
        std::string text = step;
        if (!detail.empty()) text += error_number == 0 ? ": " + detail : " '" + detail + "'";
        if (error_number != 0) text += std::string(": ") + std::strerror(error_number);
        return text;
    }
};

template <class T>
using Stepped = std::expected<T, StepError>;

/// errno as it stands now.
[[nodiscard]] inline std::unexpected<StepError> fail_step(std::string step, std::string detail = {}) {
    const int error_number = errno;
    return std::unexpected(StepError{std::move(step), error_number, std::move(detail)});
}
[[nodiscard]] inline std::unexpected<StepError> fail_step_with(std::string step, int error_number,
                                                               std::string detail = {}) {
    return std::unexpected(StepError{std::move(step), error_number, std::move(detail)});
}

}  // namespace smackd::agent
