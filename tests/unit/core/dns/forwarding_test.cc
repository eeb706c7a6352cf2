#include "core/dns/forwarding.h"

#include <catch2/catch_test_macros.hpp>

#include "core/dns/rate_limit.h"
#include "tests/unit/core/dns/packet.h"

namespace smackd::core::dns {
namespace {

using test::question;

/// A reply to `sent` with one A record, and OPT when the query had it.
Bytes reply_to(const Bytes& sent, uint32_t ttl_s, uint16_t rcode = 0) {
    Bytes reply = sent;
    write_u16(reply.data() + 2, static_cast<uint16_t>(0x8180 | rcode));
    write_u16(reply.data() + 6, 1);
    const size_t opt = reply.size() - 11;
    Bytes record("\xc0\x0c\0\1\0\1\0\0\0\0\0\4\xc0\0\2\1", 16);
    write_u32(record.data() + 6, ttl_s);
    reply.insert(opt, record);
    return reply;
}

Query parsed(const Bytes& packet) {
    Query query;
    REQUIRE(query.parse(packet));
    REQUIRE(query.verdict == kNoError);
    return query;
}

TEST_CASE("a query goes out with an id and a spelling of its own, and only its own reply is taken") {
    const Bytes packet = question("Abcdefghijklmnop.example.org", kTypeA, 1232);
    const Query query = parsed(packet);
    SeededRandom random(1);
    const Bytes sent = outgoing_query(query, 4711, random);
    CHECK(read_u16(sent, 0) == 4711);
    CHECK(parsed(sent).name() == query.name());
    CHECK(sent.substr(kHeaderBytes) != outgoing_query(query, 4711, random).substr(kHeaderBytes));
    const Bytes reply = reply_to(sent, 60);
    CHECK(answers(reply, sent));
    Bytes forged = reply;
    forged[kHeaderBytes + 3] = static_cast<char>(forged[kHeaderBytes + 3] ^ 0x20);
    CHECK_FALSE(answers(forged, sent));
    forged = reply;
    forged[0] = 0;
    CHECK_FALSE(answers(forged, sent));
    CHECK_FALSE(answers(sent, sent));
    CHECK_FALSE(answers("short", sent));
}

TEST_CASE("the asker gets its own id and spelling, and OPT only when it speaks EDNS") {
    const Bytes packet = question("WWW.example.ORG", kTypeA);
    const Query query = parsed(packet);
    SeededRandom random(1);
    const Bytes reply = reply_to(outgoing_query(query, 9, random), 60);
    const test::Reply got = test::read_reply(incoming_reply(query, reply, 512));
    CHECK(got.id == 7);
    CHECK(got.name == "WWW.example.ORG");
    CHECK(got.sections[0] == std::vector<std::string>{"WWW.example.ORG A 192.0.2.1"});
    CHECK_FALSE(got.edns);
    CHECK((got.flags & kFlagRecursionAvailable) != 0);
    CHECK((test::read_reply(incoming_reply(query, reply, 40)).flags & kFlagTruncated) != 0);
}

TEST_CASE("replies are kept as long as they say, and aged") {
    const Bytes packet = question("www.example.org", kTypeA);
    const Query query = parsed(packet);
    SeededRandom random(1);
    const Bytes sent = outgoing_query(query, 9, random);
    CHECK(cache_ttl(reply_to(sent, 60)) == 60);
    CHECK(cache_ttl(reply_to(sent, 1'000'000)) == kCacheTtlMaxS);
    CHECK_FALSE(cache_ttl(reply_to(sent, 0)));
    CHECK_FALSE(cache_ttl(reply_to(sent, 60, kServerFailure)));
    CHECK_FALSE(cache_ttl(reply_to(sent, 60, kNameError)));  // negative without SOA
    CHECK_FALSE(cache_ttl(reply_to(sent, 60).substr(0, 40)));

    ReplyCache cache(10'000);
    const Instant start{seconds(100)};
    cache.put(query, reply_to(sent, 60), start);
    auto kept = cache.find(query, start + seconds(20));
    REQUIRE(kept);
    CHECK(cache_ttl(*kept) == 40);
    const Bytes upper = question("WWW.EXAMPLE.ORG", kTypeA);
    CHECK(cache.find(parsed(upper), start));
    const Bytes other = question("www.example.org", kTypeAaaa);
    CHECK_FALSE(cache.find(parsed(other), start));
    CHECK_FALSE(cache.find(query, start + seconds(60)));
    CHECK(cache.bytes() == 0);
}

TEST_CASE("the cache has a limit; the oldest goes") {
    ReplyCache cache(2000);
    SeededRandom random(1);
    const Instant now{seconds(1)};
    for (int i = 0; i < 50; ++i) {
        const Bytes packet = question("n" + std::to_string(i) + ".example.org", kTypeA);
        const Query query = parsed(packet);
        cache.put(query, reply_to(outgoing_query(query, 1, random), 60), now);
        CHECK(cache.bytes() <= 2000);
        CHECK(cache.find(query, now));
    }
    const Bytes first = question("n0.example.org", kTypeA);
    CHECK_FALSE(cache.find(parsed(first), now));
}

TEST_CASE("a source that asks too much is limited, others are not") {
    RateLimit limit(10);
    const auto noisy = *IpAddress::parse("10.0.0.1");
    const auto quiet = *IpAddress::parse("10.0.0.2");
    const Instant now{seconds(5)};
    int allowed = 0;
    for (int i = 0; i < 100; ++i) allowed += limit.allow(noisy, now) ? 1 : 0;
    CHECK(allowed == 10);
    CHECK(limit.allow(quiet, now));
    CHECK(limit.allow(noisy, now + milliseconds(150)));
    CHECK_FALSE(limit.allow(noisy, now + milliseconds(160)));
    const auto one = *IpAddress::parse("fd00::1");
    const auto two = *IpAddress::parse("fd00::2");
    for (int i = 0; i < 10; ++i) CHECK(limit.allow(one, now));
    CHECK_FALSE(limit.allow(two, now));  // one network, one household
}

}  // namespace
}  // namespace smackd::core::dns
