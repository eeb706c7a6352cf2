autoreconf -i
./configure --disable-shared --enable-static --disable-python
make -j "$JOBS" -C src libseccomp.la
install -Dm644 src/.libs/libseccomp.a "$OUT/lib/libseccomp.a"
mkdir -p "$OUT/include"
cp include/seccomp.h include/seccomp-syscalls.h "$OUT/include"
