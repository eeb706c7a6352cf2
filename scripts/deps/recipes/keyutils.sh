make libkeyutils.a CFLAGS="$CFLAGS" CC="$CC" AR="$AR"
install -Dm644 libkeyutils.a "$OUT/lib/libkeyutils.a"
install -Dm644 keyutils.h "$OUT/include/keyutils.h"
