// All names we answer for, with their records: a hash table of lower-case wire names that changes owner by
// owner (a task, a static name, the settings), never as a whole.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/dns/query.h"
#include "core/ip_address.h"

namespace smackd::core::dns {

using TenantId = uint16_t;
inline constexpr TenantId kEverybody = 0;  ///< of a record: all may see it; of an asker: sees all
/// Of an asker: a task that is not known (yet). Sees only what is everybody's.
inline constexpr TenantId kStranger = 0xffff;

struct Record {
    uint16_t type = 0;
    TenantId tenant = kEverybody;
    uint32_t owner = 0;
    uint32_t ttl_s = 0;
    Bytes data;  ///< RDATA; names in it are whole
};

struct NamedRecord {
    Bytes name;  ///< wire form, lower case
    Record record;
};

/// What is known of one name. Records are in order of type and data.
struct Node {
    std::vector<Record> records;
    uint32_t children = 0;  ///< names directly below; a name with children exists (RFC 8020)
    bool is_apex() const { return !records.empty() && records.front().type == kTypeApex; }
};

/// Names under `suffix` are looked up under `instead` when they are not there themselves.
struct SuffixAlias {
    Bytes suffix;
    Bytes instead;
};

/// The constant parts of SOA and NS answers.
struct Authority {
    Bytes name_server;  ///< wire name
    Bytes mailbox;
    uint32_t serial = 0;
    uint32_t ttl_s = 5;  ///< of negative answers, too
};

/// Numbers for tenants' names, which stay the same over all zones.
class TenantNumbers {
 public:
    /// The empty name is kEverybody.
    TenantId of(std::string_view name);

 private:
    std::map<std::string, TenantId, std::less<>> numbers_;
};

class Zone {
 public:
    /// Replaces all that `owner` ("task ID", "name NAME") has; no records remove it.
    void set(std::string_view owner, std::vector<NamedRecord> records);

    const Node* find(BytesView name) const;

    /// From which addresses a tenant's tasks ask, or common ones (kEverybody). No addresses remove it.
    void set_source(std::string_view owner, std::vector<IpAddress> addresses, TenantId tenant);
    /// Of addresses that are no task's: kStranger within `task_networks`, else kEverybody.
    TenantId tenant_of(const IpAddress& source) const;

    Authority authority;
    std::vector<SuffixAlias> aliases;
    bool recursion = false;  ///< other names are forwarded
    std::vector<IpNetwork> task_networks;

    size_t names() const { return nodes_.size(); }

 private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view bytes) const { return std::hash<std::string_view>()(bytes); }
    };
    using Nodes = std::unordered_map<Bytes, Node, Hash, std::equal_to<>>;
    using Position = Nodes::value_type*;
    struct Owner {
        uint32_t id = 0;
        std::vector<Position> at;
    };
    struct Source {
        TenantId tenant = kEverybody;
        uint32_t uses = 0;
    };
    struct SourceOwner {
        std::vector<IpAddress> addresses;
        TenantId tenant = kEverybody;
    };

    Position reach(BytesView name);
    void drop_if_empty(Position position);
    void take_away(Owner& owner);

    Nodes nodes_;
    std::unordered_map<std::string, Owner, Hash, std::equal_to<>> owners_;
    std::unordered_map<std::string, SourceOwner, Hash, std::equal_to<>> source_owners_;
    std::unordered_map<IpAddress, Source, IpAddressHash> sources_;
    uint32_t last_owner_ = 0;
};

}  // namespace smackd::core::dns
