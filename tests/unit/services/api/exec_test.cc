// Programs beside tasks: the messages, and the relay between a session and a WebSocket.
#include <catch2/catch_test_macros.hpp>
#include <cerrno>

#include "net/scope.h"
#include "net/socket.h"
#include "net/sync.h"
#include "services/api/exec_message.h"
#include "services/api/exec_relay.h"

namespace smackd::services {
namespace {

using agent::ExecSession;
using core::Errc;
using core::Result;
using net::Task;
using net::http::WebSocket;
using net::http::WebSocketMessage;
using net::http::WebSocketRole;
using std::chrono::milliseconds;
using std::string_literals::operator""s;
using Kind = WebSocketMessage::Kind;

WebSocketMessage text(std::string json) {
    return {.kind = Kind::kText, .bytes = std::move(json)};
}
WebSocketMessage binary(std::string bytes) {
    return {.kind = Kind::kBinary, .bytes = std::move(bytes)};
}

std::string first_error(std::string json) {
    const auto exec = exec_from_message(text(std::move(json)));
    return exec ? "none" : exec.error().message;
}

TEST_CASE("the first message says what is to run") {
    const auto exec = exec_from_message(
        text(R"({"words":["ls","-l"],"env":{"B":"2","A":"1"},"user":"u","cwd":"/x","tty":true,"rows":50,)"
             R"("columns":132})"));
    REQUIRE(exec);
    CHECK(exec_to_json(*exec).dump() ==
          R"({"words":["ls","-l"],"env":{"A":"1","B":"2"},"user":"u","cwd":"/x","tty":true,"rows":50,)"
          R"("columns":132})");
    const auto least = exec_from_message(text(R"({"words":["ls"]})"));
    REQUIRE(least);
    CHECK((least->rows() == 24 && least->columns() == 80 && !least->tty()));
}

TEST_CASE("a first message that is wrong is named by its field") {
    CHECK(first_error("[1]") == "message: must be a JSON object");
    CHECK(first_error("{").starts_with("message: "));
    CHECK(first_error("{}") == "words: must name a program");
    CHECK(first_error(R"({"words":[]})") == "words: must name a program");
    CHECK(first_error(R"({"words":[""]})") == "words: must name a program");
    CHECK(first_error(R"({"words":"ls"})") == "words: must be a list of strings");
    CHECK(first_error(R"({"words":["a\u0000b"]})") == "words: must not contain a zero byte");
    CHECK(first_error(R"({"words":["a"],"env":{"":"x"}})").starts_with("env '': a name"));
    CHECK(first_error(R"({"words":["a"],"env":{"A=B":"x"}})").starts_with("env 'A=B': a name"));
    CHECK(first_error(R"({"words":["a"],"env":{"A":1}})") == "env.A: must be a string");
    CHECK(first_error(R"({"words":["a"],"cwd":"x"})") == "cwd 'x': must be an absolute path");
    CHECK(first_error(R"({"words":["a"],"rows":0})").starts_with("rows: must be a whole number"));
    CHECK(first_error(R"({"words":["a"],"colums":80})").starts_with("field 'colums': not known here"));
    std::string many = R"({"words":["a")";
    for (size_t count = 0; count < kExecWordsMax; ++count) many += R"(,"a")";
    CHECK(first_error(many + "]}") == "words: 1025, the limit is 1024");
    CHECK_FALSE(exec_from_message(binary("\0x"s)));
}

TEST_CASE("what follows is input, its end, or another size") {
    CHECK(exec_input_from_message(binary("\0ls\n"s))->bytes() == "ls\n");
    CHECK(exec_input_from_message(text(exec_end_to_json().dump()))->end());
    const auto size = exec_input_from_message(text(exec_resize_to_json(50, 132).dump()));
    CHECK((size && size->rows() == 50 && size->columns() == 132));
    CHECK_FALSE(exec_input_from_message(binary("\1x")));
    CHECK_FALSE(exec_input_from_message(binary("")));
    CHECK_FALSE(exec_input_from_message(text("{}")));
    CHECK_FALSE(exec_input_from_message(text(R"({"end":false})")));
    CHECK_FALSE(exec_input_from_message(text(R"({"resize":{"rows":50}})")));
    CHECK_FALSE(exec_input_from_message(text(R"({"resize":{"rows":-1,"columns":9}})")));
}

ExecNews news(const core::Json& json) {
    return exec_news_from_message(text(json.dump())).value();
}

TEST_CASE("how it ended reads as a shell would say it") {
    wire::ShimExecExit exit;
    exit.set_code(7);
    CHECK(news(exec_exit_to_json(exit)).exit_code == 7);
    exit.set_signal(15);
    CHECK(news(exec_exit_to_json(exit)).exit_code == 143);
    wire::ShimExecExit failed;
    failed.mutable_failed()->set_step("execve");
    failed.mutable_failed()->set_errno_value(ENOENT);
    failed.mutable_failed()->set_message("execve 'nope': No such file or directory");
    ExecNews told = news(exec_exit_to_json(failed));
    CHECK(told.exit_code == 127);
    CHECK((told.error && told.error->code == Errc::kNotFound));
    failed.mutable_failed()->set_step("user");
    told = news(exec_exit_to_json(failed));
    CHECK(told.exit_code == 126);
    CHECK(news(exec_error_to_json({Errc::kBusy, "full", 0})).error->code == Errc::kBusy);
    CHECK(exec_news_from_message(binary("\2oops"))->error_stream);
    CHECK_FALSE(exec_news_from_message(binary("\3oops")));
    CHECK_FALSE(exec_news_from_message(text("{}")));
}

// ---- the relay

/// A program that is what the test says.
class PlayedSession final : public ExecSession {
 public:
    explicit PlayedSession(net::Loop& loop) : outputs(loop, 16) {}
    Task<Result<Output>> read() override { return outputs.pop(); }
    Task<Result<void>> write(std::string bytes) override {
        heard += bytes;
        if (bytes == "quit") outputs.try_push({.bytes = {}, .exit = exit_with(3)});
        co_return Result<void>();
    }
    Task<Result<void>> end_input() override {
        heard += "<end>";
        co_return Result<void>();
    }
    Task<Result<void>> resize(uint32_t rows, uint32_t columns) override {
        heard += std::format("<{}x{}>", rows, columns);
        co_return Result<void>();
    }
    Task<void> close() override { co_return; }
    static wire::ShimExecExit exit_with(uint32_t code) {
        wire::ShimExecExit exit;
        exit.set_code(code);
        return exit;
    }

    net::Queue<Output> outputs;
    std::string heard;
};

struct World {
    net::Loop loop{"test"};
    std::unique_ptr<net::Stream> here, there;
    PlayedSession session{loop};
    bool welcome = true;
    ExecLimits limits{.look = milliseconds(5)};

    World() {
        auto ends = net::make_pair(loop);
        here = std::move(ends->first);
        there = std::move(ends->second);
    }
};

Task<Result<void>> is_welcome(World& world) {
    if (!world.welcome) co_return core::fail(Errc::kDenied, "no rule grants it any more");
    co_return Result<void>();
}

Task<void> serve(World& world, std::string& outcome) {
    WebSocket socket(world.loop, *world.here, WebSocketRole::kServer, {});
    ExecRelay::Welcome welcome = [&world] { return is_welcome(world); };
    ExecRelay relay(world.loop, socket, welcome, world.limits);
    auto first = co_await relay.first();
    auto ended =
        first ? co_await relay.run(world.session) : Result<wire::ShimExecExit>(core::pass(std::move(first)));
    outcome =
        ended ? "exit " + std::to_string(ended->code()) : std::string(core::errc_name(ended.error().code));
    co_await relay.tell(std::move(ended));
    co_await world.here->close();
}

/// All that a client hears that says this.
Task<Result<std::string>> client(World& world, std::vector<WebSocketMessage> says, std::string& outcome,
                                 core::Callback<void()> meanwhile) {
    net::Scope scope(world.loop);
    scope.spawn(serve(world, outcome));
    WebSocket socket(world.loop, *world.there, WebSocketRole::kClient, {});
    std::string heard;
    for (WebSocketMessage& message : says) {
        if (message.kind == Kind::kClose) {
            CO_TRY(co_await socket.close(net::http::kCloseNormal));
        } else {
            CO_TRY(co_await socket.write(message.kind, std::move(message.bytes)));
        }
    }
    if (meanwhile) meanwhile();
    for (;;) {
        auto message = co_await socket.read();
        if (!message) break;
        heard +=
            message->kind == Kind::kClose ? "close " + std::to_string(message->close_code) : message->bytes;
        heard += "|";
        if (message->kind == Kind::kClose) break;
    }
    co_await world.there->close();
    co_await scope.join();
    co_return heard;
}

struct Heard {
    std::string client;
    std::string outcome;
};
Heard talk(World& world, std::vector<WebSocketMessage> says, core::Callback<void()> meanwhile = {}) {
    Heard heard;
    heard.client =
        net::block_on(world.loop, client(world, std::move(says), heard.outcome, std::move(meanwhile)))
            .value();
    return heard;
}

const WebSocketMessage kStart = text(R"({"words":["sh"]})");

TEST_CASE("both ways are passed on until the program ends") {
    World world;
    world.session.outputs.try_push({.bytes = "hello"});
    world.session.outputs.try_push({.bytes = "oops", .error_stream = true});
    const Heard heard = talk(world, {kStart, binary("\0some "s), text(exec_resize_to_json(50, 132).dump()),
                                     text(exec_end_to_json().dump()), binary("\0quit"s)});
    CHECK(world.session.heard == "some <50x132><end>quit");
    CHECK(heard.client == "\x01hello|\x02oops|{\"exit\":{\"code\":3}}|close 1000|");
    CHECK(heard.outcome == "exit 3");
}

TEST_CASE("a client that goes, or says what is none, ends the program") {
    World gone;
    CHECK(talk(gone, {kStart, {.kind = Kind::kClose}}).outcome == "cancelled");
    World wrong;
    const Heard heard = talk(wrong, {kStart, text("{}")});
    CHECK(heard.outcome == "invalid");
    CHECK(heard.client ==
          R"({"error":{"code":"invalid","message":"message: must have resize, or end: true"}}|close 1008|)");
}

TEST_CASE("a right that is withdrawn ends the program, and the client is told") {
    World world;
    const Heard heard = talk(world, {kStart}, [&] { world.welcome = false; });
    CHECK(heard.outcome == "denied");
    CHECK(heard.client ==
          R"({"error":{"code":"denied","message":"no rule grants it any more"}}|close 1008|)");
}

TEST_CASE("silence ends it") {
    World nothing;
    nothing.limits.start = milliseconds(20);
    CHECK(talk(nothing, {}).outcome == "timeout");
    World idle;
    idle.limits.idle = milliseconds(20);
    const Heard heard = talk(idle, {kStart});
    CHECK(heard.outcome == "timeout");
    CHECK(heard.client.contains("nothing was said for"));
}

}  // namespace
}  // namespace smackd::services
