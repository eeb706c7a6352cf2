// Both ends of a program on another node: RemoteExec asks ExecOrders, over a way that can fail.
#include "cmd/smackd/node/exec_orders.h"

#include <catch2/catch_test_macros.hpp>
#include <format>

#include "cmd/smackd/node/remote_exec.h"

namespace smackd::cmd {
namespace {

using agent::ExecSession;
using core::Bytes;
using core::Errc;
using core::Result;
using net::Task;

/// A program that is what the test says.
class Played final : public ExecSession {
 public:
    explicit Played(net::Loop& loop) : outputs(loop, 64), reads(loop) { reads.set(); }
    ~Played() override { *ended = true; }
    Played(const Played&) = delete;
    Played& operator=(const Played&) = delete;

    Task<Result<Output>> read() override { return outputs.pop(); }
    Task<Result<void>> write(std::string bytes) override {
        CO_TRY(co_await reads.wait());
        heard += bytes;
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
    Task<void> close() override {
        outputs.close();
        co_return;
    }
    void ends(uint32_t code) {
        Output last;
        last.exit.emplace().set_code(code);
        outputs.try_push(std::move(last));
    }

    net::Queue<Output> outputs;
    net::Event reads;  // what is written
    std::string heard;
    std::shared_ptr<bool> ended = std::make_shared<bool>(false);
};

struct World {
    net::Loop loop{"test"};
    Played* program = nullptr;
    std::shared_ptr<bool> ended;
    ExecOrders orders{loop, {}, [this](std::string task, wire::ShimExec) { return start(std::move(task)); }};
    int lost_answers = 0;  // so many of the next ones
    int lost_orders = 0;
    int asked = 0;
    std::string last_method;

    Task<Result<std::unique_ptr<ExecSession>>> start(std::string task) {
        if (task == "gone") co_return core::fail(Errc::kNotFound, "task 'gone' does not run");
        auto made = std::make_unique<Played>(loop);
        program = made.get();
        ended = made->ended;
        co_return std::unique_ptr<ExecSession>(std::move(made));
    }
    Task<Result<Bytes>> ask(std::string method, Bytes request) {
        ++asked;
        last_method = method;
        if (lost_orders > 0 && lost_orders-- > 0) co_return core::fail(Errc::kUnavailable, "no way there");
        auto answer = co_await orders.answer(method, std::move(request));
        if (lost_answers > 0 && lost_answers-- > 0)
            co_return core::fail(Errc::kUnknownOutcome, "no answer came");
        co_return answer;
    }
    Task<Result<std::unique_ptr<ExecSession>>> open(const std::string& task = "web.1") {
        wire::OpenExec order;
        order.set_task(task);
        order.mutable_exec()->add_words("sh");
        return RemoteExec::open(
            loop,
            [this](std::string_view method, Bytes request) {
                return ask(std::string(method), std::move(request));
            },
            "n2", std::move(order));
    }
    template <class T>
    T run(Task<T> task) {
        return net::block_on(loop, [](World& self, Task<T> body) -> Task<T> {
            T result = co_await std::move(body);
            co_await self.orders.close();
            co_return result;
        }(*this, std::move(task)));
    }
};

/// All it writes, and its end.
Task<Result<std::string>> read_all(ExecSession& session) {
    std::string all;
    for (;;) {
        CO_TRY_ASSIGN(ExecSession::Output output, co_await session.read());
        if (output.exit) co_return all + std::format("exit {}", output.exit->code());
        all += (output.error_stream ? "2:" : "1:") + output.bytes + "|";
    }
}

TEST_CASE("both ways go over orders, in their order") {
    World world;
    const auto all = world.run([](World& w) -> Task<Result<std::string>> {
        CO_TRY_ASSIGN(auto session, co_await w.open());
        w.program->outputs.try_push({.bytes = "out"});
        w.program->outputs.try_push({.bytes = "err", .error_stream = true});
        CO_TRY(co_await session->write("some "));
        CO_TRY(co_await session->resize(50, 132));
        CO_TRY(co_await session->write(std::string(200'000, 'x')));
        CO_TRY(co_await session->end_input());
        w.program->ends(7);
        auto read = co_await read_all(*session);
        CHECK(w.program->heard == "some <50x132>" + std::string(200'000, 'x') + "<end>");
        co_await session->close();
        CHECK(w.last_method == "exec.close");
        co_return read;
    }(world));
    REQUIRE(all);
    CHECK(*all == "1:out|2:err|exit 7");
    CHECK(*world.ended);
}

TEST_CASE("an order or an answer that is lost is asked again, and nothing is doubled") {
    for (const bool answers : {true, false}) {
        World world;
        const auto all = world.run([](World& w, bool lose_answers) -> Task<Result<std::string>> {
            CO_TRY_ASSIGN(auto session, co_await w.open());
            (lose_answers ? w.lost_answers : w.lost_orders) = 2;
            CO_TRY(co_await session->write("once"));
            w.program->outputs.try_push({.bytes = "out"});
            (lose_answers ? w.lost_answers : w.lost_orders) = 1;
            CO_TRY_ASSIGN(const ExecSession::Output first, co_await session->read());
            w.program->ends(0);
            CO_TRY_ASSIGN(std::string rest, co_await read_all(*session));
            co_return first.bytes + rest + w.program->heard;
        }(world, answers));
        REQUIRE(all);
        CHECK(*all == "outexit 0once");
    }
}

TEST_CASE("a program that does not read makes its writer wait, and nothing else") {
    World world;
    const auto all = world.run([](World& w) -> Task<Result<std::string>> {
        CO_TRY_ASSIGN(auto session, co_await w.open());
        w.program->reads.reset();
        CO_TRY(co_await session->write("first"));
        net::Scope beside(w.loop);
        beside.spawn([](ExecSession& writer) -> Task<void> {
            static_cast<void>(co_await writer.write("second"));
        }(*session));
        w.program->outputs.try_push({.bytes = "out"});
        CO_TRY_ASSIGN(const ExecSession::Output output, co_await session->read());
        CHECK(w.program->heard.empty());
        w.program->reads.set();
        co_await beside.join();
        CO_TRY(co_await session->end_input());
        co_return output.bytes + w.program->heard;
    }(world));
    REQUIRE(all);
    CHECK(*all == "outfirstsecond<end>");
}

TEST_CASE("what waits unread is bounded") {
    World world;
    const auto done = world.run([](World& w) -> Task<Result<void>> {
        CO_TRY_ASSIGN(auto session, co_await w.open());
        const std::string piece(32 << 10, 'x');
        for (int i = 0; i < 60; i++) w.program->outputs.try_push({.bytes = piece});
        CO_TRY(co_await net::sleep(w.loop, core::milliseconds(20)));
        const size_t left = w.program->outputs.size();
        CHECK(60 - left <= kRelayedWaitingBytesMax / piece.size() + 1);
        w.program->ends(0);
        CO_TRY_ASSIGN(const std::string all, co_await read_all(*session));
        CHECK(all.size() > 60 * piece.size());
        co_return Result<void>();
    }(world));
    CHECK(done);
}

TEST_CASE("errors say what they are of") {
    World gone;
    const auto opened = gone.run([](World& w) -> Task<Result<void>> {
        CO_TRY(co_await w.open("gone"));
        co_return Result<void>();
    }(gone));
    REQUIRE_FALSE(opened);
    CHECK(opened.error().message == "task 'gone' does not run");
    World ends;
    const auto read = ends.run([](World& w) -> Task<Result<void>> {
        CO_TRY_ASSIGN(auto session, co_await w.open());
        w.program->outputs.close();  // without an end: its shim is gone
        CO_TRY(co_await session->read());
        co_return Result<void>();
    }(ends));
    REQUIRE_FALSE(read);
    CHECK(ends.asked == 2);  // asking again would not help
    World full;
    const auto busy = full.run([](World& w) -> Task<Result<void>> {
        std::vector<std::unique_ptr<ExecSession>> all;
        for (size_t i = 0; i < kRelayedProgramsMax; i++) {
            CO_TRY_ASSIGN(auto one, co_await w.open());
            all.push_back(std::move(one));
        }
        CO_TRY(co_await w.open());
        co_return Result<void>();
    }(full));
    REQUIRE_FALSE(busy);
    CHECK(busy.error().code == Errc::kBusy);
}

TEST_CASE("orders that are none are refused") {
    World world;
    const auto done = world.run([](World& w) -> Task<Result<void>> {
        auto unknown = co_await w.orders.answer("exec.dance", {});
        CHECK(unknown.error().code == Errc::kUnsupported);
        auto garbage = co_await w.orders.answer("exec.read", "\xff\xff");
        CHECK(garbage.error().code == Errc::kInvalid);
        wire::ReadExec order;
        order.set_session("nobody");
        auto nobody = co_await w.orders.answer("exec.read", order.SerializeAsString());
        CHECK(nobody.error().code == Errc::kConflict);
        co_return Result<void>();
    }(world));
    CHECK(done);
}

}  // namespace
}  // namespace smackd::cmd
