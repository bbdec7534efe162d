/* Tensors: plain, non-owning, strided views.
 *
 * A lamina_desc says what the elements are and where they lie relative to the first one; a lamina_tensor adds the
 * address. Dims are logical and in the field's order (N C H W for pictures) whatever the strides: an NHWC picture is
 * dims N C H W with strides H*W*C, 1, W*C, C. Strides count elements. An engine may want its axes in blocks: 16 channels
 * of a place side by side, say. Such a layout is part of the description, too; what it describes is the same tensor.
 * Nothing here allocates, frees or fails; all of it may be called from any thread. */
#ifndef LAMINA_TENSOR_H
#define LAMINA_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lamina/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The most axes that a tensor may have. */
#define LAMINA_MAX_RANK 8

/** X(name, bytes, floating, unit roundoff): every element type. */
#define LAMINA_DTYPE_MAP(X)                                                                                            \
  X(F64, 8, 1, 0x1p-53)                                                                                                \
  X(F32, 4, 1, 0x1p-24)                                                                                                \
  X(F16, 2, 1, 0x1p-11)                                                                                                \
  X(BF16, 2, 1, 0x1p-8)                                                                                                \
  X(I64, 8, 0, 0.0)                                                                                                    \
  X(I32, 4, 0, 0.0)                                                                                                    \
  X(U8, 1, 0, 0.0)

/** The type of a tensor's elements. */
typedef enum lamina_dtype {
  LAMINA_NONE = 0, /**< an optional argument that is absent */
#define X(name, bytes, floating, u) LAMINA_##name,
  LAMINA_DTYPE_MAP(X)
#undef X
} lamina_dtype;

/** Bytes of one element; 0 for LAMINA_NONE and unknown numbers. */
LAMINA_API size_t lamina_dtype_size(lamina_dtype dtype);
/** Whether it is f64, f32, f16 or bf16. */
LAMINA_API bool lamina_dtype_is_floating(lamina_dtype dtype);
/** Half the distance from 1 to the next number (2^-24 for f32); 0 for integers. */
LAMINA_API double lamina_dtype_roundoff(lamina_dtype dtype);
/** "f32"; "none" for LAMINA_NONE. */
LAMINA_API const char *lamina_dtype_name(lamina_dtype dtype);
/** The reverse; LAMINA_NONE for an unknown name. */
LAMINA_API lamina_dtype lamina_dtype_find(const char *name);

/** In lamina_desc.rank: the shape is to be inferred by lamina_problem_infer. */
#define LAMINA_RANK_INFER (-1)

/** An inner block of 2^log2 elements (2 … 32768) along an axis, in lamina_desc.layout. A layout is up to four of them, a
 *  byte each, the outermost first: nChw16c is LAMINA_BLOCK(1, 4); OIhw16i16o is LAMINA_BLOCK(1, 4) << 8 |
 *  LAMINA_BLOCK(0, 4); [N/16][C][H][W][16] is LAMINA_BLOCK(0, 4). */
#define LAMINA_BLOCK(axis, log2) ((axis) << 4 | (log2))

/** In lamina_desc.layout, of a problem that is to be planned: the engine chooses layout and strides, and
 *  lamina_plan_problem tells them. In its normal form strides are 0. */
#define LAMINA_LAYOUT_ANY (-1)

/** Shape and element type, without padding so that it hashes by its bytes. With blocks in `layout`, a blocked axis is a
 *  multiple of the product of its blocks, `strides` are the steps between blocks of each axis, in elements, and inside of
 *  a block elements lie row-major in the order of the list. */
typedef struct lamina_desc {
  int32_t dtype;                    /**< a lamina_dtype */
  int32_t rank;                     /**< 0 … LAMINA_MAX_RANK, or LAMINA_RANK_INFER */
  int32_t layout;                   /**< 0: strided; else LAMINA_BLOCKs, or LAMINA_LAYOUT_ANY */
  int32_t align;                    /**< the address is a multiple of this many bytes; 0: of the element size */
  int64_t dims[LAMINA_MAX_RANK];    /**< unused axes: 0 */
  int64_t strides[LAMINA_MAX_RANK]; /**< in elements; may be negative or 0 for inputs; unused axes: 0 */
} lamina_desc;

/** Where a tensor's data lie. */
typedef enum lamina_memory {
  LAMINA_MEMORY_HOST,   /**< ordinary memory */
  LAMINA_MEMORY_PINNED, /**< of the host, but kept in place, so that a device can reach it */
  LAMINA_MEMORY_DEVICE  /**< of the device: lamina_memory_alloc */
} lamina_memory;

/** A view of elements in memory that somebody else owns. */
typedef struct lamina_tensor {
  lamina_desc desc;     /**< what and where they are */
  void *data;           /**< element [0, 0, …] */
  lamina_memory memory; /**< what `data` points into; 0: the host's */
} lamina_tensor;

/** Row-major (last axis fastest). rank 0 is one element. A rank outside 0…8 gives LAMINA_NONE. */
LAMINA_API lamina_desc lamina_dense(lamina_dtype dtype, int rank, const int64_t *dims);
/** With these strides, in elements. A rank outside 0…8 gives LAMINA_NONE. */
LAMINA_API lamina_desc lamina_strided(lamina_dtype dtype, int rank, const int64_t *dims, const int64_t *strides);
/** In blocks: LAMINA_BLOCKs, 0 for none, or LAMINA_LAYOUT_ANY. Blocks row-major, with whole blocks one after the other.
 *  A rank outside 0…8 gives LAMINA_NONE; lamina_problem_infer says what is wrong with a layout that doesn't fit. */
LAMINA_API lamina_desc lamina_blocked(lamina_dtype dtype, int rank, const int64_t *dims, int32_t layout);
/** An output whose shape lamina_problem_infer shall fill in, in the layout that it is given (none: row-major). */
LAMINA_API lamina_desc lamina_infer(lamina_dtype dtype);

/** `desc` in host memory; no call here copies, checks or keeps anything. */
LAMINA_API lamina_tensor lamina_tensor_of(lamina_desc desc, void *data);
/** Dims n, dense. */
LAMINA_API lamina_tensor lamina_vector(lamina_dtype dtype, int64_t n, void *data);
/** Dims rows, columns; dense, row by row. */
LAMINA_API lamina_tensor lamina_matrix(lamina_dtype dtype, int64_t rows, int64_t columns, void *data);
/** Dims N C W, dense: examples, channels, places in a sequence. */
LAMINA_API lamina_tensor lamina_ncw(lamina_dtype dtype, int64_t n, int64_t c, int64_t w, void *data);
/** Dims N C H W, dense: pictures, a channel after the other. */
LAMINA_API lamina_tensor lamina_nchw(lamina_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w, void *data);
/** Dims N C H W, channels fastest in memory. */
LAMINA_API lamina_tensor lamina_nhwc(lamina_dtype dtype, int64_t n, int64_t c, int64_t h, int64_t w, void *data);
/** Dims N C D H W, dense: volumes. */
LAMINA_API lamina_tensor lamina_ncdhw(lamina_dtype dtype, int64_t n, int64_t c, int64_t d, int64_t h, int64_t w,
                                      void *data);

/** Number of elements: the product of dims (1 for rank 0), or -1 where it overflows or a dim is negative. */
LAMINA_API int64_t lamina_desc_count(const lamina_desc *desc);
/** Bytes from the lowest to just past the highest element; -1 on overflow, or where the layout doesn't fit the dims. 0 when
 *  there are no elements. Of LAMINA_LAYOUT_ANY those of all elements: nothing is ever padded. */
LAMINA_API int64_t lamina_desc_bytes(const lamina_desc *desc);
/** Row-major without gaps (axes of size 1 may have any stride), and not in blocks. */
LAMINA_API bool lamina_desc_is_dense(const lamina_desc *desc);
/** Offset in elements of the logical row-major element `index`, in any layout (LAMINA_LAYOUT_ANY: `index` itself). */
LAMINA_API int64_t lamina_desc_offset(const lamina_desc *desc, int64_t index);
/** "f32[2,3,5,7]", with "/105,35,7,1" after it where it isn't dense; "f32[2,32,5,7]_1x16" in blocks of 16 along axis 1,
 *  with strides where they leave gaps or other order; "_any" for LAMINA_LAYOUT_ANY. Returns buffer. */
LAMINA_API const char *lamina_desc_text(const lamina_desc *desc, char *buffer, size_t size);

/** The element `offset` elements behind `data`, as f64. */
LAMINA_API double lamina_load(lamina_dtype dtype, const void *data, int64_t offset);
/** Stores it there, rounded to nearest even; integers are cut to their range, a NaN is 0 in them. */
LAMINA_API void lamina_store(lamina_dtype dtype, void *data, int64_t offset, double value);
/** The value that lamina_store would leave behind. */
LAMINA_API double lamina_round(lamina_dtype dtype, double value);

#ifdef __cplusplus
}
#endif
#endif
