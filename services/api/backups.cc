// /smack/v1/backup and /smack/v1/backups: a backup to take away, and those of the schedule on this server.
#include "services/api/backup_door.h"
#include "services/api/handlers.h"
#include "services/api/reply.h"

namespace smackd::services::handlers {

using core::Bytes;
using core::Errc;
using core::fail;
using core::Json;
using core::Result;
using net::Task;
using net::http::BodyWriter;
using net::http::Response;

namespace {

constexpr size_t kSendBytes = 256 * 1024;

Result<BackupDoor*> door_of(const Call& call) {
    if (call.api.environment.backups != nullptr) return call.api.environment.backups;
    return fail(Errc::kUnsupported, "this server makes no backups");
}

/// What a running answer needs: the request is gone by then.
struct Sending {
    net::Loop& loop;
    net::WorkerPool& workers;
    OpenBackup backup;
};

Task<Result<void>> send(std::shared_ptr<Sending> sending, BodyWriter& out) {
    for (uint64_t at = 0; at < sending->backup.bytes;) {
        const auto size = static_cast<size_t>(std::min<uint64_t>(kSendBytes, sending->backup.bytes - at));
        auto piece = co_await sending->workers.run<Bytes>(sending->loop, [&]() -> Result<Bytes> {
            Bytes bytes(size, '\0');
            TRY_ASSIGN(const size_t got, sending->backup.file->read_at(at, bytes.data(), size));
            if (got != size) return fail(Errc::kIo, "the backup is shorter than it was");
            return bytes;
        });
        if (!piece) co_return core::pass(std::move(piece));
        CO_TRY(co_await out.write(*piece));
        at += size;
    }
    co_return Result<void>();
}

}  // namespace

// Everything the cluster knows: admins only, although nothing can be read without the recovery key.
Answer make_backup(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY(co_await read_body(call));  // its type keeps other sites' pages out
    CO_TRY(co_await await_freshness(call));
    CO_TRY_ASSIGN(BackupDoor * door, door_of(call));
    auto made = co_await door->make();
    if (!made) co_return core::pass(std::move(made), "making a backup");
    ApiEnvironment& environment = call.api.environment;
    environment.logger.info(
        "backup sent",
        {{"principal", call.principal()}, {"revision", made->revision.to_string()}, {"bytes", made->bytes}});
    Response response;
    response.headers.add("Content-Type", "application/octet-stream");
    response.headers.add("Cache-Control", "no-store");
    response.headers.add("X-Content-Type-Options", "nosniff");
    response.headers.add("X-Smack-Revision", made->revision.to_string());
    response.headers.add("X-Smack-Backup-Bytes", std::to_string(made->bytes));
    auto sending = std::make_shared<Sending>(environment.loop, environment.workers, std::move(*made));
    response.stream = [sending](BodyWriter& out) { return send(sending, out); };
    co_return response;
}

Answer list_backups(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(BackupDoor * door, door_of(call));
    auto stored = co_await door->list();
    if (!stored) co_return core::pass(std::move(stored));
    Json rows = Json::array();
    for (const StoredBackup& backup : *stored) {
        Json row;
        row.set("name", backup.name).set("time_ms", backup.time.unix_ms).set("bytes", backup.bytes);
        rows.push(std::move(row));
    }
    const BackupPlan& plan = door->plan();
    Json json;
    json.set("server", call.api.options.node.machine).set("directory", plan.directory);
    json.set("every_s", int64_t{std::chrono::duration_cast<core::seconds>(plan.every).count()});
    json.set("keep", plan.keep).set("backups", std::move(rows));
    co_return json_reply(200, json);
}

}  // namespace smackd::services::handlers
