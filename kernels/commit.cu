// Taking over new values, unless something went wrong.
//
//   kernel   good for   launch                      bytes            passes   bound by
//   commit   any size   256 threads, grid-stride    2 x the values   1        memory
#include "commit.h"

#include "kit.h"

namespace {

// The first `vectors` of 16 bytes each, then single bytes.
template <class T>
__global__ void commit(int64_t bytes, int64_t vectors, const unsigned char *x, const T *gate, unsigned char *y) {
  if (!isfinite(to_f32(*gate))) return;
  for (int64_t i = first_of_grid(); i < vectors; i += size_of_grid())
    reinterpret_cast<uint4 *>(y)[i] = reinterpret_cast<const uint4 *>(x)[i];
  for (int64_t i = vectors * 16 + first_of_grid(); i < bytes; i += size_of_grid()) y[i] = x[i];
}

} // namespace

int kernel_commit(kernel_type gate_type, int64_t bytes, const void *x, const void *gate, void *y,
                  kernel_stream stream) {
  return by_type(gate_type, [&](auto element) {
    using T = decltype(element);
    const int64_t vectors = on_vectors(x, y) ? bytes / 16 : 0;
    return LAUNCH(commit<T>, blocks_for(vectors ? vectors : bytes), dim3(block_size), 0, stream, bytes, vectors,
                  static_cast<const unsigned char *>(x), static_cast<const T *>(gate), static_cast<unsigned char *>(y));
  });
}
