#include "tests/history/register_store.h"

#include <format>
#include <map>
#include <optional>

#include "core/bytes.h"
#include "core/json.h"

namespace smackd::history {
namespace {

using Answer = tools::FailoverClient::Answer;

std::map<std::string, size_t>& strange() {
    static std::map<std::string, size_t> counts;
    return counts;
}

void note_strange(const Answer& answer) {
    const std::string text =
        answer ? std::format("{} {}", answer->status, answer->body) : answer.error().message;
    ++strange()[text.substr(0, 160)];
}

// ---- smackd

class SmackdRegisters final : public RegisterStore {
 public:
    net::Task<Reply> read(tools::FailoverClient& client, Seen& seen) override {
        auto answer = co_await client.request("GET", path(seen) + "?consistent=true", "");
        if (answer && answer->status == 404) {
            seen.value.clear();
            seen.version.clear();
            co_return Reply::kOk;
        }
        if (!answer || answer->status != 200) co_return failed(client, answer);
        const auto json = core::Json::parse(answer->body);
        if (!json) co_return failed(client, answer);
        seen.value = (*json)["description"].as_string();
        seen.version = (*json)["version"].as_string();
        co_return Reply::kOk;
    }
    net::Task<Reply> write(tools::FailoverClient& client, Seen& seen, std::string value,
                           std::string key) override {
        co_return co_await put(client, seen, std::move(value), std::move(key), {});
    }
    net::Task<Reply> compare_and_set(tools::FailoverClient& client, Seen& seen, std::string value,
                                     std::string key) override {
        std::string version = '"' + seen.version + '"';
        co_return co_await put(client, seen, std::move(value), std::move(key), std::move(version));
    }
    bool repeats() const override { return true; }

 private:
    static std::string path(const Seen& seen) { return "/smack/v1/groups/" + seen.name; }

    static net::Task<Reply> put(tools::FailoverClient& client, Seen& seen, std::string value, std::string key,
                                std::string if_match) {
        core::Json body;
        body.set("description", value).set("members", core::Json::array());
        net::http::Headers headers;
        headers.set("Idempotency-Key", key);
        if (!if_match.empty()) headers.set("If-Match", if_match);
        auto answer = co_await client.request("PUT", path(seen), body.dump(), std::move(headers));
        if (answer && answer->status == 409 && !if_match.empty()) co_return Reply::kMismatch;
        const bool done = answer && (answer->status == 200 || answer->status == 201);
        if (!done) co_return failed(client, answer);
        const auto json = core::Json::parse(answer->body);
        seen.value = std::move(value);
        seen.version = json ? (*json)["revision"].as_string() : std::string();
        co_return Reply::kOk;
    }

    /// docs/api.md: these codes say that nothing was done.
    static Reply failed(const tools::FailoverClient& client, const Answer& answer) {
        note_strange(answer);
        if (!answer) return client.sent() ? Reply::kUnknown : Reply::kRefused;
        const auto json = core::Json::parse(answer->body);
        const std::string code = json ? (*json)["error"]["code"].as_string() : std::string();
        const bool refused =
            code == "unavailable" || code == "busy" || code == "disk_full" || code == "invalid";
        return refused ? Reply::kRefused : Reply::kUnknown;
    }
};

// ---- etcd

class EtcdRegisters final : public RegisterStore {
 public:
    net::Task<Reply> read(tools::FailoverClient& client, Seen& seen) override {
        core::Json body;
        body.set("key", core::to_base64(seen.name));
        auto answer = co_await client.request("POST", "/v3/kv/range", body.dump());
        const auto json = parsed(answer);
        if (!json) co_return failed(client, answer);
        const auto& pairs = (*json)["kvs"].as_array();
        seen.value = pairs.empty() ? std::string() : decoded(pairs[0]["value"]);
        seen.version = seen.value;
        co_return Reply::kOk;
    }
    net::Task<Reply> write(tools::FailoverClient& client, Seen& seen, std::string value,
                           std::string) override {
        auto answer = co_await client.request("POST", "/v3/kv/put", put(seen, value).dump());
        if (!parsed(answer)) co_return failed(client, answer);
        seen.value = std::move(value);
        seen.version = seen.value;
        co_return Reply::kOk;
    }
    net::Task<Reply> compare_and_set(tools::FailoverClient& client, Seen& seen, std::string value,
                                     std::string) override {
        core::Json compare;
        compare.set("key", core::to_base64(seen.name)).set("target", "VALUE").set("result", "EQUAL");
        compare.set("value", core::to_base64(seen.value));
        core::Json request;
        request.set("request_put", put(seen, value));
        core::Json body;
        body.set("compare", core::Json::array().push(std::move(compare)));
        body.set("success", core::Json::array().push(std::move(request)));
        auto answer = co_await client.request("POST", "/v3/kv/txn", body.dump());
        const auto json = parsed(answer);
        if (!json) co_return failed(client, answer);
        if (!(*json)["succeeded"].as_bool()) co_return Reply::kMismatch;
        seen.value = std::move(value);
        seen.version = seen.value;
        co_return Reply::kOk;
    }
    bool repeats() const override { return false; }

 private:
    static core::Json put(const Seen& seen, const std::string& value) {
        core::Json json;
        json.set("key", core::to_base64(seen.name)).set("value", core::to_base64(value));
        return json;
    }
    static std::string decoded(const core::Json& text) {
        return core::from_base64(text.as_string()).value_or(core::Bytes("undecodable"));
    }
    static std::optional<core::Json> parsed(const Answer& answer) {
        if (!answer || answer->status != 200) return std::nullopt;
        auto json = core::Json::parse(answer->body);
        if (!json) return std::nullopt;
        return std::move(*json);
    }
    /// Its errors do not say whether something was done.
    static Reply failed(const tools::FailoverClient& client, const Answer& answer) {
        note_strange(answer);
        return client.sent() ? Reply::kUnknown : Reply::kRefused;
    }
};

}  // namespace

std::unique_ptr<RegisterStore> smackd_registers() {
    return std::make_unique<SmackdRegisters>();
}
std::unique_ptr<RegisterStore> etcd_registers() {
    return std::make_unique<EtcdRegisters>();
}

std::string strange_answers() {
    std::string text;
    for (const auto& [answer, count] : strange()) text += std::format("{} x {}\n", count, answer);
    return text;
}

}  // namespace smackd::history
