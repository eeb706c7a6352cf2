#include "auth/gss_handles.h"

#include <array>

namespace smackd::auth {
namespace {

// RFC 4178 section 2: 1.3.6.1.5.5.2.
gss_OID_desc spnego_oid = {6, const_cast<char*>("\x2b\x06\x01\x05\x05\x02")};
// RFC 4121 section 4.1: 1.2.840.113554.1.2.2.
gss_OID_desc krb5_oid = {9, const_cast<char*>("\x2a\x86\x48\x86\xf7\x12\x01\x02\x02")};

void append_status(std::string& out, OM_uint32 value, int type, gss_OID mechanism) {
    OM_uint32 more = 0;
    do {
        OM_uint32 minor = 0;
        GssBuffer text;
        if (GSS_ERROR(gss_display_status(&minor, value, type, mechanism, &more, text.out()))) return;
        if (text.view().empty()) continue;
        if (!out.empty()) out += "; ";
        out += text.view();
    } while (more != 0);
}

}  // namespace

gss_OID krb5_mechanism() {
    return &krb5_oid;
}
gss_OID spnego_mechanism() {
    return &spnego_oid;
}

gss_OID_set_desc* accepted_mechanisms() {
    static std::array<gss_OID_desc, 2> members = {krb5_oid, spnego_oid};
    static gss_OID_set_desc set = {members.size(), members.data()};
    return &set;
}

gss_OID_set_desc* negotiated_mechanisms() {
    static gss_OID_set_desc set = {1, &krb5_oid};
    return &set;
}

gss_buffer_desc as_gss_buffer(core::BytesView bytes) {
    return gss_buffer_desc{bytes.size(), const_cast<char*>(bytes.data())};  // GSS has no const form
}

gss_channel_bindings_struct as_channel_bindings(core::BytesView data) {
    gss_channel_bindings_struct bindings{};
    bindings.application_data = as_gss_buffer(data);
    return bindings;
}

std::string gss_text(OM_uint32 major, OM_uint32 minor, gss_OID mechanism) {
    std::string minor_text;
    append_status(minor_text, minor, GSS_C_MECH_CODE, mechanism);
    // The mechanism's sentence says more than "Unspecified GSS failure".
    if (minor != 0 && !minor_text.empty()) return minor_text;
    std::string text;
    append_status(text, major, GSS_C_GSS_CODE, GSS_C_NO_OID);
    return text;
}

core::Result<core::Bytes> gss_seal(gss_ctx_id_t context, core::BytesView plain) {
    gss_buffer_desc input = as_gss_buffer(plain);
    GssBuffer output;
    OM_uint32 minor = 0;
    int encrypted = 0;
    const OM_uint32 major = gss_wrap(&minor, context, 1, GSS_C_QOP_DEFAULT, &input, &encrypted, output.out());
    if (GSS_ERROR(major) || encrypted == 0) {
        return core::fail(core::Errc::kIo, "encrypting for the peer: {}",
                          gss_text(major, minor, krb5_mechanism()));
    }
    return core::Bytes(output.view());
}

core::Result<core::Bytes> gss_open(gss_ctx_id_t context, core::BytesView sealed) {
    gss_buffer_desc input = as_gss_buffer(sealed);
    GssBuffer output;
    OM_uint32 minor = 0;
    int encrypted = 0;
    const OM_uint32 major = gss_unwrap(&minor, context, &input, output.out(), &encrypted, nullptr);
    if (GSS_ERROR(major)) {
        return core::fail(core::Errc::kUnauthenticated, "a message of the peer: {}",
                          gss_text(major, minor, krb5_mechanism()));
    }
    if (encrypted == 0)
        return core::fail(core::Errc::kUnauthenticated, "a message of the peer is not encrypted");
    return core::Bytes(output.view());
}

core::Result<GssName> import_gss_name(std::string_view text, gss_OID type) {
    gss_buffer_desc buffer = as_gss_buffer(text);
    GssName name;
    OM_uint32 minor = 0;
    const OM_uint32 major = gss_import_name(&minor, &buffer, type, name.out());
    if (GSS_ERROR(major)) {
        return core::fail(core::Errc::kInvalid, "name {}: {}", text,
                          gss_text(major, minor, krb5_mechanism()));
    }
    return name;
}

}  // namespace smackd::auth
