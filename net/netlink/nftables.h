// nftables by netlink (linux/netfilter/nf_tables.h): tables, chains, rules, sets and maps of one "inet"
// table, changed in batches that happen whole or not at all. No command of nft's is run: one element costs 11
// ms there and 0.1 ms here.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/bytes.h"
#include "core/result.h"
#include "net/netlink/socket.h"

namespace smackd::net::netlink {

enum class Hook : uint32_t { kPrerouting = 0, kInput = 1, kForward = 2, kOutput = 3, kPostrouting = 4 };

/// The expressions of one rule, in order. Matches come first; what does not match goes on with the next rule.
class Rule {
 public:
    Rule& ipv4();  ///< the packet is IPv4
    Rule& input_device(const std::string& name, bool is = true);
    Rule& output_device(const std::string& name, bool is = true);
    /// Any device whose name begins so.
    Rule& input_devices(const std::string& prefix, bool is = true);
    Rule& output_devices(const std::string& prefix, bool is = true);
    Rule& protocol(uint8_t number);         ///< 6 TCP, 17 UDP
    Rule& destination_port(uint16_t port);  ///< after protocol()
    /// After ipv4(). Addresses in host byte order.
    Rule& source_in(uint32_t address, uint32_t prefix_length, bool is = true);
    Rule& destination_in(uint32_t address, uint32_t prefix_length);
    Rule& destination_in_set(const std::string& set);
    Rule& destination_port_in_set(const std::string& set);  ///< after protocol()
    Rule& destination_is_local();                           ///< any address of this machine
    /// After ipv4(), each: what a map of add_mark_map() has for the address.
    Rule& source_mark_is(const std::string& map, uint32_t mark);
    Rule& destination_mark_is(const std::string& map, uint32_t mark);
    /// The destination with the mark that `map` has for the source is in `set` (Batch::add_marked_set).
    Rule& destination_with_source_mark_in(const std::string& map, const std::string& set);
    /// After protocol(UDP): port and network number of a VXLAN packet (RFC 7348) are in `set`
    /// (Batch::add_vxlan_set).
    Rule& vxlan_in_set(const std::string& set);
    /// After vxlan_in_set(): it carries IPv4, and its sender with the prefix of this length of the carried
    /// packet's source is in `set` (Batch::add_pair_set).
    Rule& vxlan_source_in_set(const std::string& set, uint32_t prefix_length);
    /// The packet's mark becomes what `map` has for its source; not in it: goes on with the next rule.
    Rule& set_mark_by_source(const std::string& map);
    Rule& set_mark(uint32_t mark);
    Rule& packet_mark_is(uint32_t mark);
    /// Of a packet that has its sender's number as its mark: the destination with it is in `set`.
    Rule& destination_with_packet_mark_in(const std::string& set);
    /// Numbers of source and destination are in `set` (Batch::add_number_set), or with them protocol and port
    /// (Batch::add_number_port_set). The source's number is the packet's mark, or what `map` has for it.
    enum class SourceNumber : uint8_t { kByMap, kMark };
    Rule& numbers_in(const std::string& set, const std::string& map, SourceNumber source);
    Rule& numbers_and_port_in(const std::string& set, const std::string& map, SourceNumber source);
    /// Destination address from a map of addresses (Batch::add_address_map), the port stays; not in it: goes
    /// on.
    Rule& translate_address_by(const std::string& map);
    Rule& established();  ///< of a connection that is known, or related to one
    Rule& answers();      ///< the same, but not from the side that began it
    Rule& translated();   ///< its destination was changed by a map
    Rule& accept();
    Rule& drop();
    Rule& masquerade();
    /// Destination from a map of protocol and port (see Batch::add_port_map); not in it: goes on.
    Rule& translate_by(const std::string& map);

    const std::vector<std::pair<std::string, core::Bytes>>& expressions() const { return expressions_; }

 private:
    Rule& add(std::string name, const class Attributes& attributes);
    Rule& device(uint32_t key, const std::string& name, bool is);
    Rule& load_meta(uint32_t key, uint32_t to);
    Rule& load_payload(uint32_t base, uint32_t offset, uint32_t length, uint32_t to);
    Rule& compare(core::BytesView value, bool equal);
    Rule& in_prefix(uint32_t offset, uint32_t address, uint32_t prefix_length, bool is);
    Rule& look_up(const std::string& set);
    Rule& look_up_into(const std::string& map, uint32_t key, uint32_t to);
    Rule& load_numbers(const std::string& map, SourceNumber source);
    Rule& mark_is(uint32_t offset, const std::string& map, uint32_t mark);
    Rule& verdict(uint32_t code);

    std::vector<std::pair<std::string, core::Bytes>> expressions_;
};

/// A published port as an element of a port map.
struct PortMapping {
    uint8_t protocol = 6;
    uint16_t port = 0;
    uint32_t to_address = 0;
    uint16_t to_port = 0;
};

/// An element of a set of add_number_port_set().
struct NumbersAndPort {
    uint32_t from = 0;
    uint32_t to = 0;
    uint8_t protocol = 6;
    uint16_t port = 0;
};

class Batch {
 public:
    explicit Batch(std::string table) : table_(std::move(table)) {}

    Batch& add_table();     ///< one that is there is fine
    Batch& remove_table();  ///< with all in it; it must be there
    Batch& add_chain(const std::string& name, const std::string& type, Hook hook, int32_t priority);
    Batch& add_rule(const std::string& chain, const Rule& rule);
    Batch& add_port_map(const std::string& name);
    /// Prefixes of addresses that do not overlap.
    Batch& add_prefix_set(const std::string& name,
                          const std::vector<std::pair<uint32_t, uint32_t>>& first_and_last);
    Batch& add_port_set(const std::string& name, const std::vector<uint16_t>& ports);
    Batch& add_mark_map(const std::string& name);         ///< address -> mark
    Batch& add_marked_set(const std::string& name);       ///< address and mark
    Batch& add_vxlan_set(const std::string& name);        ///< port and network number
    Batch& add_pair_set(const std::string& name);         ///< two addresses
    Batch& add_address_map(const std::string& name);      ///< address -> address
    Batch& add_number_set(const std::string& name);       ///< two marks
    Batch& add_number_port_set(const std::string& name);  ///< two marks, protocol, port
    Batch& add_vxlan(const std::string& set, uint16_t port, uint32_t vni);
    using Pairs = std::vector<std::pair<uint32_t, uint32_t>>;
    Batch& add_pairs(const std::string& set, const Pairs& pairs);
    Batch& map_to_addresses(const std::string& map, const Pairs& pairs);
    Batch& add_numbers(const std::string& set, const Pairs& from_and_to);
    Batch& add_numbers_and_ports(const std::string& set, const std::vector<NumbersAndPort>& elements);
    Batch& flush_set(const std::string& name);
    Batch& map_address(const std::string& map, uint32_t address, uint32_t mark);
    Batch& unmap_address(const std::string& map, uint32_t address);
    Batch& add_marked(const std::string& set, uint32_t address, uint32_t mark);
    Batch& remove_marked(const std::string& set, uint32_t address, uint32_t mark);
    Batch& add_prefixes(const std::string& set,
                        const std::vector<std::pair<uint32_t, uint32_t>>& first_and_last);
    Batch& add_ports(const std::string& set, const std::vector<uint16_t>& ports);
    /// EEXIST when the port is mapped already, to whatever.
    Batch& map_port(const std::string& map, const PortMapping& mapping);
    Batch& unmap_port(const std::string& map, const PortMapping& mapping);

    /// errno of the first message that failed; 0: all is done.
    core::Result<int> commit() const;
    bool empty() const { return messages_.empty(); }

 private:
    Message message(uint16_t type, uint16_t flags) const;
    void add_elements(const std::string& set, uint16_t type, uint16_t flags,
                      const std::vector<core::Bytes>& elements);
    void add_set(const std::string& name, uint32_t flags, uint32_t key_type, uint32_t key_bytes,
                 uint32_t data_type, uint32_t data_bytes);

    std::string table_;
    std::vector<Message> messages_;
    uint32_t next_set_ = 1;
};

/// kUnsupported with the kernel's answer when it has no nftables. Lists the tables; changes nothing.
core::Result<void> check_nftables();

}  // namespace smackd::net::netlink
