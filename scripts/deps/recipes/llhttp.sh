# The one dependency taken as a built archive: plain C, hash-checked.
install -Dm644 usr/include/llhttp.h "$OUT/include/llhttp.h"
install -Dm644 "$(find usr/lib -name libllhttp.a)" "$OUT/lib/libllhttp.a"
