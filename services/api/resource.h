// What users, groups, machines and rules have in common: listing, showing, creating, replacing and removing
// rows.
//
// A kind of row is described by a struct with:
//   Put                                     the Put message
//   kKind, kCollection                      "user", "users"
//   all(View&), one(View&, key)             reading
//   key(Put)                                its name in the feed
//   from_json(key, body)                    checked translation
//   put(Command&, Row), remove(Command&, key)
// To change one of these kinds is an admin's right.
#pragma once

#include <string>
#include <utility>

#include "services/api/call.h"
#include "services/api/handlers.h"
#include "services/api/reply.h"
#include "services/api/row_json.h"

namespace smackd::services {

/// Something read, with the revision it was read at.
template <class T>
struct ReadAt {
    T value;
    core::Revision revision;
};

template <class Kind>
core::Result<ReadAt<Rows<typename Kind::Put>>> read_all(View& view) {
    ReadAt<Rows<typename Kind::Put>> read;
    read.revision = view.point().revision;
    TRY_ASSIGN(read.value, Kind::all(view));
    return read;
}

/// The row with its "version", the token for If-Match.
template <class Put>
core::Json versioned_json(const Row<Put>& row, core::Revision now) {
    core::Json json = to_json(row.put);
    json.set("version", core::Revision{now.epoch, row.version}.to_string());
    return json;
}

template <class Kind>
core::Result<ReadAt<Row<typename Kind::Put>>> read_one(View& view, const std::string& key) {
    ReadAt<Row<typename Kind::Put>> read;
    read.revision = view.point().revision;
    TRY_ASSIGN(auto found, Kind::one(view, key));
    if (!found) return core::fail(core::Errc::kNotFound, "no {} '{}'", Kind::kKind, key.substr(0, 64));
    read.value = std::move(*found);
    return read;
}

/// {"users": [...], "revision": ...}, without what the caller may not see. `more` adds to each row.
template <class Kind, class More>
handlers::Answer list_rows(Call& call, More more) {
    CO_TRY(call.view->policy.authorize_somewhere(call.subject(), core::Action::kView));
    CO_TRY(co_await await_freshness(call));
    using Read = ReadAt<Rows<typename Kind::Put>>;
    CO_TRY_ASSIGN(const Read read_rows, co_await read<Read>(call, &read_all<Kind>));
    core::Json::Array array;
    for (const auto& row : read_rows.value) {
        if (!call.sees(Kind::kKind, Kind::key(row.put))) continue;
        array.push_back(more(versioned_json(row, read_rows.revision)));
    }
    core::Json body;
    body.set(Kind::kCollection, core::Json(std::move(array)));
    co_return read_reply(call, read_rows.revision, std::move(body));
}
template <class Kind>
handlers::Answer list_rows(Call& call) {
    return list_rows<Kind>(call, [](core::Json json) { return json; });
}

/// One row, with its version as ETag. Whoever may not see it is not told whether it exists.
template <class Kind, class More>
handlers::Answer show_row(Call& call, More more) {
    if (!call.sees(Kind::kKind, call.argument())) CO_TRY(call.require(core::Action::kView));
    CO_TRY(co_await await_freshness(call));
    using Read = ReadAt<Row<typename Kind::Put>>;
    const std::string key = call.argument();
    CO_TRY_ASSIGN(const Read found,
                  co_await read<Read>(call, [key](View& view) { return read_one<Kind>(view, key); }));
    core::Json json = more(versioned_json(found.value, found.revision));
    const std::string version = json["version"].as_string();
    net::http::Response response = read_reply(call, found.revision, std::move(json));
    response.headers.add("ETag", '"' + version + '"');
    co_return response;
}
template <class Kind>
handlers::Answer show_row(Call& call) {
    return show_row<Kind>(call, [](core::Json json) { return json; });
}

/// POST to the collection: 201, or kConflict when the row exists.
template <class Kind>
handlers::Answer create_row(Call& call, std::string_view key_field) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const core::Json body, co_await read_body(call));
    const std::string key = body[key_field].as_string();
    CO_TRY_ASSIGN(auto row, Kind::from_json(key, body));
    wire::Command command = make_command(call);
    Kind::put(command, std::move(row));
    CO_TRY_ASSIGN(
        const core::Revision revision,
        co_await change(call, std::move(command), {.kind = Kind::kKind, .key = key, .create = true}));
    net::http::Response response = changed_reply(201, revision);
    response.headers.add("Location",
                         std::format("/smack/v1/{}/{}", Kind::kCollection, net::http::percent_encode(key)));
    co_return response;
}

/// PUT: makes the row what the body says, whether it was there or not.
template <class Kind>
handlers::Answer put_row(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    CO_TRY_ASSIGN(const core::Json body, co_await read_body(call));
    CO_TRY_ASSIGN(auto row, Kind::from_json(call.argument(), body));
    wire::Command command = make_command(call);
    Kind::put(command, std::move(row));
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = Kind::kKind, .key = call.argument()}));
    co_return changed_reply(200, revision);
}

template <class Kind>
handlers::Answer remove_row(Call& call) {
    CO_TRY(call.require(core::Action::kAdmin));
    wire::Command command = make_command(call);
    Kind::remove(command, call.argument());
    CO_TRY_ASSIGN(const core::Revision revision,
                  co_await change(call, std::move(command), {.kind = Kind::kKind, .key = call.argument()}));
    co_return changed_reply(200, revision);
}

}  // namespace smackd::services
