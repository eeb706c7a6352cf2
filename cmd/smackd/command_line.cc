#include "cmd/smackd/command_line.h"

#include <algorithm>
#include <format>

#include "cmd/smackd/argument_parser.h"
#include "cmd/smackd/nearest.h"
#include "cmd/smackd/version.h"

namespace smackd::cmd {
namespace {

std::string_view first_word(std::string_view words) {
    return words.substr(0, words.find(' '));
}

bool is_in_group(const Command& command, std::string_view group) {
    return command.words.size() > group.size() && command.words.starts_with(group) &&
           command.words[group.size()] == ' ';
}

bool is_help(std::string_view word) {
    return word == "--help" || word == "-h" || word == "help";
}

const Command* find_command(const std::vector<Command>& commands, std::string_view words) {
    auto found = std::ranges::find(commands, words, &Command::words);
    return found == commands.end() ? nullptr : &*found;
}

core::Result<std::variant<ParsedCommand, HelpText>> parse_arguments(const Command& command,
                                                                    std::vector<std::string> rest) {
    const auto ours = std::ranges::subrange(rest.begin(), std::ranges::find(rest, "--"));
    if (std::ranges::any_of(ours, [](const std::string& word) { return word == "--help" || word == "-h"; })) {
        return HelpText{command_help(command)};
    }
    ParsedCommand parsed;
    parsed.command = &command;
    TRY_ASSIGN(parsed.arguments, parse_options(command, std::move(rest)));
    parsed.json = parsed.arguments.has("--json");
    return parsed;
}

std::unexpected<core::Error> unknown_word(std::string_view what, std::string_view word,
                                          const std::vector<std::string_view>& known, std::string_view help) {
    return core::fail(core::Errc::kInvalid, "unknown {} '{}'{}; see '{}'", what, word,
                      did_you_mean(word, known), help);
}

core::Result<std::variant<ParsedCommand, HelpText>> parse_group(const std::vector<Command>& commands,
                                                                std::string_view group,
                                                                const std::vector<std::string>& words) {
    if (words.size() < 2 || is_help(words[1])) return HelpText{group_help(commands, group)};
    std::string name = std::format("{} {}", group, words[1]);
    if (const Command* command = find_command(commands, name)) {
        return parse_arguments(*command, {words.begin() + 2, words.end()});
    }
    std::vector<std::string_view> known;
    for (const Command& command : commands) {
        if (is_in_group(command, group)) known.push_back(command.words.substr(group.size() + 1));
    }
    return unknown_word(std::format("command of '{}'", group), words[1], known,
                        std::format("smackd {} --help", group));
}

std::string two_columns(const std::vector<std::pair<std::string, std::string>>& lines) {
    size_t width = 0;
    for (const auto& line : lines) width = std::max(width, line.first.size());
    std::string out;
    for (const auto& [left, right] : lines) out += std::format("  {:<{}}  {}\n", left, width, right);
    return out;
}

}  // namespace

std::string Arguments::value(std::string_view name, std::string_view fallback) const {
    auto found = values_.find(name);
    return found == values_.end() || found->second.empty() ? std::string(fallback) : found->second.back();
}

std::vector<std::string> Arguments::all(std::string_view name) const {
    auto found = values_.find(name);
    return found == values_.end() ? std::vector<std::string>{} : found->second;
}

void Arguments::add(std::string_view name, std::string value) {
    values_[std::string(name)].push_back(std::move(value));
}

std::unexpected<core::Error> Context::usage(std::string message) {
    exit_code = kExitUsage;
    return std::unexpected<core::Error>(core::Error{core::Errc::kInvalid, std::move(message), 0});
}

core::Result<std::variant<ParsedCommand, HelpText>> parse_command_line(
    const std::vector<Command>& commands, const std::vector<std::string>& words) {
    if (words.empty() || is_help(words[0])) return HelpText{program_help(commands)};
    // DC/OS users type "marathon app add": the same without the first word.
    if (words.size() > 1 && words[0] == "marathon" && !is_help(words[1]))
        return parse_command_line(commands, {words.begin() + 1, words.end()});
    if (words[0] == "--version" || words[0] == "version")
        return HelpText{std::format("smackd {}\n", kVersion)};
    if (words.size() > 1) {  // "backup verify" goes before "backup FILE"
        if (const Command* command = find_command(commands, words[0] + " " + words[1]))
            return parse_arguments(*command, {words.begin() + 2, words.end()});
    }
    if (const Command* command = find_command(commands, words[0])) {
        return parse_arguments(*command, {words.begin() + 1, words.end()});
    }
    std::vector<std::string_view> known;
    for (const Command& command : commands) {
        std::string_view word = first_word(command.words);
        if (word == words[0]) return parse_group(commands, word, words);
        if (known.empty() || known.back() != word) known.push_back(word);
    }
    return unknown_word(words[0].starts_with("-") ? "option" : "command", words[0], known, "smackd --help");
}

std::string usage_line(const Command& command) {
    std::string out = std::format("smackd {}", command.words);
    for (const Positional& positional : command.positionals) {
        std::string name = std::string(positional.name) + (positional.repeatable ? "..." : "");
        out += positional.required ? " " + name : " [" + name + "]";
    }
    return out + " [options]";
}

std::vector<std::string_view> first_words(const std::vector<Command>& commands) {
    std::vector<std::string_view> words;
    for (const Command& command : commands) {
        std::string_view word = first_word(command.words);
        if (std::ranges::find(words, word) == words.end()) words.push_back(word);
    }
    return words;
}

std::vector<std::string_view> second_words(const std::vector<Command>& commands, std::string_view first) {
    std::vector<std::string_view> words;
    for (const Command& command : commands) {
        if (is_in_group(command, first)) words.push_back(command.words.substr(first.size() + 1));
    }
    return words;
}

std::string program_help(const std::vector<Command>& commands) {
    std::string out =
        "smackd: a private cloud from one binary\n\nUsage: smackd COMMAND [options]\n\nCommands:\n";
    std::vector<std::pair<std::string, std::string>> lines;
    for (const Command& command : commands) {
        lines.emplace_back(std::string(command.words), std::string(command.summary));
    }
    out += two_columns(lines);
    out +=
        "\nEvery command takes --help (with an example) and --json. Exit codes: 0 done, 1 refused or failed, "
        "2 usage.\n"
        "To try everything on this machine: smackd demo --data-dir DIR\n";
    return out;
}

std::string group_help(const std::vector<Command>& commands, std::string_view group) {
    std::string out = std::format("Usage: smackd {} COMMAND [options]\n\nCommands:\n", group);
    std::vector<std::pair<std::string, std::string>> lines;
    std::string example;
    for (const Command& command : commands) {
        if (!is_in_group(command, group)) continue;
        lines.emplace_back(std::string(command.words), std::string(command.summary));
        if (example.empty()) example = command.example;
    }
    return out + two_columns(lines) + std::format("\nExample:\n  {}\n", example);
}

std::string command_help(const Command& command) {
    std::string out = std::format("{}\n\nUsage: {}\n", command.summary, usage_line(command));
    std::vector<std::pair<std::string, std::string>> lines;
    for (const Positional& positional : command.positionals) {
        lines.emplace_back(std::string(positional.name), std::string(positional.help));
    }
    if (!lines.empty()) out += "\nArguments:\n" + two_columns(lines);
    lines.clear();
    for (const Option& option : command.options) {
        const std::string letter = option.letter == '\0' ? "" : std::format("-{}, ", option.letter);
        lines.emplace_back(
            std::format("{}{}{}{}", letter, option.name, option.value.empty() ? "" : " ", option.value),
            std::format("{}{}", option.help, option.repeatable ? " (may be repeated)" : ""));
    }
    lines.emplace_back("--json", "one JSON document instead of text");
    lines.emplace_back("--help", "this text");
    return out + "\nOptions:\n" + two_columns(lines) + std::format("\nExample:\n  {}\n", command.example);
}

}  // namespace smackd::cmd
