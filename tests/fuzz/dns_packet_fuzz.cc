// DNS packets of clients and of forwarders: no crash, answers that fit and that belong to their question.

#include <algorithm>
#include <cstdlib>

#include "core/dns/answer.h"
#include "core/dns/forwarding.h"
#include "core/dns/records.h"

namespace {

using namespace smackd::core;
using namespace smackd::core::dns;

const Zone& zone() {
    static const Zone made = [] {
        Zone zone;
        const NameRules rules;
        zone.authority = authority(rules, 1);
        zone.aliases = aliases(rules);
        smackd::wire::EdgeSettings settings;
        settings.add_leader_addresses("10.0.0.1");
        std::vector<std::string> problems;
        zone.set("settings", records_of(settings, rules, problems));
        for (int i = 0; i < 40; ++i) {
            smackd::wire::EdgeTask task;
            task.set_id("t" + std::to_string(i));
            task.set_name("w");
            task.set_running(true);
            task.add_host_addresses("10.0.0." + std::to_string(i));
            task.add_ports()->set_host_port(80);
            zone.set(task.id(), records_of(task, rules, static_cast<TenantId>(i % 3)));
        }
        return zone;
    }();
    return made;
}

/// The question again, in lower case as the query keeps it.
bool same_question(const Query& query, BytesView reply) {
    const BytesView back = reply.substr(kHeaderBytes, query.question.size());
    if (back != query.question) return false;
    Bytes lower(back.substr(0, query.name().size()));
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    return lower == query.name();
}

void answer_it(const Query& query, size_t bytes_max, TenantId asker) {
    static std::vector<char> out(kMessageBytesMax);
    const Answer made = answer(zone(), query, {asker, bytes_max, 3}, out);
    if (made.whose == Whose::kForeign) return;
    if (made.bytes < kHeaderBytes || made.bytes > bytes_max) std::abort();
    const BytesView reply(out.data(), made.bytes);
    if (read_u16(reply, 0) != query.id || (read_u16(reply, 2) & kFlagResponse) == 0) std::abort();
    if (!query.question.empty() && !same_question(query, reply)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const BytesView bytes(reinterpret_cast<const char*>(data), size);
    // As a forwarder's reply.
    Bytes reply(bytes);
    static_cast<void>(cache_ttl(reply));
    age(reply, 10);
    // As a query; twice, since one object serves all.
    Query query;
    if (!query.parse(bytes)) return 0;
    answer_it(query, query.udp_bytes, kEverybody);
    answer_it(query, kMessageBytesMax, 1);
    if (query.verdict != kNoError) return 0;
    SeededRandom random(size);
    const Bytes sent = outgoing_query(query, 77, random);
    Query again;
    if (!again.parse(sent) || again.verdict != kNoError || again.name() != query.name()) std::abort();
    Bytes answered = sent;
    answered[2] = static_cast<char>(answered[2] | 0x80);
    if (!answers(answered, sent)) std::abort();
    const Bytes back = incoming_reply(query, answered, query.udp_bytes);
    if (back.size() > query.udp_bytes || read_u16(back, 0) != query.id || !same_question(query, back))
        std::abort();
    return 0;
}
