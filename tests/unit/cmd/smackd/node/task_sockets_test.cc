// The sockets of tasks and what they may cost; the directory of an identity.
#include "cmd/smackd/node/task_sockets.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "cmd/smackd/node/identity_directory.h"
#include "core/wire/task_door.pb.h"
#include "net/system_clock.h"

using namespace smackd;
using core::Bytes;
using core::Result;

namespace {

struct World {
    World() {
        char name[] = "/tmp/task_sockets_XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        directory = name;
    }
    ~World() {
        net::block_on(loop, sockets.close());
        std::filesystem::remove_all(directory);
    }
    /// Sends bytes to a task's socket and reads until it closes, or `end` is in what came.
    std::string talk(const std::string& task, const std::string& bytes, const std::string& end = "") {
        auto text = net::block_on(
            loop,
            [](World& self, std::string path, const std::string& sent,
               const std::string& until) -> net::Task<Result<std::string>> {
                CO_TRY_ASSIGN(auto stream, co_await net::connect_unix(self.loop, std::move(path)));
                CO_TRY(co_await stream->write(sent));
                std::string got;
                std::string buffer(4096, '\0');
                while (until.empty() || !got.contains(until)) {
                    CO_TRY_ASSIGN(const size_t count, co_await stream->read(buffer.data(), buffer.size()));
                    if (count == 0) break;
                    got.append(buffer, 0, count);
                }
                co_await stream->close();
                co_return got;
            }(*this, path_of(task), bytes, end));
        return text ? *text : text.error().to_string();
    }
    std::string path_of(const std::string& task) const { return directory + "/" + task; }

    std::string directory;
    net::Loop loop{"sockets"};
    net::SystemClock clock;
    std::vector<wire::TaskRequest> asked;
    bool silent = false;  // no server answers
    std::optional<core::Error> failure;
    cmd::TaskSockets sockets{loop,
                             clock,
                             [this](std::string_view, Bytes request) -> net::Task<Result<Bytes>> {
                                 return answer(std::move(request));
                             },
                             {}};

    net::Task<Result<Bytes>> answer(Bytes request) {
        wire::TaskRequest one;
        REQUIRE(one.ParseFromString(request));
        asked.push_back(std::move(one));
        if (silent) CO_TRY(co_await net::sleep(loop, core::seconds(60)));
        if (failure) co_return std::unexpected(*failure);
        wire::TaskResponse response;
        response.set_status(200);
        response.set_body("yes\n");
        co_return response.SerializeAsString();
    }
};

const std::string kGet = "GET /v2/apps HTTP/1.1\r\nHost: smackd\r\nConnection: close\r\n\r\n";

}  // namespace

TEST_CASE("a request at a task's socket is asked in the task's name, whatever it says") {
    World world;
    REQUIRE(world.sockets.open("t1", world.path_of("t1")));
    REQUIRE(world.sockets.open("t2", world.path_of("t2")));
    CHECK(world.talk("t1", kGet).contains("yes"));
    CHECK(world.talk("t2", kGet).starts_with("HTTP/1.1 200"));
    REQUIRE(world.asked.size() == 2);
    CHECK(world.asked[0].task() == "t1");
    CHECK(world.asked[1].task() == "t2");
    CHECK(
        world.talk("t1", "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer y\r\nConnection: close\r\n\r\n")
            .contains("speaks for its task alone"));
    CHECK(world.asked.size() == 2);
}

TEST_CASE("without a server a task is told to come again; after its end its socket is gone") {
    World world;
    REQUIRE(world.sockets.open("t1", world.path_of("t1")));
    world.failure = core::Error{core::Errc::kUnavailable, "no server is connected", 0};
    const std::string answer = world.talk("t1", kGet);
    CHECK(answer.starts_with("HTTP/1.1 503"));
    CHECK(answer.contains("Retry-After"));
    CHECK(answer.contains("no server is connected"));
    world.sockets.drop("t1");
    CHECK_FALSE(world.talk("t1", kGet).starts_with("HTTP"));
}

TEST_CASE("a socket that a dead daemon left behind is replaced") {
    World world;
    REQUIRE(world.sockets.open("t1", world.path_of("t1")));
    world.sockets.drop("t1");
    net::block_on(world.loop, net::sleep(world.loop, core::milliseconds(10)));
    std::ofstream(world.path_of("t3")) << "no socket";
    REQUIRE(world.sockets.open("t1", world.path_of("t1")));
    CHECK(world.talk("t1", kGet).contains("yes"));
}

TEST_CASE("one task waits for few answers at once, and takes no turn of another") {
    World world;
    REQUIRE(world.sockets.open("t1", world.path_of("t1")));
    REQUIRE(world.sockets.open("t2", world.path_of("t2")));
    world.silent = true;
    std::vector<std::unique_ptr<net::Stream>> held;
    for (size_t i = 0; i < cmd::kTaskRequestsMax; ++i) {
        auto stream = net::block_on(world.loop, net::connect_unix(world.loop, world.path_of("t1")));
        REQUIRE(stream);
        REQUIRE(net::block_on(world.loop, (*stream)->write(kGet)));
        held.push_back(std::move(*stream));
    }
    while (world.asked.size() < cmd::kTaskRequestsMax)
        net::block_on(world.loop, net::sleep(world.loop, core::milliseconds(1)));
    const std::string busy = world.talk("t1", kGet);
    CHECK(busy.starts_with("HTTP/1.1 503"));
    CHECK(busy.contains("Retry-After"));
    world.silent = false;
    CHECK(world.talk("t2", kGet).starts_with("HTTP/1.1 200"));
    for (auto& stream : held) net::block_on(world.loop, stream->close());
}

TEST_CASE("a task has few connections, and one too many is told so") {
    World world;
    REQUIRE(world.sockets.open("t1", world.path_of("t1")));
    REQUIRE(world.sockets.open("t2", world.path_of("t2")));
    std::vector<std::unique_ptr<net::Stream>> held;
    for (size_t i = 0; i < cmd::kTaskConnectionsMax; ++i) {
        auto stream = net::block_on(world.loop, net::connect_unix(world.loop, world.path_of("t1")));
        REQUIRE(stream);
        held.push_back(std::move(*stream));
    }
    CHECK(world.talk("t1", "").starts_with("HTTP/1.1 503"));
    CHECK(world.talk("t2", kGet).starts_with("HTTP/1.1 200"));
    for (auto& stream : held) net::block_on(world.loop, stream->close());
}

TEST_CASE("what is too long or endless is cut on the node") {
    World world;
    REQUIRE(world.sockets.open("t1", world.path_of("t1")));
    CHECK(
        world.talk("t1", "GET /" + std::string(20'000, 'x') + " HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 4"));
    CHECK(
        world.talk("t1", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n")
            .starts_with("HTTP/1.1 413"));
    CHECK(world.asked.empty());
}

TEST_CASE("requests have a rate, with a burst after a pause") {
    cmd::RequestRate rate;
    core::Instant now{core::seconds(1000)};
    for (int i = 0; i < cmd::kTaskRequestsBurst; ++i) REQUIRE(rate.take(now));
    CHECK_FALSE(rate.take(now));
    now = now + core::seconds(1);
    for (int i = 0; i < cmd::kTaskRequestsPerSecond; ++i) REQUIRE(rate.take(now));
    CHECK_FALSE(rate.take(now));
}

TEST_CASE("a token is replaced whole, for the directory's owner alone") {
    World world;
    auto directory = cmd::IdentityDirectory::open(world.directory + "/identity");
    REQUIRE(directory);
    const std::string path = directory->path() + "/token";
    REQUIRE(directory->write_token("one"));
    REQUIRE(directory->write_token("two"));
    struct stat found{};
    REQUIRE(::stat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777U) == 0400);
    // Nothing that somebody has put there is followed.
    std::ofstream(world.directory + "/victim") << "intact";
    REQUIRE(::chmod(directory->path().c_str(), 0700) == 0);
    std::filesystem::remove(path);
    std::filesystem::create_symlink(world.directory + "/victim", path);
    std::filesystem::create_symlink(world.directory + "/victim", directory->path() + "/.token");
    REQUIRE(directory->write_token("three"));
    std::string text;
    std::getline(std::ifstream(world.directory + "/victim"), text);
    CHECK(text == "intact");
    std::getline(std::ifstream(path), text);
    CHECK(text == "three");
    if (::geteuid() == 0) {
        REQUIRE(::chown(directory->path().c_str(), 1234, 1235) == 0);
        REQUIRE(directory->write_token("four"));
        REQUIRE(::stat(path.c_str(), &found) == 0);
        CHECK(found.st_uid == 1234);
        CHECK(found.st_gid == 1235);
    }
    cmd::IdentityDirectory::remove(directory->path());
    CHECK_FALSE(std::filesystem::exists(directory->path()));
    std::filesystem::create_symlink("/", world.directory + "/link");
    CHECK_FALSE(cmd::IdentityDirectory::open(world.directory + "/link"));
}
