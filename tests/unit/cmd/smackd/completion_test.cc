#include "cmd/smackd/completion.h"

#include <catch2/catch_test_macros.hpp>
#include <format>

#include "cmd/smackd/man_page.h"

namespace smackd::cmd {
namespace {

TEST_CASE(
    "every command, option and sentence of the table is in each shell's completions and in the manual") {
    const std::string bash = completion(Shell::kBash, all_commands());
    const std::string zsh = completion(Shell::kZsh, all_commands());
    const std::string fish = completion(Shell::kFish, all_commands());
    const std::string manual = program_page(all_commands());
    for (const Command& command : all_commands()) {
        INFO(command.words);
        CHECK(bash.contains(std::format("        '{}')", command.words)));
        CHECK(zsh.contains(std::format("    '{}')", command.words)));
        CHECK(fish.contains(std::format("-a {} -d", command.words.substr(command.words.rfind(' ') + 1))));
        for (const Option& option : command.options) {
            CHECK(bash.contains(option.name));
            CHECK(zsh.contains(std::format("{}[", option.name)));
            CHECK(fish.contains(
                std::format("-n '__smackd_at {}' -l {} ", command.words, option.name.substr(2))));
        }
    }
    CHECK(manual.contains(".SS \"smackd machine add NAME [options]\""));
    CHECK(manual.contains("\\fB\\-\\-data\\-dir\\fR \\fIDIR\\fR"));
}

TEST_CASE("what stands in a sentence does no harm in a script") {
    const std::vector<Command> odd{{"say",
                                    "it's [a]: `thing` $x",
                                    "smackd say",
                                    {{"FILE", "what"}},
                                    {{"--now", "", "isn't it: [b]"}},
                                    nullptr}};
    CHECK(completion(Shell::kZsh, odd).contains(R"('--now[isn'\''t it\: \[b\]]')"));
    CHECK(completion(Shell::kZsh, odd).contains(R"('say:it'\''s [a]\: `thing` $x')"));
    CHECK(completion(Shell::kFish, odd).contains(R"(-d 'isn\'t it: [b]')"));
    CHECK(completion(Shell::kBash, odd).contains("operand=file"));
}

}  // namespace
}  // namespace smackd::cmd
