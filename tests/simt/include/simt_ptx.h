// The wrappers of kernels/dev.h around PTX for the CPU; part of simt.h. Lanes hold what the PTX ISA says; sums are plain
// f32, one product after the other.
#ifndef SIMT_PTX_H
#define SIMT_PTX_H

namespace simt {

void cp_async(void *to, const void *from, unsigned size, unsigned bytes, const char *file, int line);
void cp_async_commit();
void cp_async_wait(unsigned keep);
void ldmatrix(uint32_t *r, const void *row, int matrices, bool transposed, const char *file, int line);
enum class Mma { bf16, f16, tf32 };
void mma(Mma kind, float *d, const uint32_t *a, const uint32_t *b, const float *c, const char *file, int line);

} // namespace simt

inline uint32_t smem_u32(const void *p) { return simt::shared_offset(p); }
template <int BYTES> inline void cp_async(void *to, const void *from, int bytes = BYTES, SIMT_LOC) {
  static_assert(BYTES == 4 || BYTES == 8 || BYTES == 16, "cp.async copies 4, 8 or 16 bytes");
  simt::cp_async(to, from, BYTES, static_cast<unsigned>(bytes), simt_file, simt_line);
}
inline void cp_async_commit() { simt::cp_async_commit(); }
template <int KEEP> inline void cp_async_wait() { simt::cp_async_wait(KEEP); }

inline void ldmatrix_x4(uint32_t (&r)[4], const void *row, SIMT_LOC) {
  simt::ldmatrix(r, row, 4, false, simt_file, simt_line);
}
inline void ldmatrix_x2(uint32_t (&r)[2], const void *row, SIMT_LOC) {
  simt::ldmatrix(r, row, 2, false, simt_file, simt_line);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void *row, SIMT_LOC) {
  simt::ldmatrix(r, row, 4, true, simt_file, simt_line);
}
inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void *row, SIMT_LOC) {
  simt::ldmatrix(r, row, 2, true, simt_file, simt_line);
}

inline void mma_bf16_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const float (&c)[4],
                           SIMT_LOC) {
  simt::mma(simt::Mma::bf16, d, a, b, c, simt_file, simt_line);
}
inline void mma_f16_16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const float (&c)[4],
                          SIMT_LOC) {
  simt::mma(simt::Mma::f16, d, a, b, c, simt_file, simt_line);
}
inline void mma_tf32_1688(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], const float (&c)[4],
                          SIMT_LOC) {
  simt::mma(simt::Mma::tf32, d, a, b, c, simt_file, simt_line);
}

// cvt.rna.tf32.f32: to nearest, ties away from zero.
inline uint32_t to_tf32(float x) {
  uint32_t u = __float_as_uint(x);
  if ((u & 0x7f800000u) != 0x7f800000u) u += 0x1000u;
  return u & 0xffffe000u;
}

#endif
