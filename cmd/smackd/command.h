// A command of the command line: its words, what it takes, its example, and the function that runs it.
//
// Commands are plain tables, so that help, checking and the test that walks through all of them read the same
// source. `command_line` parses against them; files under commands/ define them.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/smackd/output.h"
#include "core/result.h"

namespace smackd::cmd {

inline constexpr int kExitDone = 0;
inline constexpr int kExitRefused = 1;  ///< refused or failed
inline constexpr int kExitUsage = 2;
inline constexpr int kExitRemoved =
    3;  ///< the node was removed from its cluster: starting it again is of no use

struct Option {
    std::string_view name;   ///< "--data-dir"
    std::string_view value;  ///< placeholder of its value ("DIR"); empty: a switch
    std::string_view help;
    bool repeatable = false;
    char letter = '\0';  ///< 't': "-t" is the same
};

struct Positional {
    std::string_view name;  ///< placeholder ("NAME")
    std::string_view help;
    bool required = true;
    bool repeatable = false;  ///< takes all that is left; after "--" whatever it looks like
};

/// What was typed after the command's words, by option or positional name.
class Arguments {
 public:
    bool has(std::string_view name) const { return values_.contains(name); }
    /// The last value given, or `fallback`.
    std::string value(std::string_view name, std::string_view fallback = {}) const;
    /// All values in the order given.
    std::vector<std::string> all(std::string_view name) const;
    void add(std::string_view name, std::string value);

 private:
    std::map<std::string, std::vector<std::string>, std::less<>> values_;
};

/// What a running command is given.
struct Context {
    const Arguments& arguments;
    Output& output;
    int exit_code = kExitDone;  ///< used when the command returns no error

    /// An error that ends with exit code 2 instead of 1.
    std::unexpected<core::Error> usage(std::string message);
};

struct Command {
    std::string_view words;    ///< "machine add"
    std::string_view summary;  ///< one line, no full stop
    std::string_view example;  ///< typed as it stands it works
    std::vector<Positional> positionals;
    std::vector<Option> options;
    core::Result<void> (*run)(Context& context);
};

/// All commands, in the order of the help text.
const std::vector<Command>& all_commands();

}  // namespace smackd::cmd
