#include "cmd/smackd/command_line.h"

#include <catch2/catch_test_macros.hpp>

namespace smackd::cmd {
namespace {

core::Result<void> nothing(Context&) {
    return {};
}

const std::vector<Command>& sample() {
    static const std::vector<Command> commands{
        {"status", "shows it", "smackd status", {}, {{"--data-dir", "DIR", "where"}}, nothing},
        {"machine add",
         "adds one",
         "smackd machine add n2",
         {{"NAME", "the name"}},
         {{"--role", "ROLE", "what for", true}, {"--force", "", "do it"}},
         nothing},
        {"machine list", "lists them", "smackd machine list", {}, {}, nothing},
        {"task exec",
         "runs it",
         "smackd task exec t -- ls",
         {{"TASK", "where"}, {"CMD", "what", true, true}},
         {{"--tty", "", "a terminal", false, 't'}, {"--interactive", "", "input", false, 'i'}},
         nothing},
        {"sql", "asks", "smackd sql \"SELECT 1\"", {{"QUERY", "the query", true, true}}, {}, nothing},
    };
    return commands;
}

std::string error_of(const std::vector<std::string>& words) {
    auto parsed = parse_command_line(sample(), words);
    return parsed ? "no error" : parsed.error().message;
}

TEST_CASE("options and positionals reach the command in any order") {
    auto parsed =
        parse_command_line(sample(), {"machine", "add", "--role", "server", "n2", "--role=agent", "--json"});
    REQUIRE(parsed.has_value());
    auto& command = std::get<ParsedCommand>(*parsed);
    CHECK(command.command->words == "machine add");
    CHECK(command.json);
    CHECK(command.arguments.value("NAME") == "n2");
    CHECK(command.arguments.all("--role") == std::vector<std::string>{"server", "agent"});
    CHECK_FALSE(command.arguments.has("--force"));
}

TEST_CASE("words after the positionals' places are kept together when it repeats") {
    auto parsed = parse_command_line(sample(), {"sql", "SELECT", "1"});
    REQUIRE(parsed.has_value());
    CHECK(std::get<ParsedCommand>(*parsed).arguments.all("QUERY") == std::vector<std::string>{"SELECT", "1"});
}

TEST_CASE("words behind -- are another program's, whatever they look like") {
    auto parsed = parse_command_line(
        sample(), {"task", "exec", "-it", "web", "--", "grep", "--help", "-t", "[a-z]", "--", "--json"});
    REQUIRE(parsed.has_value());
    const auto& command = std::get<ParsedCommand>(*parsed);
    CHECK(command.arguments.value("TASK") == "web");
    CHECK(command.arguments.all("CMD") ==
          std::vector<std::string>{"grep", "--help", "-t", "[a-z]", "--", "--json"});
    CHECK(command.arguments.has("--tty"));
    CHECK(command.arguments.has("--interactive"));
    CHECK_FALSE(command.json);
    CHECK(error_of({"task", "exec", "web"}).contains("CMD is missing"));
    CHECK(error_of({"task", "exec", "web", "--"}).contains("CMD is missing"));
    CHECK(error_of({"task", "exec", "--", "ls"}).contains("TASK is missing"));
    CHECK(error_of({"machine", "add", "--", "a", "b"}) != "no error");
}

TEST_CASE("a mistyped word is answered with the nearest one") {
    CHECK(error_of({"statsu"}) == "unknown command 'statsu' (did you mean 'status'?); see 'smackd --help'");
    CHECK(error_of({"machine", "lst"}) ==
          "unknown command of 'machine' 'lst' (did you mean 'list'?); see 'smackd machine --help'");
    CHECK(error_of({"status", "--data-dri", "x"}).contains("did you mean '--data-dir'?"));
    CHECK(error_of({"frobnicate"}) == "unknown command 'frobnicate'; see 'smackd --help'");
}

TEST_CASE("missing and surplus arguments are named") {
    CHECK(error_of({"machine", "add"}).contains("NAME is missing (the name)"));
    CHECK(error_of({"machine", "add", "a", "b"}).contains("one argument too many: 'b'"));
    CHECK(error_of({"status", "--data-dir"}).contains("--data-dir"));
}

TEST_CASE("help is reached from everywhere and shows the example") {
    auto help = [](std::vector<std::string> words) {
        auto parsed = parse_command_line(sample(), words);
        REQUIRE(parsed.has_value());
        return std::get<HelpText>(*parsed).text;
    };
    CHECK(help({}).contains("machine add"));
    CHECK(help({"machine"}).contains("machine list"));
    CHECK(help({"machine", "add", "--help"}).contains("Example:\n  smackd machine add n2"));
    CHECK(help({"machine", "add", "n2", "-h"}).contains("--role ROLE"));
    CHECK(help({"task", "exec", "--help"}).contains("-t, --tty"));
}

}  // namespace
}  // namespace smackd::cmd
