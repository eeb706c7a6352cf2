// Two ways in which a command is not applied: it is refused (a result like any other, the same on every
// server), or this server cannot go on (disk full, damage, a feature level above its build).
#pragma once

#include <expected>

#include "core/result.h"

namespace smackd::storage::state {

/// An Error that comes from below (SQLite) stops; a refusal is made by refuse() or refused().
struct Failure {
    core::Error error;
    bool refused = false;

    Failure(core::Error stopped) : error(std::move(stopped)) {}  // NOLINT(google-explicit-constructor)
    Failure(core::Error why, bool is_refusal) : error(std::move(why)), refused(is_refusal) {}
};

template <class T>
using Outcome = std::expected<T, Failure>;

template <class... Args>
std::unexpected<Failure> refuse(core::Errc code, std::format_string<Args...> text, Args&&... args) {
    return std::unexpected(Failure({code, std::format(text, std::forward<Args>(args)...), 0}, true));
}

/// Turns a check's error into a refusal: `TRY(refused(core::check_user_name(name)));`
inline Outcome<void> refused(core::Result<void> check) {
    if (check) return {};
    return std::unexpected(Failure(std::move(check.error()), true));
}

}  // namespace smackd::storage::state
