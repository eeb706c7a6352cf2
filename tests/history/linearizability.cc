#include "tests/history/linearizability.h"

#include <algorithm>
#include <format>
#include <limits>
#include <map>
#include <unordered_set>

namespace smackd::history {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
constexpr size_t kNothing = 0;  // the value of a register that nobody has written
constexpr size_t kShownMax = 12;

/// An operation with its values as numbers.
struct Step {
    const Operation* operation = nullptr;
    size_t expected = kNothing;
    size_t value = kNothing;
    int64_t returned_ns = 0;  // kNever: it need not have taken effect

    bool changes() const {
        return operation->kind == Kind::kWrite ||
               (operation->kind == Kind::kCas && operation->outcome != Outcome::kMismatch);
    }
    /// It needs one value to be there, which comes only once.
    bool observes() const {
        return operation->kind == Kind::kRead ||
               (operation->kind == Kind::kCas && operation->outcome != Outcome::kMismatch);
    }
    size_t observed() const { return operation->kind == Kind::kRead ? value : expected; }
    /// What it must find; a write finds anything.
    bool fits(size_t now) const {
        if (operation->kind == Kind::kWrite) return true;
        if (operation->kind == Kind::kRead) return now == value;
        return (now == expected) == (operation->outcome != Outcome::kMismatch);
    }
};

class Judge {
 public:
    explicit Judge(const std::vector<Operation>& operations) { number_values(operations); }
    Verdict verdict();

 private:
    void number_values(const std::vector<Operation>& operations);
    void bound_unknowns();
    bool search(size_t now);
    bool search_changes(size_t now, int64_t horizon);
    bool try_optional(size_t now, int64_t horizon);
    std::vector<size_t> take_observations(size_t now);
    void mark(size_t needed, bool done);
    bool may_pass(size_t now, const Step& by) const;
    int64_t horizon() const;
    bool fresh_state(size_t now);
    std::string stuck() const;
    Verdict undecided(std::string why) const { return {Verdict::Kind::kUndecided, std::move(why)}; }

    std::vector<Step> needed_;    // must have taken effect; by time of invocation, as is the other
    std::vector<Step> optional_;  // unknown, and nobody observed the value
    std::vector<std::string> names_{"-"};
    std::string trouble_;          // the history cannot be judged
    std::string violation_;        // found without a search
    std::string done_;             // a byte for each needed operation, then for each optional one
    size_t done_count_ = 0;        // of the needed ones
    std::vector<size_t> waiting_;  // by value: needed operations that must still find it
    std::unordered_set<std::string> seen_;
    bool exhausted_ = false;
    size_t best_count_ = 0;  // of the longest order found
    std::string best_done_;
    size_t best_value_ = kNothing;
};

void Judge::number_values(const std::vector<Operation>& operations) {
    std::map<std::string, size_t> numbers{{"", kNothing}};
    const auto number = [&](const std::string& value) {
        const auto [found, fresh] = numbers.emplace(value, names_.size());
        if (fresh) names_.push_back(value);
        return found->second;
    };
    std::vector<bool> written{true};
    for (const Operation& operation : operations) {
        if (operation.kind == Kind::kRead && operation.outcome == Outcome::kUnknown) continue;
        Step step{.operation = &operation,
                  .expected = number(operation.expected),
                  .value = number(operation.value),
                  .returned_ns = operation.outcome == Outcome::kUnknown ? kNever : operation.returned_ns};
        written.resize(names_.size(), false);
        if (operation.kind != Kind::kRead) {
            if (written[step.value]) trouble_ = std::format("'{}' was written twice", operation.value);
            written[step.value] = true;
        }
        needed_.push_back(step);
    }
    for (const Step& step : needed_) {
        const bool read = step.operation->kind == Kind::kRead && !written[step.value];
        if (read) violation_ = std::format("'{}' was read, and nobody wrote it", names_[step.value]);
    }
    std::ranges::stable_sort(needed_, {}, [](const Step& step) { return step.operation->invoked_ns; });
    bound_unknowns();
    done_.assign(needed_.size() + optional_.size(), '\0');
    waiting_.assign(names_.size(), 0);
    for (const Step& step : needed_) waiting_[step.observed()] += step.observes() ? 1 : 0;
}

void Judge::mark(size_t needed, bool done) {
    const Step& step = needed_[needed];
    size_t& waiting = waiting_[step.observed()];
    const size_t finds = step.observes() ? 1 : 0;
    done_[needed] = done ? 1 : 0;
    done_count_ = done ? done_count_ + 1 : done_count_ - 1;
    waiting = done ? waiting - finds : waiting + finds;
}

/// A value that is replaced does not come back: nobody else may still have to find it.
bool Judge::may_pass(size_t now, const Step& by) const {
    return waiting_[now] == (by.observes() ? 1 : 0);
}

/// An unknown whose value was observed has taken effect when the first observer returns; then it has itself
/// observed what it expected.
void Judge::bound_unknowns() {
    std::vector<int64_t> observed(names_.size(), kNever);
    for (bool again = true; again;) {
        again = false;
        for (Step& step : needed_) {
            if (step.operation->outcome == Outcome::kUnknown && observed[step.value] < step.returned_ns) {
                step.returned_ns = observed[step.value];
                again = true;
            }
            if (step.returned_ns == kNever || step.operation->outcome == Outcome::kMismatch) continue;
            if (step.operation->kind == Kind::kWrite) continue;
            int64_t& bound = observed[step.operation->kind == Kind::kRead ? step.value : step.expected];
            if (step.returned_ns >= bound) continue;
            bound = step.returned_ns;
            again = true;
        }
    }
    const auto unobserved =
        std::ranges::stable_partition(needed_, [](const Step& step) { return step.returned_ns != kNever; });
    optional_.assign(unobserved.begin(), unobserved.end());
    needed_.erase(unobserved.begin(), unobserved.end());
}

Verdict Judge::verdict() {
    if (!trouble_.empty()) return undecided(trouble_);
    if (!violation_.empty()) return {Verdict::Kind::kViolation, violation_};
    if (search(kNothing)) return {};
    if (exhausted_) return undecided(std::format("more than {} states", kStatesMax));
    return {Verdict::Kind::kViolation, stuck()};
}

/// What is invoked later than this must wait: something that is missing had returned before.
int64_t Judge::horizon() const {
    int64_t horizon = kNever;
    for (size_t i = 0; i < needed_.size() && needed_[i].operation->invoked_ns <= horizon; ++i) {
        if (done_[i] == 0) horizon = std::min(horizon, needed_[i].returned_ns);
    }
    return horizon;
}

bool Judge::fresh_state(size_t now) {
    std::string key = done_;
    key += std::format("{}", now);
    if (seen_.size() >= kStatesMax) exhausted_ = true;
    return !exhausted_ && seen_.insert(std::move(key)).second;
}

/// Takes everything that fits and changes nothing; which ones.
std::vector<size_t> Judge::take_observations(size_t now) {
    std::vector<size_t> taken;
    for (bool again = true; again;) {
        again = false;
        const int64_t limit = horizon();
        for (size_t i = 0; i < needed_.size() && needed_[i].operation->invoked_ns <= limit; ++i) {
            if (done_[i] != 0 || needed_[i].changes() || !needed_[i].fits(now)) continue;
            mark(i, true);
            taken.push_back(i);
            again = true;
        }
    }
    return taken;
}

bool Judge::search(size_t now) {
    const std::vector<size_t> taken = take_observations(now);
    if (done_count_ > best_count_ || best_done_.empty()) {
        best_count_ = done_count_;
        best_done_ = done_;
        best_value_ = now;
    }
    if (done_count_ == needed_.size()) return true;
    if (fresh_state(now)) {
        const int64_t limit = horizon();
        if (search_changes(now, limit) || try_optional(now, limit)) return true;
    }
    for (const size_t i : taken) mark(i, false);
    return false;
}

bool Judge::search_changes(size_t now, int64_t limit) {
    for (size_t i = 0; i < needed_.size() && needed_[i].operation->invoked_ns <= limit; ++i) {
        const Step& step = needed_[i];
        if (done_[i] != 0 || !step.changes() || !step.fits(now) || !may_pass(now, step)) continue;
        mark(i, true);
        if (search(step.value)) return true;
        mark(i, false);
    }
    return false;
}

/// The first write and the first cas that fit stand for all: nobody can tell their values apart.
bool Judge::try_optional(size_t now, int64_t limit) {
    const bool wanted = std::ranges::any_of(needed_, [&](const Step& step) {
        const size_t i = static_cast<size_t>(&step - needed_.data());
        return done_[i] == 0 && step.operation->invoked_ns <= limit && !step.changes() &&
               step.operation->kind == Kind::kCas && !step.fits(now);
    });
    if (!wanted || waiting_[now] != 0) return false;
    for (const Kind kind : {Kind::kWrite, Kind::kCas}) {
        for (size_t i = 0; i < optional_.size() && optional_[i].operation->invoked_ns <= limit; ++i) {
            char& done = done_[needed_.size() + i];
            if (done != 0 || optional_[i].operation->kind != kind || !optional_[i].fits(now)) continue;
            done = 1;
            if (search(optional_[i].value)) return true;
            done = 0;
            break;
        }
    }
    return false;
}

std::string Judge::stuck() const {
    std::string text =
        std::format("{} of {} operations can be put in order; then the value is '{}', and none fits of:\n",
                    best_count_, needed_.size(), names_[best_value_]);
    size_t shown = 0;
    for (size_t i = 0; i < needed_.size() && shown < kShownMax; ++i) {
        if (best_done_[i] != 0) continue;
        text += "    " + to_line(*needed_[i].operation);
        ++shown;
    }
    return text;
}

}  // namespace

Verdict judge(const std::vector<Operation>& operations) {
    return Judge(operations).verdict();
}

}  // namespace smackd::history
