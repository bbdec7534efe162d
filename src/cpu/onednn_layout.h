/* Layouts in oneDNN's words and back. */
#ifndef LAMINA_CPU_ONEDNN_LAYOUT_H
#define LAMINA_CPU_ONEDNN_LAYOUT_H

#include <oneapi/dnnl/dnnl.h>

#include "core/blocks.h"

/* A tensor as it is, in any layout but LAMINA_LAYOUT_ANY. */
dnnl_status_t lamina_onednn_given(dnnl_memory_desc_t *to, const lamina_desc *desc, dnnl_data_type_t type);

/* Gives `to`, which has the dims and a type, the layout and strides of `from`; false where ours can't say them: padded,
 * with gaps, or in a format of its own. */
bool lamina_onednn_layout_of(const dnnl_memory_desc_t *from, lamina_desc *to);

/* Are the bytes of `a`, a tensor of ours, what `b` describes? Steps over axes of one block mean nothing. */
bool lamina_onednn_same_bytes(const dnnl_memory_desc_t *a, const dnnl_memory_desc_t *b);

/* The layout with its blocks of axes from `first` on moved `by` axes up. */
int32_t lamina_onednn_move_blocks(int32_t layout, int first, int by);

#endif
