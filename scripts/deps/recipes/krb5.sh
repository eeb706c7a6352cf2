# Libraries for clients and servers, and the KDC as one object. Traps of the static build:
# - libkrb5 turns its locks off when weak pthread symbols are missing, as in a static program: the search for weak
#   references is answered no, and no archive may have one left.
# - A site's krb5.conf may name plugins; a static program must not dlopen them: the search for dlopen is answered no.
# - SPAKE is linked in (see the patch), with its own edwards25519, without OpenSSL.
cd src
ac_cv_search_dlopen=no krb5_cv_pragma_weak_ref=no ./configure --enable-static --disable-shared --prefix=/usr \
    --sysconfdir=/etc --localstatedir=/var \
    --with-crypto-impl=builtin --with-tls-impl=no --with-spake-openssl=no --with-keyutils=yes \
    --without-system-verto --without-system-et --without-system-ss --without-libedit --without-readline \
    --without-ldap --without-lmdb --without-tcl --disable-aesni --disable-rpath --disable-nls \
    CPPFLAGS="-I$NEED_keyutils/include" LDFLAGS="-L$NEED_keyutils/lib" YACC="bison -y"
if grep -E '^#define (USE_DLOPEN|HAVE_PRAGMA_WEAK_REF)' include/autoconf.h; then exit 1; fi
grep -q '^#define USE_KEYRING_CCACHE' include/autoconf.h

for folder in util include lib/crypto lib/krb5 lib/gssapi lib/kdb lib/apputils lib/krad; do
    make -j "$JOBS" -C "$folder" all
done
make -j "$JOBS" -C lib/rpc SUBDIRS= all # without its test programs
spake=(util.o iana.o groups.o openssl.o edwards25519.o spake_client.o spake_kdc.o)
make -j "$JOBS" -C plugins/preauth/spake "${spake[@]}"
kdc=(kdc5_err.o authind.o cammac.o dispatch.o do_as_req.o do_tgs_req.o fast_util.o kdc_util.o kdc_preauth.o
    kdc_preauth_ec.o kdc_preauth_encts.o main.o ndr.o policy.o extern.o replay.o kdc_authdata.o kdc_audit.o
    kdc_transit.o tgs_policy.o kdc_log.o)
make -C lib/kadm5 includes
make -j "$JOBS" -C lib/kadm5 alt_prof.o logger.o # how the KDC reads kdc.conf and logs
make -C kdc kdc5_err.h
make -j "$JOBS" -C kdc "${kdc[@]}"

mkdir -p "$OUT/lib" "$OUT/include"
for library in gssapi_krb5 krb5 k5crypto kdb5 gssrpc krad com_err verto krb5support; do
    cp -L "lib/lib$library.a" "$OUT/lib"
done
if nm "$OUT"/lib/*.a 2>/dev/null | grep ' w pthread_'; then exit 1; fi
# The client half of SPAKE joins libkrb5 as one object with one visible symbol.
ld -r -o spake.r.o "${spake[@]/#/plugins/preauth/spake/}"
objcopy --keep-global-symbol=clpreauth_spake_initvt spake.r.o spake_client.o
$AR rs "$OUT/lib/libkrb5.a" spake_client.o
# The KDC with its half of SPAKE, its logger and libapputils (whose network server calls back into it); all of it
# but main is local.
ld -r -d -o krb5kdc.r.o "${kdc[@]/#/kdc/}" spake.r.o lib/kadm5/alt_prof.o lib/kadm5/logger.o \
    --whole-archive lib/libapputils.a
objcopy --redefine-sym main=krb5kdc_main --keep-global-symbol=krb5kdc_main krb5kdc.r.o "$OUT/lib/krb5kdc.o"

cp -L include/krb5.h include/krad.h include/profile.h include/gssapi.h include/com_err.h "$OUT/include"
mkdir -p "$OUT/include/krb5" "$OUT/include/gssapi"
cp -L include/krb5/*.h "$OUT/include/krb5"
cp -L include/gssapi/*.h "$OUT/include/gssapi"
# kdb.h is an internal header and knows nothing of C++.
sed -e 's/^#include <krb5.h>$/&\n#ifdef __cplusplus\nextern "C" {\n#endif/' \
    -e 's/^#endif \/\* !defined(_WIN32) \*\/$/#ifdef __cplusplus\n}\n#endif\n&/' include/kdb.h >"$OUT/include/kdb.h"
