# Built for libc++; Debian's own library is for libstdc++ and does not link with it.
cmake -B build -DCMAKE_BUILD_TYPE=None -DCMAKE_INSTALL_PREFIX="$OUT" -DCMAKE_INSTALL_LIBDIR=lib \
    -DCMAKE_CXX_STANDARD=23 -DCMAKE_AR="$(command -v "$AR")" -DCMAKE_RANLIB="$(command -v "$RANLIB")" \
    -DBUILD_TESTING=OFF -DCATCH_INSTALL_DOCS=OFF -DCATCH_INSTALL_EXTRAS=OFF
cmake --build build -j "$JOBS"
cmake --install build
rm -rf "$OUT/share" "$OUT/lib/cmake"
