// "Did you mean ...?": the known word that is closest to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace smackd::cmd {

/// Number of insertions, deletions, substitutions and swaps of neighbours that turn one word into the other.
size_t edit_distance(std::string_view left, std::string_view right);

/// The closest of `known`, or empty when none is within a third of the word's length (at least 2, at most 4
/// edits).
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

/// " (did you mean 'X'?)", or empty.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

}  // namespace smackd::cmd
