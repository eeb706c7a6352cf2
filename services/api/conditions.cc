#include "services/api/conditions.h"

#include <charconv>
#include <string>

#include "core/planted.h"
#include "net/crypto/hash.h"

namespace smackd::services {

using core::Errc;
using core::fail;
using core::Result;
using core::Revision;
using net::http::Request;

namespace {

std::string_view shown(std::string_view text) {
    return text.substr(0, 64);
}

/// The revision inside one strong entity tag (RFC 9110 section 8.8.3): "3.42" with its quotes.
Result<Revision> parse_tag(std::string_view tag) {
    if (tag.size() < 2 || tag.front() != '"' || tag.back() != '"') {
        return fail(Errc::kInvalid, "If-Match '{}': must be one version in double quotes, such as \"3.42\"",
                    shown(tag));
    }
    auto revision = Revision::parse(tag.substr(1, tag.size() - 2));
    if (!revision) return core::pass(std::move(revision), "If-Match");
    return revision;
}

void append_part(core::Bytes& out, std::string_view part) {
    core::put_u64(out, part.size());
    out += part;
}

}  // namespace

Result<WriteConditions> WriteConditions::of(const Request& request) {
    WriteConditions conditions;
    if (const std::string* tag = request.headers.find("If-Match")) {
        TRY_ASSIGN(conditions.version, parse_tag(*tag));
    }
    if (const std::string* tag = request.headers.find("If-None-Match")) {
        if (*tag != "*") return fail(Errc::kInvalid, "If-None-Match '{}': only * is known here", shown(*tag));
        conditions.must_be_absent = true;
    }
    if (const auto text = request.query("if_version")) {
        auto revision = Revision::parse(*text);
        if (!revision) return core::pass(std::move(revision), "if_version");
        if (conditions.version && *conditions.version != *revision) {
            return fail(Errc::kInvalid, "if_version: differs from If-Match");
        }
        conditions.version = *revision;
    }
    if (conditions.must_be_absent && conditions.version) {
        return fail(Errc::kInvalid, "If-None-Match: contradicts the expected version");
    }
    return conditions;
}

Result<void> WriteConditions::apply_to(wire::Command& command, std::string_view kind, std::string_view key,
                                       Revision now) const {
    if (!version && !must_be_absent) return {};
    if (version && version->epoch != now.epoch) {
        return fail(Errc::kConflict,
                    "version {}: the cluster was restored since (epoch {} now); read it again",
                    version->to_string(), now.epoch);
    }
    if (version && version->number == 0) {
        return fail(Errc::kInvalid, "version {}: no row has it; use If-None-Match: * to create",
                    version->to_string());
    }
    wire::Expect* expect = command.add_expected();
    expect->set_kind(std::string(kind));
    expect->set_key(std::string(key));
    expect->set_version(version ? version->number : 0);
    return {};
}

Result<ReadConditions> ReadConditions::of(const Request& request) {
    ReadConditions conditions;
    if (const auto text = request.query("min_revision")) {
        auto revision = Revision::parse(*text);
        if (!revision) return core::pass(std::move(revision), "min_revision");
        conditions.min_revision = *revision;
    }
    TRY_ASSIGN(const int64_t wait_ms,
               query_integer(request, "wait_ms", kReadWaitDefault.count(), 0, kReadWaitMax.count()));
    conditions.wait = core::milliseconds(wait_ms);
    TRY_ASSIGN(conditions.consistent, query_flag(request, "consistent"));
    return conditions;
}

Result<Idempotency> Idempotency::of(const Request& request, std::string_view principal,
                                    core::BytesView body) {
    const std::string* key = request.headers.find("Idempotency-Key");
    if (key == nullptr) return Idempotency{};
    if (key->empty() || key->size() > kIdempotencyKeyBytesMax || !net::http::valid_field_value(*key)) {
        return fail(Errc::kInvalid, "Idempotency-Key: must be 1 to {} printable characters",
                    kIdempotencyKeyBytesMax);
    }
    core::Bytes parts;
    for (const std::string_view part : {principal, std::string_view(*key), std::string_view(request.method),
                                        std::string_view(request.raw_target), body}) {
        append_part(parts, part);
    }
    const core::Bytes hash = net::crypto::sha256(parts);
    // 0 means "no deduplication"; a client of its own for each key, so the sequence is the first.
    return Idempotency{core::get_u64(hash.data()) | 1U, 1};
}

Result<int64_t> query_integer(const Request& request, std::string_view name, int64_t fallback, int64_t low,
                              int64_t high) {
    const auto text = request.query(name);
    if (!text) return fallback;
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size() || value < low ||
        (value > high && !SMACK_BUG("fuzz_conditions"))) {
        return fail(Errc::kInvalid, "{} '{}': must be a whole number from {} to {}", name, shown(*text), low,
                    high);
    }
    return value;
}

Result<bool> query_flag(const Request& request, std::string_view name) {
    const auto text = request.query(name);
    if (!text || *text == "false" || *text == "0") return false;
    if (*text == "true" || *text == "1" || text->empty()) return true;
    return fail(Errc::kInvalid, "{} '{}': must be true or false", name, shown(*text));
}

}  // namespace smackd::services
