// Owners of GSS-API objects. For .cc files of auth only.
#pragma once

#include <gssapi/gssapi.h>
#include <gssapi/gssapi_ext.h>
#include <gssapi/gssapi_krb5.h>

#include <string>
#include <utility>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

/// A buffer that the library allocated.
class GssBuffer {
 public:
    GssBuffer() = default;
    GssBuffer(const GssBuffer&) = delete;
    GssBuffer& operator=(const GssBuffer&) = delete;
    ~GssBuffer() {
        OM_uint32 minor = 0;
        gss_release_buffer(&minor, &raw_);
    }
    gss_buffer_t out() { return &raw_; }
    core::BytesView view() const { return {static_cast<const char*>(raw_.value), raw_.length}; }

 private:
    gss_buffer_desc raw_ = GSS_C_EMPTY_BUFFER;
};

/// A GSS handle released by `Release(minor, &handle)`.
template <class T, auto Release>
class GssOwned {
 public:
    GssOwned() = default;
    GssOwned(const GssOwned&) = delete;
    GssOwned& operator=(const GssOwned&) = delete;
    GssOwned(GssOwned&& other) noexcept : raw_(std::exchange(other.raw_, T{})) {}
    GssOwned& operator=(GssOwned&& other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~GssOwned() {
        OM_uint32 minor = 0;
        if (raw_ != T{}) Release(&minor, &raw_);
    }
    T get() const { return raw_; }
    T* out() { return &raw_; }

 private:
    T raw_{};
};

inline OM_uint32 delete_gss_context(OM_uint32* minor, gss_ctx_id_t* context) {
    return gss_delete_sec_context(minor, context, GSS_C_NO_BUFFER);
}

using GssName = GssOwned<gss_name_t, gss_release_name>;
using GssCredential = GssOwned<gss_cred_id_t, gss_release_cred>;
using GssContext = GssOwned<gss_ctx_id_t, delete_gss_context>;

/// A view of `bytes` for calls that only read it.
gss_buffer_desc as_gss_buffer(core::BytesView bytes);
/// Channel bindings with application data only, as RFC 5929 and RFC 9266 use them; `data` must outlive it.
gss_channel_bindings_struct as_channel_bindings(core::BytesView data);
/// The sentences of major and minor status.
std::string gss_text(OM_uint32 major, OM_uint32 minor, gss_OID mechanism);
/// krb5 and SPNEGO.
gss_OID_set_desc* accepted_mechanisms();
/// krb5 alone: what SPNEGO may agree on.
gss_OID_set_desc* negotiated_mechanisms();
gss_OID krb5_mechanism();
gss_OID spnego_mechanism();
/// gss_wrap with confidentiality (RFC 4121), and back. Errors name no content.
core::Result<core::Bytes> gss_seal(gss_ctx_id_t context, core::BytesView plain);
core::Result<core::Bytes> gss_open(gss_ctx_id_t context, core::BytesView sealed);
core::Result<GssName> import_gss_name(std::string_view text, gss_OID type);

}  // namespace smackd::auth
