# TLS 1.2 and 1.3, safe for threads. The options go into the installed mbedtls_config.h, so users give no macros.
for option in THREADING_C THREADING_PTHREAD; do
    sed -i "s|^//#define MBEDTLS_$option\$|#define MBEDTLS_$option|" include/mbedtls/mbedtls_config.h
    grep -q "^#define MBEDTLS_$option\$" include/mbedtls/mbedtls_config.h
done
make -j "$JOBS" lib CFLAGS="$CFLAGS" CC="$CC" AR="$AR" WARNING_CFLAGS=
mkdir -p "$OUT/lib" "$OUT/include"
cp library/libmbedtls.a library/libmbedx509.a library/libmbedcrypto.a "$OUT/lib"
cp -r include/mbedtls include/psa "$OUT/include"
