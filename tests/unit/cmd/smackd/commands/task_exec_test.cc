#include "cmd/smackd/commands/task_exec.h"

#include <catch2/catch_test_macros.hpp>

#include "cmd/smackd/command_line.h"

namespace smackd::cmd {
namespace {

constexpr TerminalFacts kPipes{};

core::Result<ExecPlan> plan_of(std::vector<std::string> words, const TerminalFacts& terminal) {
    words.insert(words.begin(), {"task", "exec"});
    auto parsed = parse_command_line(all_commands(), words);
    REQUIRE(parsed.has_value());
    return exec_plan(std::get<ParsedCommand>(*parsed).arguments, terminal);
}

TEST_CASE("a terminal at both ends is the program's, unless it is not to be") {
    const TerminalFacts terminal{true, true, "xterm-256color"};
    struct Case {
        std::vector<std::string> options;
        TerminalFacts terminal;
        bool tty;
        bool input;
    };
    for (const auto& [options, facts, tty, input] :
         {Case{{}, terminal, true, true}, Case{{"--no-tty"}, terminal, false, false},
          Case{{"--no-tty", "-i"}, terminal, false, true}, Case{{}, kPipes, false, false},
          Case{{"-i"}, kPipes, false, true}, Case{{"-t"}, kPipes, true, false},
          Case{{"-it"}, kPipes, true, true}, Case{{}, {true, false, "x"}, false, false},
          Case{{}, {false, true, "x"}, false, false}, Case{{"-t"}, {true, false, "x"}, true, true}}) {
        std::vector<std::string> words = options;
        words.insert(words.end(), {"web", "--", "sh"});
        const auto plan = plan_of(words, facts);
        REQUIRE(plan);
        CHECK(plan->exec.tty() == tty);
        CHECK(plan->input == input);
        const bool named = tty && !facts.name.empty();
        CHECK(plan->exec.environment_size() == (named ? 1 : 0));
        if (named) CHECK(plan->exec.environment(0).value() == facts.name);
    }
}

TEST_CASE("words, user, folder and variables are passed on") {
    const auto plan = plan_of({"web", "--user", "1000:1000", "--workdir", "/tmp", "--env", "A=b=c", "--env",
                               "EMPTY=", "--", "ls", "-l", "--user"},
                              kPipes);
    REQUIRE(plan);
    CHECK(std::vector<std::string>(plan->exec.words().begin(), plan->exec.words().end()) ==
          std::vector<std::string>{"ls", "-l", "--user"});
    CHECK(plan->exec.user() == "1000:1000");
    CHECK(plan->exec.working_directory() == "/tmp");
    REQUIRE(plan->exec.environment_size() == 2);
    CHECK(plan->exec.environment(0).value() == "b=c");
    CHECK(plan->exec.environment(1).value().empty());
}

TEST_CASE("what cannot be meant is named") {
    CHECK(plan_of({"web", "--tty", "--no-tty", "--", "sh"}, kPipes).error().message ==
          "--tty and --no-tty exclude each other");
    CHECK(plan_of({"web", "--env", "A", "--", "sh"}, kPipes).error().message ==
          "--env 'A': must be KEY=VALUE");
    CHECK(plan_of({"web", "--env", "=A", "--", "sh"}, kPipes).error().message ==
          "--env '=A': must be KEY=VALUE");
    CHECK(plan_of({"web", "--", "\xff"}, kPipes).error().message == "CMD: must be UTF-8");
}

}  // namespace
}  // namespace smackd::cmd
