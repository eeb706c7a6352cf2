#include "cmd/smackd/nearest.h"

#include <algorithm>
#include <format>
#include <vector>

namespace smackd::cmd {
namespace {

inline constexpr size_t kWordBytesMax = 64;  // longer ones are no mistyped words, and the table is quadratic

}  // namespace

size_t edit_distance(std::string_view left, std::string_view right) {
    std::vector<std::vector<size_t>> cost(left.size() + 1, std::vector<size_t>(right.size() + 1));
    for (size_t i = 0; i <= left.size(); ++i) cost[i][0] = i;
    for (size_t j = 0; j <= right.size(); ++j) cost[0][j] = j;
    for (size_t i = 1; i <= left.size(); ++i) {
        for (size_t j = 1; j <= right.size(); ++j) {
            size_t replace = cost[i - 1][j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replace});
            if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1]) {
                cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
            }
        }
    }
    return cost[left.size()][right.size()];
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
    if (word.size() > kWordBytesMax) return {};
    size_t best_distance = std::clamp<size_t>(word.size() / 3, 2, 4) + 1;
    std::string_view best;
    for (std::string_view candidate : known) {
        size_t distance = edit_distance(word, candidate);
        if (distance < best_distance && distance < candidate.size()) {
            best_distance = distance;
            best = candidate;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
    std::string_view candidate = nearest(word, known);
    return candidate.empty() ? std::string() : std::format(" (did you mean '{}'?)", candidate);
}

}  // namespace smackd::cmd
