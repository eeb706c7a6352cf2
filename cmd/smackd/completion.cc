#include "cmd/smackd/completion.h"

#include <algorithm>
#include <format>

#include "cmd/smackd/command_line.h"

namespace smackd::cmd {
namespace {

enum class Operand : uint8_t { kNothing, kFile, kFolder, kOther };

/// What a placeholder stands for, by the words that the table uses.
Operand operand_of(std::string_view placeholder) {
    if (placeholder.empty()) return Operand::kNothing;
    if (placeholder == "FILE" || placeholder == "BUNDLE" || placeholder == "FILE|-") return Operand::kFile;
    return placeholder == "DIR" || placeholder == "DIRECTORY" ? Operand::kFolder : Operand::kOther;
}

bool is_command(const std::vector<Command>& commands, std::string_view words) {
    return std::ranges::find(commands, words, &Command::words) != commands.end();
}

std::string joined(const std::vector<std::string_view>& words, std::string_view between) {
    std::string out;
    for (std::string_view word : words) out += (out.empty() ? "" : std::string(between)) + std::string(word);
    return out;
}

std::vector<std::string_view> groups_of(const std::vector<Command>& commands) {
    auto words = first_words(commands);
    std::erase_if(words, [&](std::string_view word) { return second_words(commands, word).empty(); });
    return words;
}

/// The line of a group in a list of first words: the summary of its own command, or what it holds.
std::string summary_of(const std::vector<Command>& commands, std::string_view first) {
    auto found = std::ranges::find(commands, first, &Command::words);
    return found != commands.end() ? std::string(found->summary)
                                   : joined(second_words(commands, first), ", ");
}

std::string replaced(std::string_view text, std::string_view special, std::string_view before) {
    std::string out;
    for (char c : text) {
        if (special.find(c) != std::string_view::npos) out += before;
        out += c;
    }
    return out;
}

// In single quotes; shells end those for a quote of their own.
std::string shell_word(std::string_view text) {
    std::string out = "'";
    for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

// ---- bash

constexpr std::string_view kBashEnd = R"(
        *) return ;;
    esac
    case " $folders " in *" $previous "*) compopt -o dirnames; return ;; esac
    case " $files " in *" $previous "*) compopt -o default; return ;; esac
    case " $values " in *" $previous "*) return ;; esac
    case $current in
        -*) mapfile -t COMPREPLY < <(compgen -W "$options --json --help" -- "$current") ;;
        *)
            mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$words" -- "$current")
            [[ $operand == file ]] && compopt -o default
            ;;
    esac
}
complete -F _smackd smackd
)";

std::string bash_case(const Command& command, const std::string& words) {
    std::vector<std::string_view> all;
    std::vector<std::string_view> files;
    std::vector<std::string_view> folders;
    std::vector<std::string_view> values;
    for (const Option& option : command.options) {
        all.push_back(option.name);
        const Operand operand = operand_of(option.value);
        if (operand == Operand::kFile) files.push_back(option.name);
        if (operand == Operand::kFolder) folders.push_back(option.name);
        if (operand == Operand::kOther) values.push_back(option.name);
    }
    const bool file = std::ranges::any_of(command.positionals, [](const Positional& positional) {
        return operand_of(positional.name) == Operand::kFile;
    });
    return std::format(
        "        {})\n            words={} options={} files={} folders={} values={} operand={} ;;\n",
        shell_word(command.words), shell_word(words), shell_word(joined(all, " ")),
        shell_word(joined(files, " ")), shell_word(joined(folders, " ")), shell_word(joined(values, " ")),
        file ? "file" : "none");
}

std::string bash(const std::vector<Command>& commands) {
    std::string out = std::format(R"(# bash completion for smackd, made by: smackd completion bash
_smackd() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}}
    local command=${{COMP_WORDS[1]-}} words='' options='' files='' folders='' values='' operand=none
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W '{} --help --version' -- "$current")
        return
    fi
)",
                                  joined(first_words(commands), " "));
    out += "    if ((COMP_CWORD > 2)); then\n        case $command in\n";
    for (std::string_view group : groups_of(commands)) {
        // "backup FILE" is a command beside "backup list".
        std::vector<std::string_view> second = second_words(commands, group);
        out += is_command(commands, group)
                   ? std::format(
                         "            {}) case ${{COMP_WORDS[2]}} in {}) command+=\" "
                         "${{COMP_WORDS[2]}}\" ;; esac ;;\n",
                         group, joined(second, " | "))
                   : std::format("            {}) command+=\" ${{COMP_WORDS[2]}}\" ;;\n", group);
    }
    out += "        esac\n    fi\n    case $command in\n";
    for (std::string_view group : groups_of(commands)) {
        if (!is_command(commands, group))
            out += std::format("        {}) words={} ;;\n", group,
                               shell_word(joined(second_words(commands, group), " ")));
    }
    for (const Command& command : commands)
        out += bash_case(command, joined(second_words(commands, command.words), " "));
    return out + std::string(kBashEnd.substr(1));
}

// ---- zsh

std::string zsh_action(std::string_view placeholder) {
    const Operand operand = operand_of(placeholder);
    if (operand == Operand::kNothing) return {};
    const std::string name = replaced(placeholder, ":\\", "\\");
    if (operand == Operand::kFile) return std::format(":{}:_files", name);
    return operand == Operand::kFolder ? std::format(":{}:_files -/", name) : std::format(":{}: ", name);
}

std::string zsh_arguments(const Command& command) {
    std::string out = "_arguments";
    auto add = [&out](const std::string& one) { out += " \\\n                " + shell_word(one); };
    for (const Option& option : command.options) {
        add(std::format("{}{}[{}]{}", option.repeatable ? "*" : "", option.name,
                        replaced(option.help, "[]:\\", "\\"), zsh_action(option.value)));
    }
    add("--json[one JSON document instead of text]");
    add("--help[what it takes, with an example]");
    for (const Positional& positional : command.positionals) {
        const std::string action = zsh_action(positional.name);
        add(positional.repeatable ? "*" + action : (positional.required ? "" : ":") + action);
    }
    return out;
}

std::string zsh_list(const std::vector<std::pair<std::string, std::string>>& words) {
    std::string out = "(\n";
    for (const auto& [word, summary] : words)
        out += std::format("            {}\n", shell_word(word + ":" + replaced(summary, ":\\", "\\")));
    return out + "        )";
}

std::string zsh(const std::vector<Command>& commands) {
    std::vector<std::pair<std::string, std::string>> top;
    for (std::string_view word : first_words(commands))
        top.emplace_back(std::string(word), summary_of(commands, word));
    std::string out = std::format(R"(#compdef smackd
# zsh completion for smackd, made by: smackd completion zsh
_smackd() {{
    local -a names
    local command=$words[2]
    if (( CURRENT == 2 )); then
        names={}
        _describe command names
        return
    fi
    case $command in
)",
                                  zsh_list(top));
    for (std::string_view group : groups_of(commands)) {
        std::vector<std::pair<std::string, std::string>> second;
        for (std::string_view word : second_words(commands, group))
            second.emplace_back(std::string(word), summary_of(commands, std::format("{} {}", group, word)));
        out += std::format(
            "    {})\n        names={}\n        (( CURRENT == 3 )) && _describe command names{}\n", group,
            zsh_list(second), is_command(commands, group) ? "" : " && return");
        out +=
            "        if (( CURRENT > 3 )) && [[ -n ${(M)names:#$words[3]:*} ]]; then\n"
            "            command+=\" $words[3]\"\n            shift words\n            (( CURRENT-- ))\n"
            "        fi\n        ;;\n";
    }
    out += "    esac\n    shift words\n    (( CURRENT-- ))\n    case $command in\n";
    for (const Command& command : commands)
        out += std::format("    {})\n        {} ;;\n", shell_word(command.words), zsh_arguments(command));
    return out + "    esac\n}\n_smackd \"$@\"\n";
}

// ---- fish

std::string fish_word(std::string_view text) {
    return "'" + replaced(text, "'\\", "\\") + "'";
}

std::string fish_option(const std::string& where, const Option& option) {
    const Operand operand = operand_of(option.value);
    std::string out = std::format("complete -c smackd -n {} -l {} -d {}", fish_word(where),
                                  option.name.substr(2), fish_word(option.help));
    if (operand == Operand::kFile) out += " -r -F";
    if (operand == Operand::kFolder) out += " -x -a '(__fish_complete_directories)'";
    if (operand == Operand::kOther) out += " -x";
    return out + "\n";
}

std::string fish(const std::vector<Command>& commands) {
    std::string out = R"(# fish completion for smackd, made by: smackd completion fish
# True when what is typed begins with these words (and, with -e, has no other).
function __smackd_at
    set -l typed (commandline -opc)
    set -e typed[1]
    if test "$argv[1]" = -e
        set -e argv[1]
        test (count $typed) -eq (count $argv); or return 1
    end
    set -l wanted (count $argv)
    test (count $typed) -ge $wanted; or return 1
    test $wanted -eq 0; or test "$typed[1..$wanted]" = "$argv"
end
complete -c smackd -f
complete -c smackd -l help -d 'what it takes, with an example'
complete -c smackd -n 'not __smackd_at -e' -l json -d 'one JSON document instead of text'
complete -c smackd -n '__smackd_at -e' -l version -d 'the version'
)";
    for (std::string_view word : first_words(commands))
        out += std::format("complete -c smackd -n '__smackd_at -e' -a {} -d {}\n", word,
                           fish_word(summary_of(commands, word)));
    for (std::string_view group : groups_of(commands)) {
        for (std::string_view word : second_words(commands, group))
            out += std::format("complete -c smackd -n '__smackd_at -e {}' -a {} -d {}\n", group, word,
                               fish_word(summary_of(commands, std::format("{} {}", group, word))));
    }
    for (const Command& command : commands) {
        const std::string where = std::format("__smackd_at {}", command.words);
        for (const Option& option : command.options) out += fish_option(where, option);
        for (const Positional& positional : command.positionals) {
            if (operand_of(positional.name) == Operand::kFile)
                out += std::format("complete -c smackd -n {} -F\n", fish_word(where));
        }
    }
    return out;
}

}  // namespace

std::string completion(Shell shell, const std::vector<Command>& commands) {
    if (shell == Shell::kBash) return bash(commands);
    return shell == Shell::kZsh ? zsh(commands) : fish(commands);
}

}  // namespace smackd::cmd
