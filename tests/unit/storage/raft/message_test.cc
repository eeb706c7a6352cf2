#include "storage/raft/message.h"

#include <catch2/catch_test_macros.hpp>

#include "storage/raft/configuration.h"

using namespace smackd;
using namespace smackd::storage;

namespace {

core::Bytes append(uint64_t term, uint64_t prev_index, uint64_t prev_term,
                   std::vector<std::pair<uint64_t, uint32_t>> entries) {
    wire::RaftMessage message;
    wire::AppendEntries& args = *message.mutable_append_entries();
    args.set_term(term);
    args.set_prev_log_index(prev_index);
    args.set_prev_log_term(prev_term);
    for (const auto& [entry_term, type] : entries) {
        wire::LogRecord& record = *args.add_entries();
        record.set_term(entry_term);
        record.set_type(type);
    }
    return message.SerializeAsString();
}

bool accepted(const core::Bytes& bytes) {
    return parse_raft_message(core::NodeId{2}, bytes).has_value();
}

}  // namespace

TEST_CASE("raft messages: what libraft would assert on is refused") {
    CHECK(accepted(append(3, 7, 2, {{2, 1}, {3, 2}})));
    CHECK(accepted(append(3, 0, 0, {})));
    CHECK_FALSE(accepted(append(0, 7, 2, {})));
    CHECK_FALSE(accepted(append(3, 7, 0, {})));
    CHECK_FALSE(accepted(append(3, 0, 1, {})));
    CHECK_FALSE(accepted(append(3, 7, 2, {{1, 1}})));  // older than the one before
    CHECK_FALSE(accepted(append(3, 7, 2, {{4, 1}})));  // newer than the leader
    CHECK_FALSE(accepted(append(3, 7, 2, {{3, 4}})));  // no such type
    CHECK_FALSE(accepted(append(3, 7, 2, {{3, 3}})));  // a configuration without contents
    CHECK_FALSE(accepted("rubbish"));
    CHECK_FALSE(accepted(""));
    wire::RaftMessage vote;
    vote.mutable_request_vote()->set_term(4);
    vote.mutable_request_vote()->set_candidate(3);
    CHECK_FALSE(accepted(vote.SerializeAsString()));  // in somebody else's name
    vote.mutable_request_vote()->set_candidate(2);
    CHECK(accepted(vote.SerializeAsString()));
}

TEST_CASE("configuration: survives the encoding, and libraft reads it as we do") {
    const std::vector<Server> servers{
        {.id = {1}, .address = "a:1", .role = ServerRole::kVoter},
        {.id = {9}, .address = "long.name.example:5055", .role = ServerRole::kStandby},
        {.id = {4}, .address = "c:3", .role = ServerRole::kSpare}};
    auto bytes = encode_configuration(servers);
    REQUIRE(bytes.has_value());
    CHECK(bytes->size() % 8 == 0);
    const auto back = decode_configuration(*bytes);
    REQUIRE(back.has_value());
    REQUIRE(back->size() == 3);
    CHECK((*back)[1].address == "long.name.example:5055");
    CHECK((*back)[1].role == ServerRole::kStandby);
    raft_configuration theirs;
    const raft_buffer buffer{.base = bytes->data(), .len = bytes->size()};
    REQUIRE(raft_configuration_decode(&buffer, &theirs) == 0);
    CHECK(from_raft(theirs)[2].id.value == 4);
    raft_configuration_close(&theirs);
    for (size_t length = 0; length < bytes->size() - 8; ++length) {
        CHECK_FALSE(decode_configuration(core::BytesView(*bytes).substr(0, length)).has_value());
    }
    CHECK_FALSE(encode_configuration({servers[0], servers[0]}).has_value());
    CHECK_FALSE(encode_configuration({}).has_value());
}
