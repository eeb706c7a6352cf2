// What a client did to one register, and the line that says so in a history file.
//
//     INVOKED RETURNED CLIENT REGISTER KIND OUTCOME EXPECTED VALUE
//
// Times are nanoseconds of one monotonic clock; KIND is read, write or cas; EXPECTED is a cas's, else "-";
// VALUE is what was read or written, "-" when there was nothing. OUTCOME is ok, mismatch (a cas that found
// another value) or unknown (it may have taken effect, now or later, or not). What certainly had no effect is
// left out. Values and names have no blanks, and no value is written twice.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/result.h"

namespace smackd::history {

enum class Kind : uint8_t { kRead, kWrite, kCas };
enum class Outcome : uint8_t { kOk, kMismatch, kUnknown };

struct Operation {
    int64_t invoked_ns = 0;
    int64_t returned_ns = 0;
    uint64_t client = 0;
    std::string reg;
    Kind kind = Kind::kRead;
    Outcome outcome = Outcome::kOk;
    std::string expected;  ///< of a cas; empty: nothing there
    std::string value;     ///< empty: nothing there
};

std::string to_line(const Operation& operation);
/// kInvalid with what is wrong with the line.
core::Result<Operation> from_line(const std::string& line);
/// The operations of each register. kIo, kInvalid with the line's number.
core::Result<std::map<std::string, std::vector<Operation>>> read_history(const std::string& path);

}  // namespace smackd::history
