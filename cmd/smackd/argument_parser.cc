#include "cmd/smackd/argument_parser.h"

#include <CLI/CLI.hpp>
#include <deque>
#include <format>

#include "cmd/smackd/nearest.h"

namespace smackd::cmd {
namespace {

// CLI11 writes into variables that must stay where they are: a deque keeps them.
struct Bound {
    std::string_view name;
    std::vector<std::string> values;
    bool set = false;
    CLI::Option* option = nullptr;
};

void bind_option(CLI::App& app, Bound& bound, const Option& option) {
    bound.name = option.name;
    std::string names(option.name);
    if (option.letter != '\0') names += std::format(",-{}", option.letter);
    if (option.value.empty()) {
        bound.option = app.add_flag(names, bound.set, "");
        return;
    }
    bound.option = app.add_option(names, bound.values, "");
    bound.option->allow_extra_args(false);
    if (!option.repeatable) bound.option->expected(1);
}

void bind_positional(CLI::App& app, Bound& bound, const Positional& positional) {
    bound.name = positional.name;
    bound.option = app.add_option(std::string(positional.name), bound.values, "");
    if (!positional.repeatable) bound.option->expected(1)->allow_extra_args(false);
}

std::unexpected<core::Error> explain_extras(const Command& command, const std::vector<std::string>& extras) {
    std::string_view word = extras.empty() ? std::string_view("?") : std::string_view(extras.front());
    std::string help = std::format("see 'smackd {} --help'", command.words);
    if (!word.starts_with("-")) {
        return core::fail(core::Errc::kInvalid, "one argument too many: '{}'; {}", word, help);
    }
    word = word.substr(0, word.find('='));
    std::vector<std::string_view> known{"--json", "--help"};
    for (const Option& option : command.options) known.push_back(option.name);
    return core::fail(core::Errc::kInvalid, "unknown option '{}'{}; {}", word, did_you_mean(word, known),
                      help);
}

// The sentence is ours; CLI11's texts speak of expectations and type names.
std::unexpected<core::Error> explain(const Command& command, const CLI::ParseError& error) {
    return core::fail(core::Errc::kInvalid, "{}; see 'smackd {} --help'", error.what(), command.words);
}

core::Result<Arguments> collect(const Command& command, std::deque<Bound>& bounds,
                                std::vector<std::string> behind_dashes) {
    Arguments arguments;
    for (Bound& bound : bounds) {
        if (bound.set) arguments.add(bound.name, "true");
        for (std::string& value : bound.values) arguments.add(bound.name, std::move(value));
    }
    for (std::string& word : behind_dashes) arguments.add(command.positionals.back().name, std::move(word));
    for (const Positional& positional : command.positionals) {
        std::vector<std::string> given = arguments.all(positional.name);
        if (!positional.repeatable && given.size() > 1) return explain_extras(command, {given[1]});
        if (positional.required && !arguments.has(positional.name)) {
            return core::fail(core::Errc::kInvalid, "{} is missing ({}); see 'smackd {} --help'",
                              positional.name, positional.help, command.words);
        }
    }
    return arguments;
}

/// Takes the words of another program off: CLI11 would read some of them ("[a-z]" is a list to it).
std::vector<std::string> take_behind_dashes(const Command& command, std::vector<std::string>& words) {
    if (command.positionals.empty() || !command.positionals.back().repeatable) return {};
    const auto dashes = std::ranges::find(words, "--");
    if (dashes == words.end()) return {};
    std::vector<std::string> behind(dashes + 1, words.end());
    words.erase(dashes, words.end());
    return behind;
}

}  // namespace

core::Result<Arguments> parse_options(const Command& command, std::vector<std::string> words) {
    std::deque<Bound> bounds;
    std::vector<std::string> behind_dashes = take_behind_dashes(command, words);
    try {
        CLI::App app;
        app.set_help_flag();
        app.allow_extras();
        bind_option(app, bounds.emplace_back(), {"--json", "", "", false});
        for (const Option& option : command.options) bind_option(app, bounds.emplace_back(), option);
        for (const Positional& positional : command.positionals) {
            bind_positional(app, bounds.emplace_back(), positional);
        }
        std::ranges::reverse(words);  // CLI11 takes them from the back
        app.parse(std::move(words));
        if (!app.remaining().empty()) return explain_extras(command, app.remaining());
    } catch (const CLI::ParseError& error) {
        return explain(command, error);
    } catch (const CLI::Error& error) {
        return core::fail(core::Errc::kInvalid, "the command table of '{}' is wrong: {}", command.words,
                          error.what());
    }
    return collect(command, bounds, std::move(behind_dashes));
}

}  // namespace smackd::cmd
