// Blobs: rows by name, limits of their bytes, and which apps use them.
#include <charconv>
#include <format>

#include "core/blobs/blob_uri.h"
#include "core/images/image_name.h"
#include "core/wire/serialize.h"
#include "storage/state/app_rows.h"
#include "storage/state/blob_rows.h"
#include "storage/state/changes.h"

namespace smackd::storage::state {

using core::Action;
using core::Errc;
using core::blobs::BlobUri;

namespace {

struct Limit {
    std::string path;
    uint64_t bytes = 0;
};

/// Of all paths that `name` is at or below; "/" is always among them.
core::Result<std::vector<Limit>> limits_of(sqlite::Database& state, std::string_view name) {
    std::vector<Limit> limits{{"/", kBlobBytesTotal}};
    TRY_ASSIGN(auto cursor, state.query("SELECT name, value FROM settings WHERE name >= 'blob-limit/' AND "
                                        "name < 'blob-limit0' ORDER BY name"));
    while (true) {
        TRY_ASSIGN(const bool more, cursor.next());
        if (!more) return limits;
        const std::string path(cursor.row().text(0).substr(kBlobLimitPrefix.size()));
        const std::string_view value = cursor.row().text(1);
        uint64_t bytes = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), bytes);
        if (error != std::errc() || end != value.data() + value.size()) continue;  // taken back
        if (path == "/") {
            limits.front().bytes = bytes;
        } else if (core::path_covers(path, name)) {
            limits.push_back({path, bytes});
        }
    }
}

/// Of blobs at and below the path, but for `name`; of all together also what only apps still use.
core::Result<uint64_t> bytes_below(sqlite::Database& state, const std::string& path,
                                   const std::string& name) {
    const char* all =
        "SELECT ifnull(sum(size), 0) FROM (SELECT sha256, size FROM blobs WHERE name <> ?1 UNION "
        "SELECT sha256, size FROM blob_uses)";
    const char* below =
        "SELECT ifnull(sum(size), 0) FROM blobs WHERE name <> ?1 AND "
        "(name = ?2 OR substr(name, 1, length(?2) + 1) = ?2 || '/')";
    TRY_ASSIGN(const int64_t bytes,
               path == "/" ? state.integer(all, {name}) : state.integer(below, {name, path}));
    return static_cast<uint64_t>(bytes);
}

Outcome<void> check_image(Writer& writer, const wire::Blob& blob) {
    if (blob.image().empty()) return {};
    auto name = core::images::ImageName::parse(blob.image());
    if (!name || name->to_string() != blob.image())
        return refuse(Errc::kInvalid, "image '{}': must be an image's full name", blob.image().substr(0, 64));
    return may_on_app(writer, Action::kAdmin, "/");  // every app of that image runs it
}

core::Result<std::string> image_of(sqlite::Database& state, const std::string& name) {
    TRY_ASSIGN(auto cursor, state.query("SELECT image FROM blobs WHERE name = ?", {name}));
    TRY_ASSIGN(const bool found, cursor.next());
    return found ? std::string(cursor.row().text(0)) : std::string();
}

/// The size of the blob that a URI means where the actor may view it under some name; none: kNotFound.
Outcome<uint64_t> visible_size(Writer& writer, const BlobUri& uri) {
    if (!uri.name.empty()) TRY(may_on_app(writer, Action::kView, uri.name));
    const char* sql = uri.name.empty() ? "SELECT name, size FROM blobs WHERE sha256 = ?1 ORDER BY name"
                                       : "SELECT name, size FROM blobs WHERE sha256 = ?1 AND name = ?2";
    std::vector<std::pair<std::string, uint64_t>> found;
    {
        TRY_ASSIGN(auto cursor, uri.name.empty() ? writer.state().query(sql, {uri.digest->hex()})
                                                 : writer.state().query(sql, {uri.digest->hex(), uri.name}));
        while (true) {
            TRY_ASSIGN(const bool more, cursor.next());
            if (!more) break;
            found.emplace_back(cursor.row().text(0), cursor.row().number(1));
        }
    }
    for (const auto& [name, size] : found) {
        const auto allowed = may_on_app(writer, Action::kView, name);
        if (allowed) return size;
        if (!allowed.error().refused) return std::unexpected(allowed.error());
    }
    return refuse(Errc::kNotFound, "there is no such blob that you may view");
}

Outcome<uint64_t> size_of_fetch(Writer& writer, const std::string& app, const std::string& text) {
    const auto uri = core::blobs::parse_blob_uri(text);
    if (!uri) return refuse(Errc::kInvalid, "{}", uri.error().message);
    if (!uri->digest) return refuse(Errc::kInvalid, "the blob's digest is missing: {}#sha256=HEX", text);
    TRY_ASSIGN(const int64_t used,
               writer.state().integer("SELECT ifnull(max(size) + 1, 0) FROM blob_uses WHERE sha256 = ? AND "
                                      "app = ?",
                                      {uri->digest->hex(), app}));
    if (used > 0) return static_cast<uint64_t>(used - 1);  // scaled, changed or rolled back
    return visible_size(writer, *uri);
}

template <class Each>
Outcome<void> for_blobs(const wire::AppDefinition& app, Each each) {
    for (int i = 0; i < app.fetch_size(); ++i) {
        if (!core::blobs::is_blob_uri(app.fetch(i).uri())) continue;
        Outcome<void> done = each(app.fetch(i).uri());
        if (done || !done.error().refused) {
            TRY(done);
            continue;
        }
        core::Error& error = done.error().error;
        return refuse(error.code, "app '{}': fetch({}).uri '{}': {}", app.id(), i,
                      app.fetch(i).uri().substr(0, 128), error.message);
    }
    return {};
}

}  // namespace

core::Result<std::optional<core::Error>> blob_limit_problem(sqlite::Database& state, const std::string& name,
                                                            uint64_t size) {
    using Problem = std::optional<core::Error>;
    if (size > kBlobBytesMax) {
        return Problem(core::Error{
            Errc::kInvalid,
            std::format("blob '{}': {} bytes, the limit of one is {}", name, size, kBlobBytesMax), 0});
    }
    TRY_ASSIGN(const int64_t blobs, state.integer("SELECT count(*) FROM blobs WHERE name <> ?", {name}));
    if (blobs >= kBlobsMax) {
        return Problem(core::Error{
            Errc::kBusy, std::format("there are {} blobs already, the limit is {}", blobs, kBlobsMax), 0});
    }
    TRY_ASSIGN(const auto limits, limits_of(state, name));
    for (const Limit& limit : limits) {
        TRY_ASSIGN(const uint64_t others, bytes_below(state, limit.path, name));
        if (size <= limit.bytes && others <= limit.bytes - size) continue;
        return Problem(core::Error{
            Errc::kInvalid,
            std::format("blob '{}': its {} bytes and the {} of the others at {} are more than the {} allowed "
                        "there; remove some, or an admin raises it: smackd blob limit {} BYTES",
                        name, size, others, limit.path, limit.bytes, limit.path),
            0});
    }
    return Problem();
}

Outcome<void> put_blob(Writer& writer, const wire::PutBlob& change) {
    wire::Blob blob = change.blob();
    TRY(refused(core::blobs::check_blob_name(blob.name())));
    if (!core::images::Digest::parse("sha256:" + blob.sha256()))
        return refuse(Errc::kInvalid, "sha256 '{}': must have 64 lower-case hex digits",
                      blob.sha256().substr(0, 80));
    TRY_ASSIGN(const auto version, row_version(writer.state(), "blob", blob.name(), kLevelOfBlobs));
    const bool exists = version.value_or(0) != 0;
    TRY(may_on_app(writer, exists ? Action::kChange : Action::kLaunch, blob.name()));
    TRY(check_image(writer, blob));
    TRY_ASSIGN(const std::string image, image_of(writer.state(), blob.name()));
    if (!image.empty()) TRY(may_on_app(writer, Action::kAdmin, "/"));
    TRY_ASSIGN(const auto problem, blob_limit_problem(writer.state(), blob.name(), blob.size()));
    if (problem) return std::unexpected(Failure(*problem, true));
    blob.set_principal(writer.command().actor().principal());
    blob.set_put_ms(writer.position().time_ms);
    core::Bytes bytes = serialize(blob);
    TRY(writer.state().run("INSERT OR REPLACE INTO blobs VALUES(?, ?, ?, ?, ?, ?)",
                           {blob.name(), blob.sha256(), blob.size(), blob.image(), sqlite::Blob{bytes},
                            writer.next_revision()}));
    TRY(writer.emit({.kind = "blob", .key = blob.name(), .row = std::move(bytes)}));
    return {};
}

Outcome<void> remove_blob(Writer& writer, const wire::RemoveBlob& change) {
    TRY(may_on_app(writer, Action::kKill, change.name()));
    TRY_ASSIGN(const std::string image, image_of(writer.state(), change.name()));
    if (!image.empty()) TRY(may_on_app(writer, Action::kAdmin, "/"));
    TRY(writer.state().run("DELETE FROM blobs WHERE name = ?", {change.name()}));
    if (writer.state().changes() == 0)
        return refuse(Errc::kNotFound, "no blob '{}'", change.name().substr(0, 128));
    TRY(writer.emit({.kind = "blob", .key = change.name(), .removed = true}));
    return {};
}

Outcome<void> check_fetches(Writer& writer, const wire::AppDefinition& app) {
    if (writer.position().feature_level < kLevelOfBlobs) return {};
    return for_blobs(app, [&](const std::string& uri) -> Outcome<void> {
        TRY(size_of_fetch(writer, app.id(), uri));
        return {};
    });
}

Outcome<void> write_blob_uses(Writer& writer, const wire::AppDefinition& app) {
    if (writer.position().feature_level < kLevelOfBlobs) return {};
    TRY(for_blobs(app, [&](const std::string& uri) -> Outcome<void> {
        TRY_ASSIGN(const uint64_t size, size_of_fetch(writer, app.id(), uri));
        TRY(writer.state().run(
            "INSERT OR REPLACE INTO blob_uses VALUES(?, ?, ?, ?)",
            {core::blobs::parse_blob_uri(uri)->digest->hex(), app.id(), app.version_ms(), size}));
        return {};
    }));
    TRY(
        writer.state().run("DELETE FROM blob_uses WHERE app = ?1 AND version_ms NOT IN "
                           "(SELECT version_ms FROM app_versions WHERE app = ?1)",
                           {app.id()}));
    return {};
}

Outcome<void> remove_blob_uses(Writer& writer, const std::string& app_id) {
    if (writer.position().feature_level < kLevelOfBlobs) return {};
    TRY(writer.state().run("DELETE FROM blob_uses WHERE app = ?", {app_id}));
    return {};
}

}  // namespace smackd::storage::state
