// Judges recorded histories of registers: check_history FILE...
//
// Prints a line for each file and each register that is not linearizable. Ends with 0 when all are
// linearizable, 1 when one is not, 3 when one could not be decided or read.
#include <cstdio>
#include <string>

#include "tests/history/linearizability.h"

namespace smackd::history {
namespace {

constexpr int kLinearizable = 0;
constexpr int kViolated = 1;
constexpr int kUndecided = 3;

struct Counts {
    size_t operations = 0, unknown = 0, violations = 0, undecided = 0;
};

Counts check(const std::map<std::string, std::vector<Operation>>& registers) {
    Counts counts;
    for (const auto& [name, operations] : registers) {
        counts.operations += operations.size();
        for (const Operation& operation : operations)
            counts.unknown += operation.outcome == Outcome::kUnknown ? 1 : 0;
        const Verdict verdict = judge(operations);
        if (verdict.kind == Verdict::Kind::kLinearizable) continue;
        const bool violated = verdict.kind == Verdict::Kind::kViolation;
        ++(violated ? counts.violations : counts.undecided);
        std::printf("%s: %s: %s\n", name.c_str(), violated ? "NOT LINEARIZABLE" : "UNDECIDED",
                    verdict.why.c_str());
    }
    return counts;
}

int check_file(const std::string& path) {
    const auto registers = read_history(path);
    if (!registers) {
        std::printf("%s\n", registers.error().message.c_str());
        return kUndecided;
    }
    const Counts counts = check(*registers);
    std::printf("%zu operations on %zu registers, %zu of unknown outcome: ", counts.operations,
                registers->size(), counts.unknown);
    if (counts.violations > 0) {
        std::printf("%zu registers are not linearizable\n", counts.violations);
        return kViolated;
    }
    if (counts.undecided > 0) {
        std::printf("%zu registers undecided\n", counts.undecided);
        return kUndecided;
    }
    std::printf("linearizable\n");
    return kLinearizable;
}

}  // namespace
}  // namespace smackd::history

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: check_history FILE...\n");
        return smackd::history::kUndecided;
    }
    int worst = 0;
    for (int i = 1; i < argc; ++i) worst = std::max(worst, smackd::history::check_file(argv[i]));
    return worst;
}
