#include "net/netlink/nftables.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>

#include <algorithm>

namespace smackd::net::netlink {

// Attributes without a message around them.
class Attributes {
 public:
    Attributes& put(uint16_t type, core::BytesView bytes) {
        const uint16_t length = static_cast<uint16_t>(4 + bytes.size());
        bytes_.append(reinterpret_cast<const char*>(&length), 2);
        bytes_.append(reinterpret_cast<const char*>(&type), 2);
        bytes_.append(bytes);
        bytes_.resize((bytes_.size() + 3) & ~size_t{3});
        return *this;
    }
    Attributes& u32(uint16_t type, uint32_t value) {
        const uint32_t network = htonl(value);
        return put(type, {reinterpret_cast<const char*>(&network), 4});
    }
    Attributes& text(uint16_t type, const std::string& value) { return put(type, value + '\0'); }
    Attributes& nest(uint16_t type, const Attributes& inner) {
        return put(static_cast<uint16_t>(type | NLA_F_NESTED), inner.bytes_);
    }
    const core::Bytes& bytes() const { return bytes_; }

 private:
    core::Bytes bytes_;
};

namespace {

constexpr uint16_t kMake = NLM_F_ACK | NLM_F_CREATE;
constexpr size_t kElementsPerMessage = 500;  // a list of them has at most 64 KiB

// Registers of four bytes; the first four share their bytes with the one of sixteen.
constexpr uint32_t kFirst = NFT_REG32_00;
constexpr uint32_t kSecond = NFT_REG32_01;
constexpr uint32_t kThird = NFT_REG32_02;
constexpr uint32_t kFourth = NFT_REG32_03;

// Offsets in headers (RFC 791; RFC 9293 and 768 have the destination port at the same place).
constexpr uint32_t kIpv4Source = 12;
constexpr uint32_t kIpv4Destination = 16;
constexpr uint32_t kDestinationPort = 2;
constexpr uint32_t kLocalAddress = 2;  // RTN_LOCAL

// In a VXLAN packet (RFC 7348), behind its own IP header: UDP, VXLAN, the carried Ethernet and IPv4 headers.
constexpr uint32_t kVxlanNumber = 8 + 4;
constexpr uint32_t kCarriedType = 8 + 8 + 12;
constexpr uint32_t kCarriedSource = 8 + 8 + 14 + kIpv4Source;
constexpr uint16_t kEtherTypeIpv4 = 0x0800;

// nft's own numbers of types, by which it shows sets; joined by six bits each.
constexpr uint32_t kTypeInteger = 4;
constexpr uint32_t kTypeAddress = 7;
constexpr uint32_t kTypeProtocol = 12;
constexpr uint32_t kTypePort = 13;
constexpr uint32_t kTypeMark = 19;
constexpr uint32_t join(uint32_t first, uint32_t second) {
    return first << 6U | second;
}

core::Bytes network_u32(uint32_t value) {
    const uint32_t network = htonl(value);
    return {reinterpret_cast<const char*>(&network), sizeof(network)};
}
core::Bytes network_u16(uint16_t value) {
    const uint16_t network = htons(value);
    return {reinterpret_cast<const char*>(&network), sizeof(network)};
}
core::Bytes padded(core::Bytes bytes) {
    bytes.resize(4);
    return bytes;
}
core::Bytes host_u32(uint32_t value) {
    return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

Attributes value_of(core::BytesView bytes) {
    return Attributes().put(NFTA_DATA_VALUE, bytes);
}

nfgenmsg family_header(uint8_t family, uint16_t resource = 0) {
    nfgenmsg header{};
    header.nfgen_family = family;
    header.version = NFNETLINK_V0;
    header.res_id = htons(resource);
    return header;
}

core::Bytes marked_element(uint32_t address, uint32_t mark) {
    return Attributes().nest(NFTA_SET_ELEM_KEY, value_of(network_u32(address) + host_u32(mark))).bytes();
}

core::Bytes key_element(const core::Bytes& key) {
    return Attributes().nest(NFTA_SET_ELEM_KEY, value_of(key)).bytes();
}

core::Bytes port_key(const PortMapping& mapping) {
    return padded(core::Bytes(1, static_cast<char>(mapping.protocol))) + padded(network_u16(mapping.port));
}

}  // namespace

Rule& Rule::add(std::string name, const Attributes& attributes) {
    expressions_.emplace_back(std::move(name), attributes.bytes());
    return *this;
}

Rule& Rule::load_meta(uint32_t key, uint32_t to) {
    return add("meta", Attributes().u32(NFTA_META_KEY, key).u32(NFTA_META_DREG, to));
}

Rule& Rule::load_payload(uint32_t base, uint32_t offset, uint32_t length, uint32_t to) {
    return add("payload", Attributes()
                              .u32(NFTA_PAYLOAD_DREG, to)
                              .u32(NFTA_PAYLOAD_BASE, base)
                              .u32(NFTA_PAYLOAD_OFFSET, offset)
                              .u32(NFTA_PAYLOAD_LEN, length));
}

Rule& Rule::compare(core::BytesView value, bool equal) {
    return add("cmp", Attributes()
                          .u32(NFTA_CMP_SREG, kFirst)
                          .u32(NFTA_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ)
                          .nest(NFTA_CMP_DATA, value_of(value)));
}

Rule& Rule::device(uint32_t key, const std::string& name, bool is) {
    core::Bytes padded_name = name;
    padded_name.resize(IFNAMSIZ);
    return load_meta(key, NFT_REG_1).compare(padded_name, is);
}

Rule& Rule::input_device(const std::string& name, bool is) {
    return device(NFT_META_IIFNAME, name, is);
}
Rule& Rule::output_device(const std::string& name, bool is) {
    return device(NFT_META_OIFNAME, name, is);
}

Rule& Rule::input_devices(const std::string& prefix, bool is) {
    return load_meta(NFT_META_IIFNAME, NFT_REG_1).compare(prefix, is);
}
Rule& Rule::output_devices(const std::string& prefix, bool is) {
    return load_meta(NFT_META_OIFNAME, NFT_REG_1).compare(prefix, is);
}

Rule& Rule::ipv4() {
    return load_meta(NFT_META_NFPROTO, kFirst).compare(core::Bytes(1, NFPROTO_IPV4), true);
}

Rule& Rule::protocol(uint8_t number) {
    return load_meta(NFT_META_L4PROTO, kFirst).compare(core::Bytes(1, static_cast<char>(number)), true);
}

Rule& Rule::destination_port(uint16_t port) {
    return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, kFirst)
        .compare(network_u16(port), true);
}

Rule& Rule::in_prefix(uint32_t offset, uint32_t address, uint32_t prefix_length, bool is) {
    const uint32_t mask = prefix_length == 0 ? 0 : ~uint32_t{0} << (32 - prefix_length);
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, offset, 4, kFirst);
    add("bitwise", Attributes()
                       .u32(NFTA_BITWISE_SREG, kFirst)
                       .u32(NFTA_BITWISE_DREG, kFirst)
                       .u32(NFTA_BITWISE_LEN, 4)
                       .nest(NFTA_BITWISE_MASK, value_of(network_u32(mask)))
                       .nest(NFTA_BITWISE_XOR, value_of(network_u32(0))));
    return compare(network_u32(address & mask), is);
}

Rule& Rule::source_in(uint32_t address, uint32_t prefix_length, bool is) {
    return in_prefix(kIpv4Source, address, prefix_length, is);
}
Rule& Rule::destination_in(uint32_t address, uint32_t prefix_length) {
    return in_prefix(kIpv4Destination, address, prefix_length, true);
}

Rule& Rule::look_up(const std::string& set) {
    return add("lookup", Attributes().text(NFTA_LOOKUP_SET, set).u32(NFTA_LOOKUP_SREG, kFirst));
}

Rule& Rule::look_up_into(const std::string& map, uint32_t key, uint32_t to) {
    return add("lookup",
               Attributes().text(NFTA_LOOKUP_SET, map).u32(NFTA_LOOKUP_SREG, key).u32(NFTA_LOOKUP_DREG, to));
}

Rule& Rule::destination_in_set(const std::string& set) {
    return load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Destination, 4, kFirst).look_up(set);
}
Rule& Rule::destination_port_in_set(const std::string& set) {
    return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, kFirst).look_up(set);
}

Rule& Rule::mark_is(uint32_t offset, const std::string& map, uint32_t mark) {
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, offset, 4, kFirst);
    add("lookup",
        Attributes().text(NFTA_LOOKUP_SET, map).u32(NFTA_LOOKUP_SREG, kFirst).u32(NFTA_LOOKUP_DREG, kFirst));
    return compare(host_u32(mark), true);
}
Rule& Rule::source_mark_is(const std::string& map, uint32_t mark) {
    return mark_is(kIpv4Source, map, mark);
}
Rule& Rule::destination_mark_is(const std::string& map, uint32_t mark) {
    return mark_is(kIpv4Destination, map, mark);
}

Rule& Rule::destination_with_source_mark_in(const std::string& map, const std::string& set) {
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Destination, 4, kFirst);
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Source, 4, kSecond);
    add("lookup", Attributes()
                      .text(NFTA_LOOKUP_SET, map)
                      .u32(NFTA_LOOKUP_SREG, kSecond)
                      .u32(NFTA_LOOKUP_DREG, kSecond));
    return look_up(set);
}

Rule& Rule::vxlan_in_set(const std::string& set) {
    load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, kFirst);
    load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kVxlanNumber, 3, kSecond);
    return look_up(set);
}

Rule& Rule::vxlan_source_in_set(const std::string& set, uint32_t prefix_length) {
    const uint32_t mask = ~uint32_t{0} << (32 - prefix_length);
    load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kCarriedType, 2, kFirst)
        .compare(network_u16(kEtherTypeIpv4), true);
    load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kCarriedSource, 4, kSecond);
    add("bitwise", Attributes()
                       .u32(NFTA_BITWISE_SREG, kSecond)
                       .u32(NFTA_BITWISE_DREG, kSecond)
                       .u32(NFTA_BITWISE_LEN, 4)
                       .nest(NFTA_BITWISE_MASK, value_of(network_u32(mask)))
                       .nest(NFTA_BITWISE_XOR, value_of(network_u32(0))));
    return load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Source, 4, kFirst).look_up(set);
}

Rule& Rule::set_mark_by_source(const std::string& map) {
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Source, 4, kFirst).look_up_into(map, kFirst, kFirst);
    return add("meta", Attributes().u32(NFTA_META_KEY, NFT_META_MARK).u32(NFTA_META_SREG, kFirst));
}

Rule& Rule::set_mark(uint32_t mark) {
    add("immediate",
        Attributes().u32(NFTA_IMMEDIATE_DREG, kFirst).nest(NFTA_IMMEDIATE_DATA, value_of(host_u32(mark))));
    return add("meta", Attributes().u32(NFTA_META_KEY, NFT_META_MARK).u32(NFTA_META_SREG, kFirst));
}

Rule& Rule::packet_mark_is(uint32_t mark) {
    return load_meta(NFT_META_MARK, kFirst).compare(host_u32(mark), true);
}

Rule& Rule::destination_with_packet_mark_in(const std::string& set) {
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Destination, 4, kFirst);
    return load_meta(NFT_META_MARK, kSecond).look_up(set);
}

Rule& Rule::load_numbers(const std::string& map, SourceNumber source) {
    if (source == SourceNumber::kMark) {
        load_meta(NFT_META_MARK, kFirst);
    } else {
        load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Source, 4, kFirst).look_up_into(map, kFirst, kFirst);
    }
    return load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Destination, 4, kSecond)
        .look_up_into(map, kSecond, kSecond);
}

Rule& Rule::numbers_in(const std::string& set, const std::string& map, SourceNumber source) {
    return load_numbers(map, source).look_up(set);
}

Rule& Rule::numbers_and_port_in(const std::string& set, const std::string& map, SourceNumber source) {
    load_numbers(map, source).load_meta(NFT_META_L4PROTO, kThird);
    return load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, kFourth).look_up(set);
}

Rule& Rule::translate_address_by(const std::string& map) {
    load_payload(NFT_PAYLOAD_NETWORK_HEADER, kIpv4Destination, 4, kFirst).look_up_into(map, kFirst, kFirst);
    return add("nat", Attributes()
                          .u32(NFTA_NAT_TYPE, NFT_NAT_DNAT)
                          .u32(NFTA_NAT_FAMILY, NFPROTO_IPV4)
                          .u32(NFTA_NAT_REG_ADDR_MIN, kFirst));
}

Rule& Rule::destination_is_local() {
    add("fib", Attributes()
                   .u32(NFTA_FIB_DREG, kFirst)
                   .u32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE)
                   .u32(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR));
    return compare(host_u32(kLocalAddress), true);
}

namespace {

Attributes conntrack(uint32_t key) {
    return Attributes().u32(NFTA_CT_DREG, kFirst).u32(NFTA_CT_KEY, key);
}
Attributes any_bit_of(uint32_t bits) {
    return Attributes()
        .u32(NFTA_BITWISE_SREG, kFirst)
        .u32(NFTA_BITWISE_DREG, kFirst)
        .u32(NFTA_BITWISE_LEN, 4)
        .nest(NFTA_BITWISE_MASK, value_of(host_u32(bits)))
        .nest(NFTA_BITWISE_XOR, value_of(host_u32(0)));
}

}  // namespace

Rule& Rule::established() {
    // State bits: 1 << (state + 1), as NF_CT_STATE_BIT in the kernel.
    constexpr uint32_t kEstablished = 1U << (IP_CT_ESTABLISHED + 1U);
    constexpr uint32_t kRelated = 1U << (IP_CT_RELATED + 1U);
    add("ct", conntrack(NFT_CT_STATE));
    add("bitwise", any_bit_of(kEstablished | kRelated));
    return compare(host_u32(0), false);
}

Rule& Rule::answers() {
    established().add("ct", conntrack(NFT_CT_DIRECTION));
    return compare(core::Bytes(1, static_cast<char>(IP_CT_DIR_REPLY)), true);
}

Rule& Rule::translated() {
    add("ct", conntrack(NFT_CT_STATUS));
    add("bitwise", any_bit_of(IPS_DST_NAT));
    return compare(host_u32(0), false);
}

Rule& Rule::verdict(uint32_t code) {
    const Attributes data = Attributes().nest(NFTA_DATA_VERDICT, Attributes().u32(NFTA_VERDICT_CODE, code));
    return add("immediate",
               Attributes().u32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT).nest(NFTA_IMMEDIATE_DATA, data));
}
Rule& Rule::accept() {
    return verdict(NF_ACCEPT);
}
Rule& Rule::drop() {
    return verdict(NF_DROP);
}
Rule& Rule::masquerade() {
    return add("masq", Attributes());
}

Rule& Rule::translate_by(const std::string& map) {
    load_meta(NFT_META_L4PROTO, kFirst);
    load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, kDestinationPort, 2, kSecond);
    add("lookup",
        Attributes().text(NFTA_LOOKUP_SET, map).u32(NFTA_LOOKUP_SREG, kFirst).u32(NFTA_LOOKUP_DREG, kFirst));
    return add("nat", Attributes()
                          .u32(NFTA_NAT_TYPE, NFT_NAT_DNAT)
                          .u32(NFTA_NAT_FAMILY, NFPROTO_IPV4)
                          .u32(NFTA_NAT_REG_ADDR_MIN, kFirst)
                          .u32(NFTA_NAT_REG_PROTO_MIN, kSecond));
}

Message Batch::message(uint16_t type, uint16_t flags) const {
    Message made(static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8U | type), flags);
    made.header(family_header(NFPROTO_INET));
    return made;
}

Batch& Batch::add_table() {
    messages_.push_back(message(NFT_MSG_NEWTABLE, kMake).text(NFTA_TABLE_NAME, table_));
    return *this;
}

Batch& Batch::remove_table() {
    messages_.push_back(message(NFT_MSG_DELTABLE, NLM_F_ACK).text(NFTA_TABLE_NAME, table_));
    return *this;
}

Batch& Batch::add_chain(const std::string& name, const std::string& type, Hook hook, int32_t priority) {
    Message made = message(NFT_MSG_NEWCHAIN, kMake);
    made.text(NFTA_CHAIN_TABLE, table_).text(NFTA_CHAIN_NAME, name);
    made.begin(NFTA_CHAIN_HOOK)
        .u32_network(NFTA_HOOK_HOOKNUM, static_cast<uint32_t>(hook))
        .u32_network(NFTA_HOOK_PRIORITY, static_cast<uint32_t>(priority))
        .end();
    made.u32_network(NFTA_CHAIN_POLICY, NF_ACCEPT).text(NFTA_CHAIN_TYPE, type);
    messages_.push_back(std::move(made));
    return *this;
}

Batch& Batch::add_rule(const std::string& chain, const Rule& rule) {
    Message made = message(NFT_MSG_NEWRULE, kMake | NLM_F_APPEND);
    made.text(NFTA_RULE_TABLE, table_).text(NFTA_RULE_CHAIN, chain).begin(NFTA_RULE_EXPRESSIONS);
    for (const auto& [name, attributes] : rule.expressions()) {
        made.begin(NFTA_LIST_ELEM).text(NFTA_EXPR_NAME, name);
        made.attribute(static_cast<uint16_t>(NFTA_EXPR_DATA | NLA_F_NESTED), attributes).end();
    }
    messages_.push_back(std::move(made.end()));
    return *this;
}

void Batch::add_set(const std::string& name, uint32_t flags, uint32_t key_type, uint32_t key_bytes,
                    uint32_t data_type, uint32_t data_bytes) {
    Message made = message(NFT_MSG_NEWSET, kMake);
    made.text(NFTA_SET_TABLE, table_).text(NFTA_SET_NAME, name).u32_network(NFTA_SET_FLAGS, flags);
    made.u32_network(NFTA_SET_KEY_TYPE, key_type).u32_network(NFTA_SET_KEY_LEN, key_bytes);
    if (data_bytes > 0)
        made.u32_network(NFTA_SET_DATA_TYPE, data_type).u32_network(NFTA_SET_DATA_LEN, data_bytes);
    messages_.push_back(std::move(made.u32_network(NFTA_SET_ID, next_set_++)));
}

Batch& Batch::add_port_map(const std::string& name) {
    add_set(name, NFT_SET_MAP, join(kTypeProtocol, kTypePort), 8, join(kTypeAddress, kTypePort), 8);
    return *this;
}

Batch& Batch::add_mark_map(const std::string& name) {
    add_set(name, NFT_SET_MAP, kTypeAddress, 4, kTypeMark, 4);
    return *this;
}

Batch& Batch::add_marked_set(const std::string& name) {
    add_set(name, 0, join(kTypeAddress, kTypeMark), 8, 0, 0);
    return *this;
}

Batch& Batch::add_vxlan_set(const std::string& name) {
    add_set(name, 0, join(kTypePort, kTypeInteger), 8, 0, 0);
    return *this;
}

Batch& Batch::add_pair_set(const std::string& name) {
    add_set(name, 0, join(kTypeAddress, kTypeAddress), 8, 0, 0);
    return *this;
}

Batch& Batch::add_address_map(const std::string& name) {
    add_set(name, NFT_SET_MAP, kTypeAddress, 4, kTypeAddress, 4);
    return *this;
}

Batch& Batch::add_number_set(const std::string& name) {
    add_set(name, 0, join(kTypeMark, kTypeMark), 8, 0, 0);
    return *this;
}

Batch& Batch::add_number_port_set(const std::string& name) {
    add_set(name, 0, join(join(join(kTypeMark, kTypeMark), kTypeProtocol), kTypePort), 16, 0, 0);
    return *this;
}

Batch& Batch::add_prefix_set(const std::string& name,
                             const std::vector<std::pair<uint32_t, uint32_t>>& first_and_last) {
    add_set(name, NFT_SET_INTERVAL, kTypeAddress, 4, 0, 0);
    return add_prefixes(name, first_and_last);
}

Batch& Batch::add_port_set(const std::string& name, const std::vector<uint16_t>& ports) {
    add_set(name, 0, kTypePort, 2, 0, 0);
    return add_ports(name, ports);
}

void Batch::add_elements(const std::string& set, uint16_t type, uint16_t flags,
                         const std::vector<core::Bytes>& elements) {
    for (size_t begin = 0; begin < elements.size(); begin += kElementsPerMessage) {
        Message made = message(type, flags);
        made.text(NFTA_SET_ELEM_LIST_TABLE, table_).text(NFTA_SET_ELEM_LIST_SET, set);
        made.begin(NFTA_SET_ELEM_LIST_ELEMENTS);
        for (size_t i = begin; i < std::min(elements.size(), begin + kElementsPerMessage); ++i)
            made.attribute(static_cast<uint16_t>(NFTA_LIST_ELEM | NLA_F_NESTED), elements[i]);
        messages_.push_back(std::move(made.end()));
    }
}

Batch& Batch::flush_set(const std::string& name) {
    messages_.push_back(message(NFT_MSG_DELSETELEM, NLM_F_ACK)
                            .text(NFTA_SET_ELEM_LIST_TABLE, table_)
                            .text(NFTA_SET_ELEM_LIST_SET, name));
    return *this;
}

Batch& Batch::add_prefixes(const std::string& set,
                           const std::vector<std::pair<uint32_t, uint32_t>>& first_and_last) {
    std::vector<core::Bytes> elements;
    for (const auto& [first, last] : first_and_last) {
        elements.push_back(Attributes().nest(NFTA_SET_ELEM_KEY, value_of(network_u32(first))).bytes());
        if (last == UINT32_MAX) continue;  // open at the end
        elements.push_back(Attributes()
                               .nest(NFTA_SET_ELEM_KEY, value_of(network_u32(last + 1)))
                               .u32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END)
                               .bytes());
    }
    add_elements(set, NFT_MSG_NEWSETELEM, kMake, elements);
    return *this;
}

Batch& Batch::add_ports(const std::string& set, const std::vector<uint16_t>& ports) {
    std::vector<core::Bytes> elements;
    for (const uint16_t port : ports)
        elements.push_back(Attributes().nest(NFTA_SET_ELEM_KEY, value_of(network_u16(port))).bytes());
    add_elements(set, NFT_MSG_NEWSETELEM, kMake, elements);
    return *this;
}

Batch& Batch::map_port(const std::string& map, const PortMapping& mapping) {
    const core::Bytes to = network_u32(mapping.to_address) + padded(network_u16(mapping.to_port));
    const Attributes element = Attributes()
                                   .nest(NFTA_SET_ELEM_KEY, value_of(port_key(mapping)))
                                   .nest(NFTA_SET_ELEM_DATA, value_of(to));
    add_elements(map, NFT_MSG_NEWSETELEM, kMake | NLM_F_EXCL, {element.bytes()});
    return *this;
}

Batch& Batch::unmap_port(const std::string& map, const PortMapping& mapping) {
    const Attributes element = Attributes().nest(NFTA_SET_ELEM_KEY, value_of(port_key(mapping)));
    add_elements(map, NFT_MSG_DELSETELEM, NLM_F_ACK, {element.bytes()});
    return *this;
}

Batch& Batch::add_vxlan(const std::string& set, uint16_t port, uint32_t vni) {
    const core::Bytes number = padded(network_u32(vni << 8U).substr(0, 3));
    add_elements(set, NFT_MSG_NEWSETELEM, kMake, {key_element(padded(network_u16(port)) + number)});
    return *this;
}

Batch& Batch::add_pairs(const std::string& set, const Pairs& pairs) {
    std::vector<core::Bytes> elements;
    for (const auto& [first, second] : pairs)
        elements.push_back(key_element(network_u32(first) + network_u32(second)));
    add_elements(set, NFT_MSG_NEWSETELEM, kMake, elements);
    return *this;
}

Batch& Batch::map_to_addresses(const std::string& map, const Pairs& pairs) {
    std::vector<core::Bytes> elements;
    for (const auto& [address, to] : pairs) {
        elements.push_back(Attributes()
                               .nest(NFTA_SET_ELEM_KEY, value_of(network_u32(address)))
                               .nest(NFTA_SET_ELEM_DATA, value_of(network_u32(to)))
                               .bytes());
    }
    add_elements(map, NFT_MSG_NEWSETELEM, kMake, elements);
    return *this;
}

Batch& Batch::add_numbers(const std::string& set, const Pairs& from_and_to) {
    std::vector<core::Bytes> elements;
    for (const auto& [from, to] : from_and_to) elements.push_back(key_element(host_u32(from) + host_u32(to)));
    add_elements(set, NFT_MSG_NEWSETELEM, kMake, elements);
    return *this;
}

Batch& Batch::add_numbers_and_ports(const std::string& set, const std::vector<NumbersAndPort>& elements) {
    std::vector<core::Bytes> keys;
    for (const NumbersAndPort& one : elements) {
        keys.push_back(key_element(host_u32(one.from) + host_u32(one.to) +
                                   padded(core::Bytes(1, static_cast<char>(one.protocol))) +
                                   padded(network_u16(one.port))));
    }
    add_elements(set, NFT_MSG_NEWSETELEM, kMake, keys);
    return *this;
}

Batch& Batch::map_address(const std::string& map, uint32_t address, uint32_t mark) {
    const Attributes element = Attributes()
                                   .nest(NFTA_SET_ELEM_KEY, value_of(network_u32(address)))
                                   .nest(NFTA_SET_ELEM_DATA, value_of(host_u32(mark)));
    add_elements(map, NFT_MSG_NEWSETELEM, kMake, {element.bytes()});
    return *this;
}

Batch& Batch::unmap_address(const std::string& map, uint32_t address) {
    const Attributes element = Attributes().nest(NFTA_SET_ELEM_KEY, value_of(network_u32(address)));
    add_elements(map, NFT_MSG_DELSETELEM, NLM_F_ACK, {element.bytes()});
    return *this;
}

Batch& Batch::add_marked(const std::string& set, uint32_t address, uint32_t mark) {
    add_elements(set, NFT_MSG_NEWSETELEM, kMake, {marked_element(address, mark)});
    return *this;
}

Batch& Batch::remove_marked(const std::string& set, uint32_t address, uint32_t mark) {
    add_elements(set, NFT_MSG_DELSETELEM, NLM_F_ACK, {marked_element(address, mark)});
    return *this;
}

core::Result<int> Batch::commit() const {
    TRY_ASSIGN(Socket socket, Socket::open(NETLINK_NETFILTER));
    Message begin(NFNL_MSG_BATCH_BEGIN, 0);
    begin.header(family_header(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    Message end(NFNL_MSG_BATCH_END, 0);
    end.header(family_header(AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    TRY_ASSIGN(const Socket::Outcome outcome, socket.transact(begin, messages_, end));
    return outcome.error_number;
}

core::Result<void> check_nftables() {
    auto socket = Socket::open(NETLINK_NETFILTER);
    if (!socket) return core::fail(core::Errc::kUnsupported, "no nftables: {}", socket.error().message);
    Message list((NFNL_SUBSYS_NFTABLES << 8U) | NFT_MSG_GETTABLE, NLM_F_DUMP);
    list.header(family_header(AF_UNSPEC, 0));
    auto answered = socket->dump(list, [](uint16_t, core::BytesView) {});
    if (!answered) return core::fail(core::Errc::kUnsupported, "no nftables: {}", answered.error().message);
    return {};
}

}  // namespace smackd::net::netlink
