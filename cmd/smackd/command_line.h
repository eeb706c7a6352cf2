// From the words that were typed to a command and its arguments.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cmd/smackd/command.h"

namespace smackd::cmd {

struct ParsedCommand {
    const Command* command = nullptr;
    Arguments arguments;
    bool json = false;
};

/// Text to print before ending with code 0.
struct HelpText {
    std::string text;
};

/// Parses everything after the program's name. Every command takes --json and --help besides its own options.
///
/// kInvalid (a usage error) names the word or option and, where one is close, what may have been meant.
core::Result<std::variant<ParsedCommand, HelpText>> parse_command_line(const std::vector<Command>& commands,
                                                                       const std::vector<std::string>& words);

/// "smackd machine add NAME [options]".
std::string usage_line(const Command& command);

/// The words that commands begin with, in the order of the table, each once; and the second words of those
/// that begin with `first`, none when it is a command of one word alone.
std::vector<std::string_view> first_words(const std::vector<Command>& commands);
std::vector<std::string_view> second_words(const std::vector<Command>& commands, std::string_view first);

/// Help of the program, of a group of commands ("machine") or of one command.
std::string program_help(const std::vector<Command>& commands);
std::string group_help(const std::vector<Command>& commands, std::string_view group);
std::string command_help(const Command& command);

}  // namespace smackd::cmd
