sh autogen.sh
./configure --disable-shared --enable-static
make -j "$JOBS" libuv.la
install -Dm644 .libs/libuv.a "$OUT/lib/libuv.a"
mkdir -p "$OUT/include"
cp -r include/uv.h include/uv "$OUT/include"
