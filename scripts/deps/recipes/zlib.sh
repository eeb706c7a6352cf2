./configure --static
make -j "$JOBS" libz.a
mkdir -p "$OUT/include" "$OUT/lib"
cp libz.a "$OUT/lib"
cp zlib.h zconf.h "$OUT/include"
