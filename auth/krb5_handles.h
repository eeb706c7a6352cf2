// Owners of libkrb5 objects and its error texts. For .cc files of auth only: the one header that shows krb5.
#pragma once

#include <krb5.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/bytes.h"
#include "core/result.h"

namespace smackd::auth {

/// A library context. Never shared by two threads.
class KrbContext {
 public:
    static core::Result<KrbContext> make();
    KrbContext(KrbContext&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    KrbContext& operator=(KrbContext&& other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~KrbContext() {
        if (raw_ != nullptr) krb5_free_context(raw_);
    }

    krb5_context get() const { return raw_; }
    /// The library's sentence for `code`, with what it noted about the last failure.
    std::string text(krb5_error_code code) const;
    /// An error "what: text"; the code is for the caller to choose.
    std::unexpected<core::Error> fail(core::Errc errc, krb5_error_code code, std::string_view what) const;

 private:
    explicit KrbContext(krb5_context raw) : raw_(raw) {}
    krb5_context raw_;
};

/// An object that is freed with the context it came from, which must outlive it.
template <class T, auto Free>
class KrbOwned {
 public:
    explicit KrbOwned(const KrbContext& context) : context_(context.get()) {}
    KrbOwned(const KrbOwned&) = delete;
    KrbOwned& operator=(const KrbOwned&) = delete;
    KrbOwned(KrbOwned&& other) noexcept : context_(other.context_), raw_(std::exchange(other.raw_, T{})) {}
    KrbOwned& operator=(KrbOwned&& other) noexcept {
        std::swap(context_, other.context_);
        std::swap(raw_, other.raw_);
        return *this;
    }
    ~KrbOwned() {
        if (raw_ != T{}) Free(context_, raw_);
    }

    T get() const { return raw_; }
    /// For calls that make the object.
    T* out() { return &raw_; }
    T release() { return std::exchange(raw_, T{}); }

 private:
    krb5_context context_;
    T raw_{};
};

using KrbPrincipal = KrbOwned<krb5_principal, krb5_free_principal>;
using KrbKeytab = KrbOwned<krb5_keytab, krb5_kt_close>;
using KrbCache = KrbOwned<krb5_ccache, krb5_cc_close>;

/// Reads "name@REALM"; kInvalid names the rule.
core::Result<KrbPrincipal> parse_principal(const KrbContext& context, const std::string& name);
/// The text form.
core::Result<std::string> unparse_principal(const KrbContext& context, krb5_const_principal principal);

/// A view of `bytes` in krb5's form, for calls that only read it.
krb5_data as_krb5_data(core::BytesView bytes);

}  // namespace smackd::auth
