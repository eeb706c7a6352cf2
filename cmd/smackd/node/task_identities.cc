#include "cmd/smackd/node/task_identities.h"

#include <dirent.h>

#include <algorithm>

#include "auth/token.h"
#include "cmd/smackd/node/foreign_wait.h"
#include "core/wire/task_door.pb.h"
#include "net/crypto/hash.h"

namespace smackd::cmd {

using core::Bytes;
using core::Errc;
using core::Result;
using net::Task;

namespace {

constexpr size_t kNameDigits = 16;  // a socket's path has 107 bytes at most, a task's id more
/// What a renewal comes before: a third of the token's life.
constexpr core::Duration kRenewalMin = core::seconds(30);
constexpr core::Duration kRenewalMax = core::seconds(auth::kTaskTokenLifeSeconds) / 3 * 2;

}  // namespace

struct TaskIdentities::Identity {
    Identity(net::Loop& loop, std::string of, IdentityDirectory made)
        : task(std::move(of)), directory(std::move(made)), tried(loop), work(loop) {}
    const std::string task;
    const IdentityDirectory directory;
    net::Event tried;  // whether or not there is a token: the task need not wait for it
    net::Scope work;
};

TaskIdentities::TaskIdentities(Environment environment)
    : environment_(std::move(environment)),
      scope_(environment_.loop),
      closing_(environment_.loop),
      asking_(environment_.loop, kTokensAtOnce),
      sockets_(
          environment_.loop, environment_.clock,
          [this](std::string_view call, Bytes request) { return ask(call, std::move(request)); },
          environment_.logger) {}

TaskIdentities::~TaskIdentities() = default;

// ---- for the agent's thread

Task<Result<std::string>> TaskIdentities::open(std::string task) {
    co_return co_await await_foreign<std::string>(environment_.home, [&](auto done) {
        environment_.loop.post(
            [this, task = std::move(task), done = std::move(done)]() mutable {
                scope_.spawn(tell_result(open_here(std::move(task)), std::move(done)));
            },
            "identity");
    });
}

void TaskIdentities::keep(std::string task, std::string directory) {
    environment_.loop.post(
        [this, task = std::move(task), directory = std::move(directory)] {
            Result<IdentityPtr> begun = core::fail(Errc::kConflict, "{} is another task's", directory);
            if (directory == path_of(task)) begun = begin(task);
            if (!begun)
                environment_.logger.warning("a task without identity",
                                            {{"task", task}, {"error", begun.error().message}});
        },
        "identity");
}

void TaskIdentities::drop(std::string task) {
    environment_.loop.post([this, task = std::move(task)] { drop_here(task); }, "identity");
}

void TaskIdentities::sweep(std::set<std::string> tasks) {
    environment_.loop.post([this, tasks = std::move(tasks)] { sweep_here(tasks); }, "identity");
}

Task<void> TaskIdentities::close() {
    static_cast<void>(co_await await_foreign<bool>(environment_.home, [this](auto done) {
        environment_.loop.post(
            [this, done = std::move(done)]() mutable {
                closing_.spawn(tell_result(close_here(), std::move(done)));
            },
            "identity");
    }));
    // The frame of what has told so is gone after another turn of that loop.
    static_cast<void>(co_await await_foreign<bool>(environment_.home, [this](auto done) {
        environment_.loop.post([done = std::move(done)]() mutable { done(true); }, "identity");
    }));
}

// ---- on the sockets' loop

std::string TaskIdentities::path_of(const std::string& task) const {
    return environment_.directory + "/" + core::to_hex(net::crypto::sha256(task)).substr(0, kNameDigits);
}

Result<TaskIdentities::IdentityPtr> TaskIdentities::begin(const std::string& task) {
    if (const auto found = identities_.find(task); found != identities_.end()) return found->second;
    TRY_ASSIGN(IdentityDirectory directory, IdentityDirectory::open(path_of(task)));
    TRY(sockets_.open(task, directory.socket()));
    auto identity = std::make_shared<Identity>(environment_.loop, task, std::move(directory));
    identities_[task] = identity;
    TRY(identity->directory.give_socket());
    identity->work.spawn(renew(identity));
    return identity;
}

Task<Result<std::string>> TaskIdentities::open_here(std::string task) {
    CO_TRY_ASSIGN(const IdentityPtr identity, begin(task));
    auto tried =
        co_await net::with_deadline(environment_.loop, kFirstTokenLimit, "the token", identity->tried.wait());
    if (!tried && tried.error().code == Errc::kCancelled) co_return core::pass(std::move(tried));
    co_return identity->directory.path();
}

void TaskIdentities::drop_here(const std::string& task) {
    sockets_.drop(task);
    auto node = identities_.extract(task);
    if (node.empty()) return;
    IdentityDirectory::remove(node.mapped()->directory.path());
    scope_.spawn([](IdentityPtr ending) -> Task<void> { co_await ending->work.close(); }(node.mapped()));
}

void TaskIdentities::sweep_here(const std::set<std::string>& tasks) const {
    std::set<std::string> kept;
    for (const std::string& task : tasks) kept.insert(path_of(task));
    const std::unique_ptr<DIR, int (*)(DIR*)> all(::opendir(environment_.directory.c_str()), ::closedir);
    if (!all) return;
    std::vector<std::string> gone;
    while (const dirent* entry =
               ::readdir(all.get())) {  // NOLINT(concurrency-mt-unsafe): one stream, one thread
        const std::string path = environment_.directory + "/" + entry->d_name;
        if (entry->d_name[0] != '.' && !kept.contains(path)) gone.push_back(path);
    }
    for (const std::string& path : gone) IdentityDirectory::remove(path);
}

Task<Result<bool>> TaskIdentities::close_here() {
    const auto ending = std::exchange(identities_, {});
    for (const auto& [task, identity] : ending) co_await identity->work.close();
    co_await sockets_.close();
    co_await scope_.close();
    co_return true;
}

Task<void> TaskIdentities::renew(IdentityPtr identity) {
    core::Duration retry = kTokenRetryMin;
    bool failing = false;
    while (true) {
        auto renewed = co_await renew_once(identity);
        if (!renewed && renewed.error().code == Errc::kCancelled) co_return;
        if (!renewed && !std::exchange(failing, true))
            environment_.logger.debug("a task's token",
                                      {{"task", identity->task}, {"error", renewed.error().message}});
        identity->tried.set();
        auto slept = co_await net::sleep(environment_.loop, renewed ? *renewed : retry);
        if (!slept) co_return;
        retry = renewed ? kTokenRetryMin : std::min(retry * 2, kTokenRetryMax);
        failing = !renewed;
    }
}

/// How long the token is good until the next one is due.
Task<Result<core::Duration>> TaskIdentities::renew_once(IdentityPtr identity) {
    CO_TRY(co_await asking_.acquire());
    const net::Semaphore::Permit one(asking_);
    wire::TaskTokenRequest request;
    request.set_task(identity->task);
    CO_TRY_ASSIGN(const Bytes answer, co_await ask(kTaskTokenCall, request.SerializeAsString()));
    wire::TaskToken token;
    if (!token.ParseFromString(answer) || token.token().empty())
        co_return core::fail(Errc::kCorrupt, "the server's answer is no wire.TaskToken");
    CO_TRY(identity->directory.write_token(token.token()));
    const core::Duration left =
        core::milliseconds(token.expires_s() * 1000 - environment_.clock.wall().unix_ms);
    co_return std::clamp(left / 3 * 2, kRenewalMin, kRenewalMax);
}

Task<Result<Bytes>> TaskIdentities::ask(std::string_view call, Bytes request) {
    return await_foreign<Bytes>(environment_.loop,
                                [this, call, request = std::move(request)](auto done) mutable {
                                    environment_.ask(call, std::move(request), std::move(done));
                                });
}

}  // namespace smackd::cmd
